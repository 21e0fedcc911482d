"""Records that cannot become rows, to the dead-letters topic: with their original bytes and where they stand."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from schemas.codec import decode, encode
from schemas.errors import BadFrame
from schemas.events import dead_letter_id
from schemas.records import DeadLetter
from schemas.topics import DEAD_LETTERS, PARTITIONER
from sinks.clickhouse.errors import Unavailable
from sinks.clickhouse.metrics import METRICS
from sinks.clickhouse.rows import Rejected

log = structlog.get_logger(__name__)

STAGE = "sink"
LONGEST_ORIGINAL = 15 * 1024 * 1024  # the topic takes 16 MiB
ACKNOWLEDGED_WITHIN_S = 15.0


def letter(rejected: Rejected, now: int) -> DeadLetter:
    """The dead letter of a record at ``now`` (milliseconds). What is too long for the topic is cut, and says so."""
    row, detail = rejected.row, rejected.detail
    if len(row.value) > LONGEST_ORIGINAL:
        detail += f" (the original has {len(row.value)} bytes and is cut to {LONGEST_ORIGINAL})"
    return DeadLetter(
        dead_letter_id=dead_letter_id(STAGE, rejected.reason, row.value),
        version=now << 16 | 1,
        withdrawn=False,
        reason=rejected.reason,
        detail=detail,
        field=None,
        stage=STAGE,
        door=None,
        received_at=now,
        topic=rejected.topic,
        partition=row.partition,
        offset=row.offset,
        record_at=row.record_at,
        key=row.key,
        original=row.value[:LONGEST_ORIGINAL],
    )


def own_letter(rejected: Rejected) -> bool:
    """Whether the record is itself a dead letter of the sink: another one about it would be refused in turn."""
    if rejected.topic != DEAD_LETTERS:
        return False
    try:
        record = decode(rejected.row.value)
    except BadFrame:
        return False
    return isinstance(record, DeadLetter) and record.stage == STAGE


class DeadLetterProducer:
    """Produces dead letters and waits for their acknowledgement. One caller at a time."""

    def __init__(self, kafka: str) -> None:
        self._producer = Producer(
            {
                "bootstrap.servers": kafka,
                "acks": "all",
                "enable.idempotence": True,
                "compression.type": "lz4",
                "partitioner": PARTITIONER,
                "message.max.bytes": 16 * 1024 * 1024,
                "message.timeout.ms": int(ACKNOWLEDGED_WITHIN_S * 1000),
                "log_level": 0,
            },
            logger=None,
        )

    def send(self, rejected: Sequence[Rejected]) -> None:
        """See `writer.DeadLetters.send`."""
        failures: list[KafkaError] = []
        now = time.time_ns() // 1_000_000

        def delivered(error: KafkaError | None, message: Message) -> None:
            if error is not None:
                failures.append(error)

        for each in rejected:
            where = {"topic": each.topic, "partition": each.row.partition, "offset": each.row.offset}
            METRICS.rejected.labels(each.topic, each.reason).inc()
            if own_letter(each):
                log.error("dead_letter_refused", **where, reason=each.reason, detail=each.detail)
                continue
            log.warning("record_rejected", **where, reason=each.reason, detail=each.detail)
            self._produce(letter(each, now), delivered)
        left = self._producer.flush(ACKNOWLEDGED_WITHIN_S + 5)
        if failures or left:
            what = failures[0].str() if failures else f"{left} letters without an answer"
            raise Unavailable(f"Kafka did not acknowledge: {what}")

    def _produce(self, record: DeadLetter, delivered: Callable[[KafkaError | None, Message], None]) -> None:
        key = record.dead_letter_id.encode()
        while True:
            try:
                self._producer.produce(
                    DEAD_LETTERS, encode(record), key, timestamp=record.received_at, on_delivery=delivered
                )
            except BufferError:
                self._producer.poll(0.1)
            except KafkaException as error:
                raise Unavailable(f"Kafka took no dead letter: {error.args[0].str()}") from error
            else:
                self._producer.poll(0)
                return
