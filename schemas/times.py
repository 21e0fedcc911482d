"""Times are whole milliseconds since 1970-01-01T00:00:00Z; durations are whole milliseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

SECOND = 1_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
MAX_TIME = (1 << 48) - 1  # a version keeps 48 bits of it

DURATION = re.compile(r"(\d{1,9})(ms|s|m|h|d|w)")
UNITS = {"ms": 1, "s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}


def parse_time(text: str) -> int:
    """RFC 3339 text with an offset, or ``Z``, to milliseconds; finer digits are cut off. ValueError otherwise."""
    if len(text) < 20 or text[10] not in "Tt ":
        raise ValueError(f"{text!r} is not an RFC 3339 time like 2026-05-01T10:00:00Z")
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is not an RFC 3339 time like 2026-05-01T10:00:00Z") from None
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no UTC offset; end it with Z or +hh:mm")
    milliseconds = (moment - EPOCH) // MILLISECOND
    if milliseconds < 0:
        raise ValueError(f"{text!r} is before 1970")
    return milliseconds


def format_time(milliseconds: int) -> str:
    """Milliseconds to RFC 3339 in UTC: no fraction when it is a whole second, else three digits."""
    day, rest = divmod(milliseconds, DAY)
    minutes, rest = divmod(rest, MINUTE)
    seconds, rest = divmod(rest, SECOND)
    text = f"{day_text(day)}T{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"
    return f"{text}.{rest:03d}Z" if rest else f"{text}Z"


@lru_cache(maxsize=1_024)
def day_text(day: int) -> str:
    """The date of a day since 1970. ``strftime`` costs more than all else in a time's text, so days are kept."""
    return (EPOCH + timedelta(days=day)).strftime("%Y-%m-%d")


def parse_duration(text: str) -> int:
    """``30d``, ``12h``, ``15m``, ``5s``, ``250ms``, ``2w`` to milliseconds. ValueError names the accepted forms."""
    found = DURATION.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a duration like 30d, 12h, 15m, 5s or 250ms")
    return int(found[1]) * UNITS[found[2]]
