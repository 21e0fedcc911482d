"""What every door works with, and how they refuse: the sender gets a problem document, the log a dead letter."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from os import urandom

from ingest.http import Answer, Scope, problem, refusal_of
from ingest.intake import Accepted, Intake
from ingest.metrics import Metrics
from ingest.publisher import Publisher
from ingest.settings import IngestSettings
from schemas.errors import InvalidEvent


def wall_clock() -> int:
    """Milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class DoorContext:
    """One process's settings, publisher, intake and metrics; clock and entropy come in, so that tests decide them."""

    settings: IngestSettings
    publisher: Publisher
    intake: Intake
    metrics: Metrics
    now: Callable[[], int] = wall_clock
    entropy: Callable[[int], bytes] = urandom

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
