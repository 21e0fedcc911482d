"""Credits and dead letters on their way to Kafka: produced, and acknowledged by all replicas before an offset moves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any, Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from processors.errors import KafkaGone
from processors.runtime.metrics import Metrics
from schemas.codec import encode
from schemas.records import Credit, DeadLetter, Settlement
from schemas.times import SECOND, format_time
from schemas.topics import CREDITS, DEAD_LETTERS, PARTITIONER, SETTLEMENTS

LARGEST_RECORD = 16 << 20
FULL_QUEUE_WAIT_S = 0.05


class Outputs(Protocol):
    """Where results go. The checkpoint calls ``acknowledged`` once per batch."""

    def credit(self, credit: Credit) -> None:
        """Hand over a credit. Does not wait for Kafka, but for room in the queue."""

    def settlement(self, settlement: Settlement) -> None:
        """Hand over a settlement, the same way."""

    def dead_letter(self, letter: DeadLetter) -> None:
        """Hand over a dead letter, the same way."""

    async def acknowledged(self) -> None:
        """Return when all that was handed over is acknowledged. WorkerStopped if that cannot be."""


class KafkaOutputs:
    """Outputs on one idempotent producer. ``clock`` gives milliseconds."""

    def __init__(self, kafka: str, delivery_timeout_s: float, metrics: Metrics, clock: Callable[[], int]) -> None:
        self._kafka = kafka
        self._patience_s = delivery_timeout_s
        self._metrics = metrics
        self._clock = clock
        self._failure: KafkaError | None = None
        self._producer = Producer(
            {
                "bootstrap.servers": kafka,
                "acks": "all",
                "enable.idempotence": True,
                "partitioner": PARTITIONER,
                "compression.type": "lz4",
                "linger.ms": 5,
                "message.max.bytes": LARGEST_RECORD,
                "delivery.timeout.ms": int(delivery_timeout_s * SECOND),
                "queue.buffering.max.messages": 200_000,
                "queue.buffering.max.kbytes": 262_144,
                "reconnect.backoff.max.ms": 1_000,
                "log_level": 2,
                "delivery.report.only.error": True,
                "on_delivery": self._delivered,
            }
        )

    def credit(self, credit: Credit) -> None:
        name, at = credit.conversion_id, credit.occurred_at
        self._produce(CREDITS, name.encode(), encode(credit), name, "accredit.credit", at)
        self._metrics.credits.labels(credit.status).inc()

    def settlement(self, settlement: Settlement) -> None:
        name, at = settlement.conversion_id, settlement.occurred_at
        self._produce(SETTLEMENTS, name.encode(), encode(settlement), name, "accredit.settlement", at)

    def dead_letter(self, letter: DeadLetter) -> None:
        name, at = letter.dead_letter_id, letter.received_at
        self._produce(DEAD_LETTERS, name.encode(), encode(letter), name, "accredit.dead_letter", at)
        self._metrics.dead_letters.labels(letter.reason).inc()

    def _produce(self, topic: str, key: bytes, value: bytes, name: str, kind: str, at: int) -> None:
        headers: list[Any] = [("ce_id", name), ("ce_type", kind), ("ce_time", format_time(at))]
        # Kafka refuses a time more than an hour ahead; whatever an event says must not stop what follows from it.
        timestamp = min(at, self._clock())
        deadline = time.monotonic() + self._patience_s
        while True:
            try:
                self._producer.produce(topic, value, key, timestamp=timestamp, headers=headers)
                return
            except BufferError:
                if time.monotonic() > deadline:
                    raise KafkaGone(self._kafka, f"took no record for {self._patience_s:g} s") from None
                self._producer.poll(FULL_QUEUE_WAIT_S)
            except KafkaException as error:
                raise KafkaGone(self._kafka, f"refused a record for {topic}: {error}") from error

    def _delivered(self, error: KafkaError | None, message: Message) -> None:
        if error is not None and self._failure is None:
            self._failure = error

    async def acknowledged(self) -> None:
        if len(self._producer):
            left = await asyncio.get_running_loop().run_in_executor(None, self._producer.flush, self._patience_s + 5)
            if left:
                raise KafkaGone(self._kafka, f"{left} records were not acknowledged within {self._patience_s:g} s")
        if self._failure is not None:
            raise KafkaGone(self._kafka, f"a record was not taken: {self._failure}")

    def close(self) -> None:
        """Forget what is queued: it was not committed, and will be produced again."""
        self._producer.purge()
        self._producer.flush(1)
