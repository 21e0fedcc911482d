"""One visitor's request, looked at once, for every door that takes touches."""

from __future__ import annotations

from typing import NamedTuple

from ingest.http import Scope, address_of
from ingest.invalid import invalid_reason
from ingest.query import clean


class Visitor(NamedTuple):
    """What a record may say of a visitor. ``address`` is what may be kept of it, None for nothing.

    ``invalid``: why the touch does not count. ``may_identify``: whether the visitor's choice (GPC, DNT, TCF, GPP, as
    the policy reads them) lets us set a cookie and join this touch to a session.
    """

    address: str | None
    country: str | None
    device: str | None
    os: str | None
    browser: str | None
    user_agent: str | None
    invalid: str | None
    may_identify: bool = True


class Edge:
    """Looks at requests. One per process."""

    def visitor(self, scope: Scope, now: int, params: dict[str, str]) -> Visitor:
        """``params``: the request's own parameters by their own names (consent strings come in them)."""
        agent = scope.headers.get("user-agent")
        agent = None if agent is None else clean(agent)
        return Visitor(address_of(scope), None, None, None, None, agent, invalid_reason(agent))
