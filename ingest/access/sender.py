"""Who sends: the operator, one partner or one advertiser, and what each may send."""

from __future__ import annotations

from typing import Literal, NamedTuple

from schemas.errors import InvalidEvent
from schemas.ids import conversion_id
from schemas.records import Adjustment, Click, Event

Scope = Literal["events:write", "adjustments:write", "catalog:read", "catalog:write"]
Kind = Literal["operator", "partner", "advertiser"]
SCOPES: tuple[Scope, ...] = ("events:write", "adjustments:write", "catalog:read", "catalog:write")


class Sender(NamedTuple):
    """Who stands behind a request. ``id`` is the partner's or advertiser's; ``key_id`` the key that said so."""

    kind: Kind
    id: str | None
    scopes: frozenset[str]
    key_id: str | None = None

    @property
    def name(self) -> str:
        """``operator``, ``partner:ID`` or ``advertiser:ID``: what an Idempotency-Key belongs to, say."""
        return self.kind if self.id is None else f"{self.kind}:{self.id}"

    def may_send(self, event: Event) -> None:
        """InvalidEvent ``NOT_YOURS`` or ``NOT_PERMITTED`` for an event that this sender has no business sending.

        A partner sends touches of its own; an advertiser its own conversions and adjustments; the operator anything.
        An adjustment needs ``adjustments:write``, anything else ``events:write``.
        """
        needed = "adjustments:write" if isinstance(event, Adjustment) else "events:write"
        if needed not in self.scopes:
            raise InvalidEvent("NOT_PERMITTED", "type", f"this key has no scope {needed}")
        if self.kind == "operator":
            return
        if isinstance(event, Click):
            whose, field = event.partner_id, "partner_id"
            ours = self.kind == "partner"
        else:
            whose, field = event.advertiser_id, "advertiser_id"
            ours = self.kind == "advertiser"
        if not ours:
            sends = "clicks and impressions" if self.kind == "partner" else "conversions and adjustments"
            raise InvalidEvent("NOT_YOURS", "type", f"the key of {self.name} may send {sends} only")
        if whose != self.id:
            raise InvalidEvent("NOT_YOURS", field, f"the key of {self.name} may send nothing in another's name")
        if isinstance(event, Adjustment) and not names_its_own(event):
            detail = "says nothing about whose conversion it is: name it by goal and order_id (or click_id)"
            raise InvalidEvent("NOT_YOURS", "conversion_id", detail)


def names_its_own(event: Adjustment) -> bool:
    """Whether the id of the conversion follows from the advertiser and what it calls the conversion."""
    if not event.goal or (event.order_id is None and event.click_id is None):
        return False
    return conversion_id(event.advertiser_id, event.goal, event.order_id, event.click_id) == event.conversion_id


ANYONE = Sender("operator", None, frozenset(SCOPES))
"""Whoever asks an installation that has no keys and is not in production."""
