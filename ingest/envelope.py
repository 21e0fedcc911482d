"""A record as the Kafka message that carries it: topic, key, timestamp and CloudEvents headers (DESIGN 3)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

from schemas.codec import encode
from schemas.ids import session_key
from schemas.records import Adjustment, Click, Conversion, DeadLetter, Event
from schemas.times import DAY, format_time
from schemas.topics import ADJUSTMENTS, CLICKS, CONVERSIONS, DEAD_LETTERS

TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
"""W3C Trace Context, version 00."""
Headers = list[tuple[str, str | bytes | None]]
"""As confluent's Producer takes them."""
CLICK_TYPE: Final = b"accredit.click"
CONVERSION_TYPE: Final = b"accredit.conversion"
ADJUSTMENT_TYPE: Final = b"accredit.adjustment"
DEAD_LETTER_TYPE: Final = b"accredit.dead_letter"


class Message(NamedTuple):
    """What a publisher (Kafka's, later the spool) takes: plain bytes, and the event time in milliseconds."""

    topic: str
    key: bytes
    value: bytes
    timestamp: int
    headers: Headers


MINUTES: Final = tuple(b"T%02d:%02d:" % divmod(minute, 60) for minute in range(24 * 60))
SECONDS: Final = tuple(b"%02d." % second for second in range(60))
MILLISECONDS: Final = tuple(b"%03dZ" % milli for milli in range(1_000))


@lru_cache(maxsize=1_024)
def day_text(day: int) -> bytes:
    return format_time(day * DAY)[:10].encode()


@lru_cache(maxsize=64)
def ce_time(milliseconds: int) -> bytes:
    """RFC 3339 with milliseconds, put together from texts that are kept: formatting costs as much as all else here."""
    day, rest = divmod(milliseconds, DAY)
    minute, rest = divmod(rest, 60_000)
    second, rest = divmod(rest, 1_000)
    return day_text(day) + MINUTES[minute] + SECONDS[second] + MILLISECONDS[rest]


def headers_of(ce_id: str, ce_type: bytes, at: int, traceparent: str | None) -> Headers:
    headers: Headers = [("ce_id", ce_id), ("ce_type", ce_type), ("ce_time", ce_time(at))]
    if traceparent is not None and TRACEPARENT.fullmatch(traceparent) is not None:
        headers.append(("traceparent", traceparent))
    return headers


def click_message(click_id: str, key: bytes, value: bytes, at: int, traceparent: str | None) -> Message:
    """The message of a touch that is written already; ``key``: the 16 bytes of its session."""
    # A named tuple's own ``__new__`` is Python: this is half its price, for every visit.
    return tuple.__new__(Message, (CLICKS, key, value, at, headers_of(click_id, CLICK_TYPE, at, traceparent)))


def event_message(event: Event, traceparent: str | None = None) -> Message:
    """The message of an event: clicks and conversions by session, adjustments by the conversion they correct."""
    value = encode(event)
    at = event.occurred_at
    if isinstance(event, Click):
        return click_message(event.click_id, session_key(event.session_id), value, at, traceparent)
    if isinstance(event, Conversion):
        headers = headers_of(event.conversion_id, CONVERSION_TYPE, at, traceparent)
        return Message(CONVERSIONS, session_key(event.session_id), value, at, headers)
    assert isinstance(event, Adjustment)
    headers = headers_of(event.conversion_id, ADJUSTMENT_TYPE, at, traceparent)
    return Message(ADJUSTMENTS, event.conversion_id.encode(), value, at, headers)


def dead_letter_message(letter: DeadLetter) -> Message:
    """The message of a dead letter: keyed by its id, at the time of its arrival."""
    headers = headers_of(letter.dead_letter_id, DEAD_LETTER_TYPE, letter.received_at, None)
    return Message(DEAD_LETTERS, letter.dead_letter_id.encode(), encode(letter), letter.received_at, headers)
