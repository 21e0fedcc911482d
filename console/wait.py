"""`accredit load --wait`: until all that follows from what was loaded can be queried.

1. The ends of the event topics are noted. Everything loaded lies before them, since it is acknowledged.
2. The attribution group commits offsets only after the credits that follow are acknowledged (DESIGN 1.5). When its
   commits have reached those ends, every credit lies before the ends of its topic.
3. These ends are noted for settlement, and waited for in the same way.
4. The ends of all topics are noted. The sink commits only after ClickHouse has the rows: when it has reached them, all
   can be queried.

Processes and the broker may be restarted meanwhile: what cannot be asked now is asked again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from console.errors import BrokerUnreachable, WaitTimedOut
from console.lag import ATTRIBUTION, EVENTS_IN, SETTLEMENT, SINK, Offset, Offsets, Place, Stage, behind

POLL_S = 0.2
AGAIN_S = 1.0


class Offsetted(Protocol):
    """What is asked of a broker: `console.lag.Broker`."""

    def offsets(self, topics: Iterable[str]) -> Mapping[Place, Offset]: ...

    def committed(self, stage: Stage) -> Offsets: ...


OnTrouble = Callable[[str], None]
"""Called with the reason when something cannot be asked; it is asked again."""
OnWait = Callable[[str, int, int], None]
"""Called with the stage's name, the records that it has yet to do, and the number when it began."""


class Waiter:
    """Waits for stages, with one deadline over all."""

    def __init__(
        self,
        broker: Offsetted,
        timeout_s: float,
        on_wait: OnWait,
        on_trouble: OnTrouble = lambda reason: None,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._broker = broker
        self._timeout_s = timeout_s
        self._on_wait = on_wait
        self._on_trouble = on_trouble
        self._clock = clock
        self._pause = pause
        self._deadline = clock() + timeout_s

    def until_queryable(self) -> None:
        """Return when what is in the event topics now, and what follows from it, is in ClickHouse. WaitTimedOut."""
        self.until_committed(ATTRIBUTION, self._noted(EVENTS_IN))
        self.until_committed(SETTLEMENT, self._noted(SETTLEMENT.topics))
        self.until_committed(SINK, self._noted(SINK.topics))

    def until_committed(self, stage: Stage, ends: Mapping[Place, Offset]) -> None:
        """Return when the stage's group has committed up to ``ends`` on its topics."""
        began: int | None = None
        left = -1
        while True:
            try:
                left = behind(ends, self._broker.committed(stage), stage.topics)
            except BrokerUnreachable as error:
                self._on_trouble(str(error))
                self._pause_or_give_up(AGAIN_S, stage.name, str(error))
                continue
            began = left if began is None else began
            self._on_wait(stage.name, left, began)
            if left == 0:
                return
            self._pause_or_give_up(POLL_S, stage.name, f"{left:,} records are not done yet")

    def _noted(self, topics: Iterable[str]) -> Mapping[Place, Offset]:
        while True:
            try:
                return self._broker.offsets(topics)
            except BrokerUnreachable as error:
                self._on_trouble(str(error))
                self._pause_or_give_up(AGAIN_S, "kafka", str(error))

    def _pause_or_give_up(self, pause_s: float, stage: str, why: str) -> None:
        if self._clock() >= self._deadline:
            raise WaitTimedOut(
                f"waited {self._timeout_s:.0f} s, and {stage} is not there: {why}. What was loaded is in Kafka and is "
                "not lost; see `accredit status`, or wait longer with --timeout. Loading it again does no harm."
            )
        self._pause(pause_s)
