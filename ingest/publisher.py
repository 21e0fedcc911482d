"""The one place that produces to Kafka while requests wait: acks=all, idempotent, bounded.

One thread polls librdkafka; delivery reports reach the event loop in batches, one wake-up per batch (DESIGN 10).
``Publisher`` is what the doors know; the durable spool will be another one of it.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import structlog
from confluent_kafka import KafkaError, KafkaException, Producer

from ingest.envelope import Message
from ingest.errors import NotAcknowledged, PublisherFull
from ingest.metrics import Metrics
from ingest.settings import IngestSettings
from schemas.topics import PARTITIONER

log = structlog.get_logger(__name__)

POLL_S = 0.1
SWEEP_S = 1.0
YIELD_EVERY = 500
"""Messages of one batch after which other requests get their turn."""
MESSAGE_BYTES = 16 << 20
"""A dead letter may carry a whole refused body."""


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


class Receipt:
    """Waits for the delivery reports of ``count`` messages. Lives on the event loop, but for ``failed``."""

    __slots__ = ("deadline", "failed", "future", "open")

    def __init__(self, future: asyncio.Future[None], count: int, deadline: float) -> None:
        self.future = future
        self.open = count
        self.deadline = deadline
        self.failed: str | None = None

    def report(self, error: str | None) -> None:
        """One message was delivered, or was not for this reason."""
        self.open -= 1
        if error is not None:
            self.failed = error
        if self.open == 0 and not self.future.done():
            if self.failed is None:
                self.future.set_result(None)
            else:
                self.future.set_exception(NotAcknowledged(self.failed))

    def give_up(self, reason: str) -> None:
        """Stop waiting; what is delivered later is not reported any more."""
        if not self.future.done():
            self.future.set_exception(NotAcknowledged(reason))


class KafkaPublisher:
    """A ``Publisher`` on confluent's Producer. Made and used on one event loop; ``close`` blocks."""

    def __init__(self, settings: IngestSettings, loop: asyncio.AbstractEventLoop, metrics: Metrics) -> None:
        self._loop = loop
        self._metrics = metrics
        self._ack_timeout_s = settings.ack_timeout_s
        self._settings = producer_settings(settings.kafka, settings.delivery_timeout_s) | {
            "linger.ms": settings.linger_ms,
            "queue.buffering.max.messages": settings.queue_messages,
            "queue.buffering.max.kbytes": settings.queue_bytes // 1024,
            "error_cb": self._on_error,
        }
        self._producer = Producer(self._settings)
        self._fatal = False
        self._reports: list[tuple[Receipt, str | None]] = []
        self._waiting: deque[Receipt] = deque()
        self._room = asyncio.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="kafka-reports", daemon=True)
        self._thread.start()
        self._sweeper = loop.call_later(SWEEP_S, self._sweep)

    def publish(self, message: Message) -> asyncio.Future[None]:
        receipt = self._receipt(1)
        self._produce(message, partial(self._reported, receipt))
        self._waiting.append(receipt)
        return receipt.future

    async def publish_all(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        receipt = self._receipt(len(messages))
        reported = partial(self._reported, receipt)
        for done, message in enumerate(messages, 1):
            while True:
                self._room.clear()
                try:
                    self._produce(message, reported)
                    break
                except PublisherFull:
                    await self._wait_for_room(receipt)
            if done % YIELD_EVERY == 0:
                await asyncio.sleep(0)
        self._waiting.append(receipt)
        await receipt.future

    def close(self, timeout_s: float) -> None:
        """Send what is queued, for so long, and stop. What is left was never answered, so nobody counts on it."""
        self._sweeper.cancel()
        left = self._producer.flush(timeout_s)
        self._stopped.set()
        self._thread.join(timeout=1)
        if left:
            log.warning("publisher_closed_with_messages_left", left=left)

    def topics(self, timeout_s: float) -> set[str]:
        """The topics that the broker has. Blocks; NotAcknowledged when it does not answer."""
        try:
            return set(self._producer.list_topics(timeout=timeout_s).topics)
        except KafkaException as error:
            raise NotAcknowledged(text_of(error.args[0])) from None

    @property
    def queued(self) -> int:
        """Messages that wait for Kafka."""
        return len(self._producer)

    def _receipt(self, count: int) -> Receipt:
        return Receipt(self._loop.create_future(), count, self._loop.time() + self._ack_timeout_s)

    def _produce(self, message: Message, reported: Callable[[KafkaError | None, Any], None]) -> None:
        topic, key, value, timestamp, headers = message
        try:
            self._producer.produce(topic, value, key, on_delivery=reported, timestamp=timestamp, headers=headers)
        except BufferError:
            self._metrics.publisher_full.inc()
            raise PublisherFull from None
        except KafkaException as error:
            raise NotAcknowledged(text_of(error.args[0])) from None

    async def _wait_for_room(self, receipt: Receipt) -> None:
        """Until some message was delivered. NotAcknowledged when that takes longer than an answer may."""
        try:
            await asyncio.wait_for(self._room.wait(), receipt.deadline - self._loop.time())
        except TimeoutError:
            raise PublisherFull from None

    # Below here: the polling thread, until the next heading.

    def _poll(self) -> None:
        while not self._stopped.is_set():
            self._producer.poll(POLL_S)
            self._hand_over()
            if self._fatal:
                self._renew()

    def _reported(self, receipt: Receipt, error: KafkaError | None, _: Any) -> None:
        self._reports.append((receipt, None if error is None else text_of(error)))

    def _hand_over(self) -> None:
        if self._reports:
            reports, self._reports = self._reports, []
            try:
                self._loop.call_soon_threadsafe(self._settle, reports)
            except RuntimeError:  # the loop is closed: nobody waits any more
                self._stopped.set()

    def _on_error(self, error: KafkaError) -> None:
        self._fatal = self._fatal or error.fatal()
        log_error(error)

    def _renew(self) -> None:
        """An idempotent producer with a fatal error takes nothing more: fail what it holds, begin a new one."""
        log.error("producer_renewed", queued=len(self._producer))
        old, self._fatal = self._producer, False
        self._producer = Producer(self._settings)
        old.purge()
        old.flush(1)
        self._hand_over()

    # On the event loop again.

    def _settle(self, reports: list[tuple[Receipt, str | None]]) -> None:
        failed = 0
        for receipt, error in reports:
            receipt.report(error)
            failed += error is not None
        self._metrics.acknowledged.inc(len(reports) - failed)
        self._metrics.not_acknowledged.inc(failed)
        self._room.set()

    def _sweep(self) -> None:
        """Fail receipts that are past their deadline. Once a second for all: a timer per click would cost as much."""
        now = self._loop.time()
        while self._waiting and (self._waiting[0].future.done() or self._waiting[0].deadline <= now):
            self._waiting.popleft().give_up(f"no acknowledgement within {self._ack_timeout_s:g} s")
        self._metrics.publisher_queued.set(len(self._producer))
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)


def log_error(error: KafkaError) -> None:
    """What librdkafka says of its connections; it goes on trying by itself."""
    if error.code() == KafkaError._ALL_BROKERS_DOWN:
        log.warning("kafka_away", error=text_of(error))
    else:
        log.info("kafka_connection", error=text_of(error))


def text_of(error: KafkaError) -> str:
    return f"{error.name()}: {error.str()}"
