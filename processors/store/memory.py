"""The store's twin in memory: it passes the same contract tests, and loses on a crash what was not flushed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Set
from dataclasses import dataclass, field, replace

from processors.store.touch_store import SESSION_BYTES, Applied, Row, complete_after
from schemas.topics import CLICKS, CONVERSIONS

NOTHING = Applied(None, None)


@dataclass
class MemoryDisk:
    """What survives a crash of the process. Hand the same disk to the next store to open it again."""

    touches: dict[bytes, bytes] = field(default_factory=dict)
    conversions: dict[bytes, bytes] = field(default_factory=dict)
    applied: Applied = NOTHING
    begun_at: int = 0
    born_at: int = 0

    def copy(self) -> MemoryDisk:
        return replace(self, touches=dict(self.touches), conversions=dict(self.conversions))


class MemoryTouchStore:
    """A TouchStore over a MemoryDisk. Dropping it without ``close`` is a crash."""

    def __init__(self, disk: MemoryDisk, ttl_ms: int) -> None:
        self._disk = disk
        self._now = disk.copy()
        self._ttl_ms = ttl_ms
        self._converted = {key[:SESSION_BYTES] for key in self._now.conversions}

    topics = (CLICKS, CONVERSIONS)

    @property
    def converted(self) -> Set[bytes]:
        return self._converted

    @property
    def size(self) -> int:
        return len(self._converted)

    def put(self, topic: str, rows: Iterable[Row], next_offset: int) -> None:
        if topic == CONVERSIONS:
            self.put_conversions(rows, next_offset)
        else:
            self.put_touches(rows, next_offset)

    def put_touches(self, rows: Iterable[Row], next_offset: int) -> None:
        self._now.touches.update(rows)
        self._now.applied = self._now.applied._replace(touches=max(self._now.applied.touches or 0, next_offset))

    def put_conversions(self, rows: Iterable[Row], next_offset: int) -> None:
        rows = list(rows)
        self._now.conversions.update(rows)
        self._converted.update(key[:SESSION_BYTES] for key, _ in rows)
        self._now.applied = self._now.applied._replace(conversions=max(self._now.applied.conversions or 0, next_offset))

    def touches(self, session: bytes) -> list[bytes]:
        return [value for key, value in sorted(self._now.touches.items()) if key[:SESSION_BYTES] == session]

    def conversions(self, session: bytes) -> list[bytes]:
        return [value for key, value in sorted(self._now.conversions.items()) if key[:SESSION_BYTES] == session]

    def applied(self) -> Applied:
        return self._now.applied

    def begin(self, complete_since: int, now: int) -> None:
        self._now.begun_at = complete_since
        self._now.born_at = now

    def complete_since(self, now: int) -> int:
        return complete_after(self._now.begun_at, self._now.born_at, self._ttl_ms, now)

    def flush(self) -> None:
        self.flush_topics((CLICKS, CONVERSIONS))

    def flush_topics(self, topics: Collection[str]) -> None:
        """What RocksDB may do by itself at any time: one database's writes go to disk, the other's do not yet."""
        if CLICKS in topics:
            self._disk.touches = dict(self._now.touches)
            self._disk.applied = self._disk.applied._replace(touches=self._now.applied.touches)
        if CONVERSIONS in topics:
            self._disk.conversions = dict(self._now.conversions)
            self._disk.applied = self._disk.applied._replace(conversions=self._now.applied.conversions)
            self._disk.begun_at = self._now.begun_at
            self._disk.born_at = self._now.born_at

    def close(self) -> None:
        self.flush()
