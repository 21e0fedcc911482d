"""One visitor's request, looked at once, for every door that takes touches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ingest.http import Scope, address_of
from ingest.invalid import invalid_reason
from ingest.query import clean

FLAGS = "accredit_flags"
"""The name in a record's ``params`` under which its flags stand, with commas."""


class Visitor(NamedTuple):
    """What a record may say of a visitor. ``address`` is what may be kept of it, None for nothing.

    ``invalid``: why the touch does not count. ``may_identify``: whether the visitor's choice (GPC, DNT, TCF, GPP, as
    the policy reads them) lets us set a cookie and join this touch to a session; where it does not, the door mints a
    session for this touch alone, and the click id in the landing URL still lets a conversion be credited.
    ``flags``: what is odd and yet counts. ``source`` stands for the whole address within this process, 0 for none.
    """

    address: str | None
    country: str | None
    device: str | None
    os: str | None
    browser: str | None
    user_agent: str | None
    invalid: str | None
    may_identify: bool = True
    flags: tuple[str, ...] = ()
    source: int = 0


class Marks(NamedTuple):
    """What is said of one touch: why it does not count, if so, and what is odd about it."""

    invalid: str | None
    flags: tuple[str, ...]


class Edge:
    """Looks at requests. One per process."""

    def visitor(self, scope: Scope, now: int, params: dict[str, str]) -> Visitor:
        """``params``: the request's own parameters by their own names (consent strings come in them)."""
        agent = scope.headers.get("user-agent")
        agent = None if agent is None else clean(agent)
        return Visitor(address_of(scope), None, None, None, None, agent, invalid_reason(agent))

    def marks(self, visitor: Visitor, session_id: str, offer_id: str, partner_id: str, now: int) -> Marks:
        """The visitor's own marks and those of repetition: double clicks, floods. Once per touch: it counts."""
        return Marks(visitor.invalid, visitor.flags)

    def may_join(self, session_id: str) -> bool:
        """Whether a session from a cookie may be used: False when it was erased; then mint a new one."""
        return True

    @staticmethod
    def flagged(params: dict[str, str], flags: Sequence[str]) -> dict[str, str]:
        """A record's params with its flags."""
        return {**params, FLAGS: ",".join(flags)} if flags else params
