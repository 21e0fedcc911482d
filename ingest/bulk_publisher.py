"""Producing without an event loop, for who has a great deal to write and waits at the end: ``accredit load``."""

from __future__ import annotations

from types import TracebackType
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer

from ingest.envelope import Message
from ingest.errors import NotAcknowledged
from ingest.publisher import log_error, producer_settings, text_of

POLL_EVERY = 1_000
ROOM_S = 0.1


class BulkPublisher:
    """Blocks while the bounded queue is full; ``flush`` returns when everything is acknowledged with acks=all."""

    def __init__(self, kafka: str, *, delivery_timeout_s: float = 300.0, queue_bytes: int = 64 << 20) -> None:
        """``delivery_timeout_s``: how long a broker may be away before the load fails."""
        self._delivery_timeout_s = delivery_timeout_s
        self._failures = 0
        self._first_failure: str | None = None
        self._since_poll = 0
        self._producer = Producer(
            producer_settings(kafka, delivery_timeout_s)
            | {
                "linger.ms": 20,
                "batch.size": 512 * 1024,
                "queue.buffering.max.messages": 200_000,
                "queue.buffering.max.kbytes": queue_bytes // 1024,
                "delivery.report.only.error": True,
                "on_delivery": self._reported,
                "error_cb": log_error,
            }
        )

    def publish(self, message: Message) -> None:
        """Queue one message; blocks while there is no room. NotAcknowledged once any message has failed."""
        topic, key, value, timestamp, headers = message
        while True:
            try:
                self._producer.produce(topic, value, key, timestamp=timestamp, headers=headers)
                break
            except BufferError:
                self._producer.poll(ROOM_S)
                self._raise_failures()
            except KafkaException as error:
                raise NotAcknowledged(text_of(error.args[0])) from None
        self._since_poll += 1
        if self._since_poll >= POLL_EVERY:
            self._since_poll = 0
            self._producer.poll(0)
            self._raise_failures()

    def flush(self) -> None:
        """Wait until all is acknowledged. NotAcknowledged says how many messages are not, and why."""
        left = self._producer.flush(self._delivery_timeout_s + 10)
        self._raise_failures()
        if left:
            raise NotAcknowledged(f"{left} messages were not acknowledged in {self._delivery_timeout_s:g} s")

    def __enter__(self) -> BulkPublisher:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.flush()
        else:  # interrupted: send what is queued if that is quick, but do not hold the operator up
            self._producer.flush(5)

    def _reported(self, error: KafkaError | None, _: Any) -> None:
        if error is not None:
            self._failures += 1
            self._first_failure = self._first_failure or text_of(error)

    def _raise_failures(self) -> None:
        if self._failures:
            raise NotAcknowledged(f"{self._failures} messages failed, the first with {self._first_failure}")
