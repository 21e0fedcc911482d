"""The store's twin in memory: it passes the same contract tests, and loses on a crash what was not flushed."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass, field, replace

from processors.store.touch_store import SESSION_BYTES, Applied, Row

NOTHING = Applied(None, None)


@dataclass
class MemoryDisk:
    """What survives a crash of the process. Hand the same disk to the next store to open it again."""

    touches: dict[bytes, bytes] = field(default_factory=dict)
    conversions: dict[bytes, bytes] = field(default_factory=dict)
    applied: Applied = NOTHING
    begun_at: int = 0

    def copy(self) -> MemoryDisk:
        return replace(self, touches=dict(self.touches), conversions=dict(self.conversions))


class MemoryTouchStore:
    """A TouchStore over a MemoryDisk. Dropping it without ``close`` is a crash."""

    def __init__(self, disk: MemoryDisk, ttl_ms: int) -> None:
        self._disk = disk
        self._now = disk.copy()
        self._ttl_ms = ttl_ms
        self._converted = {key[:SESSION_BYTES] for key in self._now.conversions}

    @property
    def converted(self) -> Set[bytes]:
        return self._converted

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

    def begin(self, complete_since: int) -> None:
        self._now.begun_at = complete_since

    def complete_since(self, now: int) -> int:
        return max(self._now.begun_at, now - self._ttl_ms)

    def flush(self) -> None:
        state = self._now.copy()
        self._disk.touches, self._disk.conversions = state.touches, state.conversions
        self._disk.applied, self._disk.begun_at = state.applied, state.begun_at

    def flush_touches(self) -> None:
        """What RocksDB may do by itself at any time: one topic's writes go to disk, the other's do not yet."""
        self._disk.touches = dict(self._now.touches)
        self._disk.applied = self._disk.applied._replace(touches=self._now.applied.touches)

    def close(self) -> None:
        self.flush()
