"""A batch into ClickHouse: what is poisoned is found and set aside, the rest goes in, whatever it takes.

One batch, in this order. Every step can be repeated: rows are told apart by their place in Kafka, dead letters by their
content, and readers go through views that take each once (DESIGN 1.2, 1.5).

1. The consumer hands over a batch: rows by shape, and records without a valid frame.
   Crash: nothing happened; the offsets still point before the batch.
2. Each shape's rows are inserted, one INSERT a shape. ClickHouse answers when the part is written (async_insert=0).
   Crash between two shapes or after the last: the batch is read and inserted again; its rows are there twice until
   the next merge, and once in the views.
3. Rows that ClickHouse refuses are found: those that do not decode first, what is left by halving. The others go in.
   Crash: as 2.
4. Records that cannot become rows are produced to the dead letters and acknowledged by all replicas.
   Crash: they are produced again under the same ids.
5. The consumer commits the batch's offsets.
   Crash before it: the batch is read again, as 2 and 4. After it: the next start goes on behind the batch.

While ClickHouse or Kafka is away, the step is tried again, for ever, with pauses; nothing is skipped and nothing
committed. Only `stop` ends the wait, with the batch undone: its offsets stay where they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from threading import Event
from typing import Protocol, TypeVar

import structlog

from schemas.codec import decode
from schemas.errors import BadFrame
from sinks.clickhouse.errors import Refused, Unavailable
from sinks.clickhouse.metrics import METRICS
from sinks.clickhouse.rows import Batch, Rejected, Row, Shape
from sinks.clickhouse.settings import RetryPolicy
from sinks.clickhouse.target import Target

log = structlog.get_logger(__name__)

REFUSED = "REFUSED_BY_CLICKHOUSE"
Result = TypeVar("Result")


class DeadLetters(Protocol):
    """Where rejected records go."""

    def send(self, rejected: Sequence[Rejected]) -> None:
        """Blocks until all are acknowledged. Unavailable when they are not: nothing is lost, call again."""


class Stopped(Exception):
    """`stop` was called while a step could not be done."""


class Writer:
    """Steps 2 to 4 of the module's order. `write` blocks and is called from one thread; `stop` from any."""

    def __init__(self, target: Target, dead_letters: DeadLetters, retry: RetryPolicy) -> None:
        self._target = target
        self._dead_letters = dead_letters
        self._retry = retry
        self._stopping = Event()
        self.trouble: str | None = None
        """Why nothing goes on at the moment, for readiness; None while all is well."""

    def stop(self) -> None:
        """Give up waiting for what is away: `write` raises Stopped instead of trying again."""
        self._stopping.set()

    def write(self, batch: Batch) -> None:
        """Return when every record of the batch is a row or a dead letter. Raises Stopped."""
        rejected = list(batch.rejected)
        for shape, rows in batch.rows.items():
            began = time.monotonic()
            refused = self._until_done(shape.table, partial(insert, self._target, shape, rows))
            METRICS.rows.labels(shape.table).inc(len(rows) - len(refused))
            METRICS.insert_seconds.labels(shape.table).observe(time.monotonic() - began)
            rejected += refused
        if rejected:
            self._until_done("dead letters", partial(self._dead_letters.send, rejected))

    def _until_done(self, what: str, step: Callable[[], Result]) -> Result:
        attempt = 0
        while True:
            try:
                result = step()
            except Unavailable as error:
                pause_s = self._retry.pause_s(attempt)
                attempt += 1
                self.trouble = f"{what}: {error}"
                METRICS.retries.labels(what).inc()
                log.warning("sink_waits", what=what, attempt=attempt, again_in_s=pause_s, detail=str(error))
                if self._stopping.wait(pause_s):
                    raise Stopped(self.trouble) from error
            else:
                if attempt:
                    log.info("sink_goes_on", what=what, attempts=attempt + 1)
                self.trouble = None
                return result


def insert(target: Target, shape: Shape, rows: Sequence[Row]) -> list[Rejected]:
    """Insert rows of one shape; those that ClickHouse refuses are returned, all others are there. Unavailable."""
    try:
        target.insert(shape, rows)
    except Refused as error:
        log.warning("insert_refused", table=shape.table, rows=len(rows), code=error.code, detail=error.detail)
    else:
        return []
    try:
        target.insert(shape, ())
    except Refused as error:
        raise Unavailable(f"{shape.table} takes not even an insert without rows: {error.detail}") from error
    sound, rejected = decodable(shape, rows)
    return rejected + insert_by_halves(target, shape, sound)


def insert_by_halves(target: Target, shape: Shape, rows: Sequence[Row]) -> list[Rejected]:
    """As `insert`, for rows among which some are poisoned."""
    if not rows:
        return []
    try:
        target.insert(shape, rows)
    except Refused as error:
        if len(rows) == 1:
            return [Rejected(shape.topic, rows[0], REFUSED, error.detail)]
        middle = len(rows) // 2
        first = insert_by_halves(target, shape, rows[:middle])
        return first + insert_by_halves(target, shape, rows[middle:])
    return []


def decodable(shape: Shape, rows: Sequence[Row]) -> tuple[list[Row], list[Rejected]]:
    """Rows whose value is what its frame says, and the others: thousands of these cost thousands of inserts."""
    sound: list[Row] = []
    rejected: list[Rejected] = []
    for row in rows:
        try:
            decode(row.value)
        except BadFrame as error:
            rejected.append(Rejected(shape.topic, row, error.reason, error.detail))
        else:
            sound.append(row)
    return sound, rejected
