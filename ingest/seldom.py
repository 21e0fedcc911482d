"""For what may happen thousands of times a second: said now and then, with how often it happened since."""

from __future__ import annotations

import time
from collections.abc import Callable


class Seldom:
    """``if (times := seldom.due()): log.error("…", times=times)``."""

    def __init__(self, every_s: float = 5.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._every_s = every_s
        self._clock = clock
        self._times = 0
        self._next = clock()

    def due(self) -> int:
        """Count one. How often it happened since it was last said; 0 when it is too early to say it again."""
        self._times += 1
        now = self._clock()
        if now < self._next:
            return 0
        times, self._times = self._times, 0
        self._next = now + self._every_s
        return times
