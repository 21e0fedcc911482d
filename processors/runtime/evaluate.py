"""From what the store has of a session to its credits: decode, decide, and say what could not be used."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache, lru_cache
from typing import NamedTuple

from processors.core import CompiledLog, SessionTouches, Touch, decide_session
from processors.store import TouchStore
from schemas.codec import FRAME_BYTES, decode, leading_schema, locked_schemas
from schemas.compiled import Reader, compile_reader
from schemas.errors import BadFrame
from schemas.ids import session_text
from schemas.records import Conversion, Credit
from schemas.topics import CLICKS, CONVERSIONS

CONVERSIONS_KEPT = 20_000
LAST_TIME = 253_402_300_799_999  # the year 9999 ends: what RFC 3339 and Python can say


class Unusable(NamedTuple):
    """A value of a session that leads to no credit, and why. ``received_at`` is the conversion's, 0 if unknown."""

    topic: str
    session: bytes
    value: bytes
    reason: str
    field: str | None
    detail: str
    received_at: int


class SessionEvents:
    """Everything the store knows of a session, decoded as far as the decision needs. ``add`` keeps it current."""

    __slots__ = ("complete", "conversions", "session", "touches", "unusable")

    def __init__(self, session: bytes) -> None:
        self.session = session
        self.conversions: dict[str, dict[bytes, Conversion]] = {}
        """By conversion id, and by the raw value of the event."""
        self.touches = SessionTouches()
        self.unusable: list[Unusable] = []
        """What does not decode and was not told yet."""
        self.complete = False
        """Whether what the store may have lost was added."""

    def add(self, topic: str, value: bytes) -> bool:
        """Take a value of the store. False if it changes nothing."""
        return self.add_touch(value) if topic == CLICKS else self.add_conversion(value)

    def add_conversion(self, value: bytes) -> bool:
        try:
            conversion = read_conversion(value)
        except BadFrame as error:
            self.unusable.append(Unusable(CONVERSIONS, self.session, value, error.reason, None, error.detail, 0))
            return True
        known = self.conversions.setdefault(conversion.conversion_id, {})
        new = value not in known
        known[value] = conversion
        return new

    def add_touch(self, value: bytes) -> bool:
        try:
            fields, end = touch_readers()[value[:FRAME_BYTES]](value, FRAME_BYTES)
            touch = Touch._make(fields)
            if end > len(value) or not (0 <= touch.occurred_at <= LAST_TIME and 0 <= touch.received_at <= LAST_TIME):
                raise ValueError("it is cut off, or has times that no event can have")
            return self.touches.add(touch)
        except Exception as error:  # whatever malformed bytes lead to
            detail = f"the click does not decode: {error!r}"
            self.unusable.append(Unusable(CLICKS, self.session, value, "UNDECODABLE", None, detail, 0))
            return True

    @property
    def size(self) -> int:
        """Events in memory."""
        return self.touches.count + len(self.conversions)

    def events(self, ids: Collection[str] | None) -> Iterator[Conversion]:
        """The conversion events of these ids; None: of all."""
        for conversion_id in self.conversions if ids is None else ids:
            yield from self.conversions.get(conversion_id, {}).values()


class Owed(NamedTuple):
    """A session to be decided, and which of its conversions; None: all."""

    events: SessionEvents
    ids: Collection[str] | None

    @property
    def latest_received_at(self) -> int:
        """Under which catalog versions its conversions are decided: none later than this one's."""
        return max((conversion.received_at for conversion in self.events.events(self.ids)), default=0)


@cache
def touch_readers() -> dict[bytes, Reader]:
    """By frame: readers of the click schemas cut behind the last field that a Touch has; the rest is not looked at."""
    last = Touch._fields[-1]
    return {s.frame: compile_reader(leading_schema(s, last)) for s in locked_schemas().values() if s.name == "click"}


@lru_cache(maxsize=CONVERSIONS_KEPT)
def read_conversion(value: bytes) -> Conversion:
    """A stored conversion. BadFrame if it is none, or has times that no event can have.

    The conversions of late clicks are mostly young ones, so the latest are kept decoded.
    """
    conversion = decode(value)
    if not isinstance(conversion, Conversion):
        raise BadFrame("WRONG_SCHEMA", f"a {type(conversion).__name__} in the topic of conversions")
    if not (0 <= conversion.occurred_at <= LAST_TIME and 0 <= conversion.received_at <= LAST_TIME):
        raise BadFrame("INVALID_TIME", f"occurred_at {conversion.occurred_at}, received_at {conversion.received_at}")
    return conversion


def read_session(store: TouchStore, session: bytes) -> SessionEvents:
    """Load and decode a session. What does not decode is told, and the rest is decided without it."""
    events = SessionEvents(session)
    for value in store.conversions(session):
        events.add_conversion(value)
    if events.conversions:
        for value in store.touches(session):
            events.add_touch(value)
    return events


def decide_events(owed: Owed, catalogs: CompiledLog, run_id: str) -> tuple[list[Credit], list[Unusable]]:
    """The credits that are owed, and everything that could not be used. No event makes this raise."""
    events, ids = owed
    session_id = session_text(events.session)
    unusable = list(events.unusable)
    events.unusable.clear()
    try:
        decisions = [decide_session(session_id, list(events.events(ids)), events.touches, catalogs, run_id)]
    except Exception:  # a value that no door of ours lets in: find it, and decide the others
        decisions = []
        for conversion_id in list(events.conversions) if ids is None else ids:
            group = list(events.events([conversion_id]))
            try:
                decisions.append(decide_session(session_id, group, events.touches, catalogs, run_id))
            except Exception as error:
                for conversion in group:
                    detail = f"the conversion cannot be decided: {error!r}"
                    unusable.append(of_conversion(events, conversion, "UNDECIDABLE", None, detail))
    credits = [credit for decision in decisions for credit in decision.credits]
    for decision in decisions:
        for refusal in decision.refused:
            unusable.append(of_conversion(events, refusal.conversion, refusal.reason, refusal.field, refusal.detail))
    return credits, unusable


def of_conversion(
    events: SessionEvents, conversion: Conversion, reason: str, field: str | None, detail: str
) -> Unusable:
    copies = events.conversions[conversion.conversion_id]
    value = next(value for value, one in copies.items() if one is conversion)
    return Unusable(CONVERSIONS, events.session, value, reason, field, detail, conversion.received_at)
