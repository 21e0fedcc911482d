"""Touches that repeat themselves: double clicks and floods, in bounded memory.

Each worker process counts what it sees itself: with several of them on a port a threshold is that of one.
"""

from __future__ import annotations

from collections.abc import Hashable

from ingest.edge.config import Flood


class Recent:
    """When a key was last seen, for ``window_ms`` at least, of ``limit`` keys twice over at most."""

    def __init__(self, window_ms: int, limit: int) -> None:
        self._window_ms = window_ms
        self._limit = limit
        self._begun_at = 0
        self._young: dict[Hashable, int] = {}
        self._old: dict[Hashable, int] = {}

    def repeats(self, key: Hashable, now: int) -> bool:
        """Whether it was seen within the window before ``now``; it is seen now."""
        if now - self._begun_at >= self._window_ms or len(self._young) >= self._limit:
            self._old, self._young, self._begun_at = self._young, {}, now
        before = self._young.get(key)
        if before is None:
            before = self._old.get(key)
        self._young[key] = now
        return before is not None and now - before < self._window_ms


class Rate:
    """How often a key was seen within a sliding window: this window's count and the last one's share of it."""

    def __init__(self, flood: Flood, limit: int) -> None:
        self._flag_above = flood.flag_above
        self._invalid_above = flood.invalid_above
        self._window_ms = max(1, int(flood.window_s * 1_000))
        self._limit = limit
        self._begun_at = 0
        self._this: dict[Hashable, int] = {}
        self._last: dict[Hashable, int] = {}

    def level(self, key: Hashable, now: int) -> int:
        """Count one. 0: as usual; 1: to be flagged; 2: invalid."""
        since = now - self._begun_at
        if since >= self._window_ms:
            self._last = self._this if since < 2 * self._window_ms else {}
            self._this = {}
            self._begun_at = now - since % self._window_ms
            since = now - self._begun_at
        count = self._this.get(key, 0) + 1
        if count > 1 or len(self._this) < self._limit:
            self._this[key] = count  # more keys than that are not counted: a flood's is there already
        before = self._last.get(key)
        seen = count if before is None else count + before * (self._window_ms - since) / self._window_ms
        if seen <= self._flag_above:
            return 0
        return 2 if self._invalid_above is not None and seen > self._invalid_above else 1
