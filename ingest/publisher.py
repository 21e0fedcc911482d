"""The one place that produces to Kafka while requests wait: acks=all, idempotent, bounded.

Everything happens on the event loop: while messages wait, librdkafka's delivery reports are fetched every millisecond.
A thread for them would fight with the loop over the interpreter's lock, and cost more than it saves.
``Publisher`` is what the doors know; ``ingest.spool.publisher`` is the one that they get.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer

from ingest.envelope import Message
from ingest.errors import NotAcknowledged, PublisherFull
from ingest.metrics import Metrics
from ingest.seldom import Seldom
from ingest.settings import IngestSettings
from schemas.topics import PARTITIONER

log = structlog.get_logger(__name__)

LINGER_MS: Final = 0.5
"""Who publishes gathers; this is for what is given within one go."""
POLL_S: Final = 0.001
PATIENT_AFTER: Final = 100
PATIENT_POLL_S: Final = 0.02
"""How often reports are fetched while Kafka has been silent for so many times."""
MESSAGE_BYTES: Final = 16 << 20
"""A dead letter may carry a whole refused body."""
FOR_EVER: Final = 0.0
Reported = Callable[[KafkaError | None, Any], None]


class Publisher(Protocol):
    """Takes messages and says when they are durable."""

    def publish(self, message: Message) -> asyncio.Future[None]:
        """Never blocks. The future is done when the message is durable, or fails with NotAcknowledged.

        PublisherFull at once when there is no room.
        """

    async def publish_all(self, messages: Sequence[Message]) -> None:
        """Returns when all are durable; waits for room. NotAcknowledged when not all are: the sender comes again."""


def producer_settings(kafka: str, delivery_timeout_s: float) -> dict[str, Any]:
    """What every producer here has in common. Idempotence makes retries through a broker's restart exactly once."""
    return {
        "bootstrap.servers": kafka,
        "acks": "all",
        "enable.idempotence": True,
        "compression.type": "lz4",
        "partitioner": PARTITIONER,
        "message.timeout.ms": int(delivery_timeout_s * 1_000),
        "message.max.bytes": MESSAGE_BYTES,
        "reconnect.backoff.ms": 50,
        "reconnect.backoff.max.ms": 1_000,
        "retry.backoff.ms": 50,
        "socket.keepalive.enable": True,
        "log_level": 0,  # librdkafka's own lines would stand between ours; error_cb says what matters
    }


class Tally:
    """How many messages were reported."""

    __slots__ = ("acknowledged", "failed")

    def __init__(self) -> None:
        self.acknowledged = 0
        self.failed = 0


class KafkaQueue:
    """librdkafka's bounded queue. It tries for ever: a message is acknowledged, or refused for good, or waits.

    ``away``: all brokers were lost, and nothing was acknowledged since. ``broken``: it must be renewed.
    """

    def __init__(self, settings: IngestSettings, loop: asyncio.AbstractEventLoop, metrics: Metrics) -> None:
        self._loop = loop
        self._metrics = metrics
        self._settings = producer_settings(settings.kafka, FOR_EVER) | {
            "linger.ms": LINGER_MS,
            "queue.buffering.max.messages": settings.queue_messages,
            "queue.buffering.max.kbytes": settings.queue_bytes // 1024,
            "error_cb": self._on_error,
        }
        self._producer = Producer(self._settings)
        self._produce = self._producer.produce
        self._polling: asyncio.TimerHandle | None = None
        self._idle = 0
        self._said = Seldom()
        self._counted = Tally()
        self.tally = Tally()
        self.away = False
        self.broken = False

    def __len__(self) -> int:
        """Messages that are not reported yet."""
        return len(self._producer)

    def produce(self, message: Message, reported: Reported) -> None:
        """Queue one message; ``reported`` is called once, on the loop, with None or the error.

        PublisherFull when there is no room, NotAcknowledged for what Kafka will never take.
        """
        topic, key, value, timestamp, headers = message
        try:
            self._produce(topic, value, key, on_delivery=reported, timestamp=timestamp, headers=headers)
        except BufferError:
            raise PublisherFull from None
        except KafkaException as error:
            raise NotAcknowledged(text_of(error.args[0])) from None
        if self._polling is None:
            self._polling = self._loop.call_later(POLL_S, self._poll)

    def poll(self) -> None:
        """Call what was reported since the last time."""
        before = self.tally.acknowledged
        self._producer.poll(0)
        if self.tally.acknowledged != before:
            self.away = False

    def renew(self) -> None:
        """An idempotent producer with a fatal error takes nothing more: fail what it holds, begin a new one."""
        log.error("producer_renewed", queued=len(self._producer))
        old, self.broken = self._producer, False
        self._producer = Producer(self._settings)
        self._produce = self._producer.produce
        old.purge()
        old.flush(1)

    def close(self, timeout_s: float) -> None:
        """Send what is queued, for so long. What is left was never answered, or is in the spool."""
        left = self._producer.flush(timeout_s)
        if left:
            log.warning("publisher_closed_with_messages_left", left=left)
        if self._polling is not None:
            self._polling.cancel()

    def topics(self, timeout_s: float) -> set[str]:
        """The topics that the broker has. Blocks; NotAcknowledged when it does not answer."""
        try:
            return set(self._producer.list_topics(timeout=timeout_s).topics)
        except KafkaException as error:
            raise NotAcknowledged(text_of(error.args[0])) from None

    def partitions(self, topic: str, timeout_s: float) -> int:
        """How many the topic has, 0 if the broker does not say. Blocks."""
        try:
            return len(self._producer.list_topics(topic, timeout=timeout_s).topics[topic].partitions)
        except KafkaException:
            return 0

    def count(self) -> None:
        """Bring the metrics up to date."""
        now, counted = self.tally, self._counted
        self._metrics.acknowledged.inc(now.acknowledged - counted.acknowledged)
        self._metrics.not_acknowledged.inc(now.failed - counted.failed)
        self._metrics.publisher_queued.set(len(self._producer))
        counted.acknowledged, counted.failed = now.acknowledged, now.failed

    def _poll(self) -> None:
        before = self.tally.acknowledged
        try:
            self.poll()
        finally:
            self._idle = 0 if self.tally.acknowledged != before else self._idle + 1
            pause = POLL_S if self._idle < PATIENT_AFTER else PATIENT_POLL_S
            self._polling = self._loop.call_later(pause, self._poll) if len(self._producer) else None

    def _on_error(self, error: KafkaError) -> None:
        self.broken = self.broken or error.fatal()
        self.away = self.away or error.code() == KafkaError._ALL_BROKERS_DOWN
        if self._said.due():  # it tries again many times a second
            log_error(error)


def log_error(error: KafkaError) -> None:
    """What librdkafka says of its connections; it goes on trying by itself."""
    if error.code() == KafkaError._ALL_BROKERS_DOWN:
        log.warning("kafka_away", error=text_of(error))
    else:
        log.info("kafka_connection", error=text_of(error))


def text_of(error: KafkaError) -> str:
    return f"{error.name()}: {error.str()}"
