"""The questions that doors ask about a sender. Answers are None or a Sender, or a Refusal raised: 401, 403 or 429."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.access.sender import ANYONE, Sender
from ingest.http import Scope

SECRET_PARAMETERS = frozenset({"token", "security_token"})
"""A postback's secrets: a door drops these names from what it keeps (``params``)."""


class Gate:
    """Asks for keys where the installation has any, or is in production. One per process."""

    def admit(self, scope: Scope, now: int) -> None:
        """The limit per address: 429. Asked first by every door whose sender may be refused: postbacks, pixels.

        Tracking links, impressions and short links do not ask: a visitor is never refused, the edge flags a flood.
        """

    def bulk(self, scope: Scope, permission: str, key: str | None = None) -> Sender:
        """A server-to-server request; ``permission`` is what its key must carry, like ``events:write``.

        The key comes as ``Authorization: Bearer``, as the user or password of ``Basic`` (Segment's way), or as
        ``X-Api-Key``; ``key`` is one that the door found elsewhere (Segment's ``writeKey`` in the body). The limits
        per address and per key are asked in here. Ask ``may_send`` of the Sender for each event.
        """
        return ANYONE

    def postback(self, scope: Scope, given: Mapping[str, Any], body: bytes, advertiser_id: str, now: int) -> None:
        """A conversion reported by an advertiser's server, with all its parameters and its raw body: 401 or 403."""

    def pixel(self, scope: Scope, advertiser_id: str, now: int) -> None:
        """A conversion reported from a visitor's browser (image, iframe, script), where no secret can be kept: 403."""
