"""What a partition remembers: the touches and conversions of its sessions, and how far it has read the log.

A store is a cache of the log (DESIGN 1.1). It may lose its newest writes in a crash, but never in the middle: what it
holds of a topic is all that it ever applied up to the offset that it names.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence, Set
from typing import NamedTuple, Protocol

from xxhash import xxh3_64_intdigest

SESSION_BYTES = 16
KEY_BYTES = 32

Row = tuple[bytes, bytes]
"""Key (``row_key``) and the raw value of a Kafka record."""

pack_key = struct.Struct(">16sqQ").pack


def row_key(session: bytes, occurred_at: int, value: bytes) -> bytes:
    """Session (16 bytes), time, digest of the value: the same bytes delivered twice are one row."""
    return pack_key(session, occurred_at, xxh3_64_intdigest(value))


class Applied(NamedTuple):
    """The offset behind the last applied record of each topic; None where nothing ever was."""

    touches: int | None
    conversions: int | None


class LogStore(Protocol):
    """What any stage's store of one partition can do. Methods may raise what ``processors.errors`` lists for stores.

    All methods are quick but ``flush`` and ``close``, which write to disk. One thread at a time.
    """

    @property
    def topics(self) -> tuple[str, ...]:
        """The topics that it holds rows of, in the order of ``applied``."""

    @property
    def size(self) -> int:
        """What it keeps in memory, in entries: sessions with a conversion, for touches."""

    def put(self, topic: str, rows: Sequence[Row], next_offset: int) -> None:
        """Add rows of a topic and move its offset, both or neither. The offset never moves back."""

    def applied(self) -> tuple[int | None, ...]:
        """Per topic the offset behind the last applied record; None where nothing ever was."""

    def begin(self, complete_since: int, now: int) -> None:
        """Note that a fresh store is filled from ``now`` on and knows everything written since ``complete_since``."""

    def flush(self) -> None:
        """Put everything on disk; a crash after that loses nothing."""

    def close(self) -> None:
        """Flush and let go. Nothing may be called after it."""


class TouchStore(LogStore, Protocol):
    """The store of attribution: touches and conversions by session."""

    @property
    def converted(self) -> Set[bytes]:
        """The sessions that have a conversion: asked once per click, so it is a set in memory."""

    def put_touches(self, rows: Iterable[Row], next_offset: int) -> None:
        """Add rows and move the offset, both or neither. The offset never moves back."""

    def put_conversions(self, rows: Iterable[Row], next_offset: int) -> None:
        """The same for conversions. They never expire: a duplicate is one for ever (RULES R32)."""

    def touches(self, session: bytes) -> list[bytes]:
        """The values of all touches of a session, by time."""

    def conversions(self, session: bytes) -> list[bytes]:
        """The values of all conversion events of a session, by time."""

    def applied(self) -> Applied:
        """How far each topic has been applied."""

    def complete_since(self, now: int) -> int:
        """Since when it knows every touch: its beginning; once touches can have expired, their time to live ago."""


def complete_after(begun_at: int, born_at: int, ttl_ms: int, now: int) -> int:
    """The rule of ``complete_since``: nothing expires before the store is as old as its touches live."""
    expired_before = now - ttl_ms
    return max(begun_at, expired_before) if expired_before > born_at else begun_at
