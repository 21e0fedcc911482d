"""What every door works with, and how they refuse: the sender gets a problem document, the log a dead letter."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from os import urandom
from typing import Final

from ingest.access.gate import Gate
from ingest.births import Births
from ingest.edge.visitor import Edge
from ingest.http import Answer, Scope, problem, refusal_of
from ingest.intake import Accepted, Intake
from ingest.metrics import Metrics
from ingest.publisher import Publisher
from ingest.recent import RecentConversions
from ingest.settings import IngestSettings
from schemas.errors import InvalidEvent

ENTROPY_PORTION: Final = 4_096


def wall_clock() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


class Entropy:
    """Random bytes for ids, taken from the system in larger portions: each ``urandom`` is a system call."""

    def __init__(self) -> None:
        self._pool = b""
        self._used = 0

    def __call__(self, size: int) -> bytes:
        start = self._used
        if start + size > len(self._pool):
            self._pool, start = urandom(ENTROPY_PORTION), 0
        self._used = start + size
        return self._pool[start : self._used]


@dataclass(frozen=True, slots=True)
class DoorContext:
    """One process's settings, publisher, intake and metrics; clock and entropy come in, so that tests decide them."""

    settings: IngestSettings
    publisher: Publisher
    intake: Intake
    metrics: Metrics
    now: Callable[[], int] = wall_clock
    entropy: Callable[[int], bytes] = field(default_factory=Entropy)
    births: Births = field(default_factory=Births)
    edge: Edge = field(default_factory=Edge)
    gate: Gate = field(default_factory=Gate)
    recent: RecentConversions = field(default_factory=RecentConversions)

    async def publish(self, accepted: Accepted, door: str) -> None:
        """Durable when it returns; NotAcknowledged otherwise."""
        await self.publisher.publish(accepted.message)
        self.metrics.took(door, accepted.kind)

    async def refuse(
        self, error: InvalidEvent, original: bytes, *, now: int, door: str, status: int | None = None
    ) -> Answer:
        """The dead letter is durable before its sender is told."""
        await self.publisher.publish(self.intake.refuse(error, original, now=now, door=door))
        self.metrics.refused.labels(door, error.reason).inc()
        return problem(refusal_of(error, status))


def request_line(scope: Scope) -> bytes:
    """A request as a dead letter keeps it: ``GET /c/offer?partner=p``. No cookies, no headers."""
    query = f"?{scope.query_string}" if scope.query_string else ""
    return f"{scope.method} {scope.path}{query}".encode(errors="replace")
