"""One event, whatever its door: checked, made a record, made a message; or refused and made a dead letter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ingest.access.secrets import masked
from ingest.catalog_index import CatalogIndex
from ingest.envelope import Message, dead_letter_message, event_message
from ingest.privacy.keeper import Keeper
from ingest.privacy.redact import redacted
from ingest.quick_touch import quick_touch
from schemas.errors import InvalidEvent
from schemas.events import dead_letter, parse_event
from schemas.ids import ClickIdKeys
from schemas.records import Click, Event

MESSAGE_LIMIT = 512 * 1024
"""Bytes of one event's message: Kafka takes records up to about a megabyte on the event topics."""
DETAIL_LIMIT = 500


class Accepted(NamedTuple):
    """An event ready to be published. ``kind``: click, impression, conversion, adjustment; ``id``: its public id."""

    kind: str
    id: str
    message: Message


def kind_and_id(event: Event) -> tuple[str, str]:
    if isinstance(event, Click):
        return event.type, event.click_id
    return type(event).__name__.lower(), event.conversion_id


def checked_size(value: bytes) -> bytes:
    """The bytes of an event's record; InvalidEvent if they are too many for the log."""
    if len(value) > MESSAGE_LIMIT:
        raise InvalidEvent("EVENT_TOO_LARGE", None, f"{len(value)} bytes; one event may have {MESSAGE_LIMIT}")
    return value


class Intake:
    """Judges events by the catalog in effect. Raises nothing but InvalidEvent, and NoCatalog before the first one."""

    def __init__(
        self, keys: ClickIdKeys, catalog_at: Callable[[int], CatalogIndex], keeper: Keeper | None = None
    ) -> None:
        """``catalog_at`` gives the index in effect at a millisecond, or raises NoCatalog. ``keeper``: what is kept of
        an event; None keeps it as it is.
        """
        self.keys = keys
        self.catalog_at = catalog_at
        self._keeper = keeper

    def accept(
        self,
        fields: Any,
        *,
        now: int,
        door: str,
        traceparent: str | None = None,
        received_at_kept: bool = False,
        may_send: Callable[[Event], None] | None = None,
    ) -> Accepted:
        """A public event (``examples/events.ndjson``) as its message. ``received_at`` is ``now`` unless it is kept.

        ``may_send`` raises InvalidEvent for what its sender has no business sending.
        """
        index = self.catalog_at(now)
        try:
            event: Event | None = None if received_at_kept else quick_touch(fields, now, door)
            if event is None:
                received_at = None if received_at_kept else now
                event = parse_event(fields, received_at=received_at, door=door, keys=self.keys)
        except RecursionError:
            raise InvalidEvent("INVALID_EVENT", None, "nested too deeply") from None
        except InvalidEvent as error:
            if len(error.detail) > DETAIL_LIMIT:  # it quotes what was sent
                error.detail = error.detail[:DETAIL_LIMIT] + "…"
            raise
        if may_send is not None:
            may_send(event)
        index.check(event)
        return self.accept_record(event, traceparent)

    def accept_record(self, event: Event, traceparent: str | None = None) -> Accepted:
        """A record that is valid already as its message. InvalidEvent if it is too large for the log."""
        if self._keeper is not None:
            event = self._keeper.kept(event, self.catalog_at)
        message = event_message(event, traceparent)
        checked_size(message.value)
        return Accepted(*kind_and_id(event), message)

    def refuse(self, error: InvalidEvent, original: bytes, *, now: int, door: str, stage: str = "ingest") -> Message:
        """The dead letter of what was refused, with its original bytes; API keys and what names a person are masked."""
        sealer = None if self._keeper is None else self._keeper.sealer
        kept = redacted(masked(original), sealer)
        detail = redacted(masked(error.detail.encode(errors="replace")), sealer).decode()  # it quotes what was sent
        told = InvalidEvent(error.reason, error.field, detail)
        return dead_letter_message(dead_letter(told, kept, stage=stage, door=door, received_at=now))
