"""The consumer group over all topics: reads, hands batches to the writer, commits what is in ClickHouse.

One thread reads and fills a batch while another inserts the one before (`writer` has the order of steps). When both are
full, reading waits: memory is bounded by two batches and librdkafka's own queue. Partitions are only paused when that
takes long, since a pause throws away what was fetched ahead.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from threading import Event, Thread

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.topics import TOPICS
from sinks.clickhouse.errors import SinkError
from sinks.clickhouse.inflight import InFlight
from sinks.clickhouse.metrics import METRICS
from sinks.clickhouse.rows import Batch, Place, Row, shapes
from sinks.clickhouse.settings import SinkSettings
from sinks.clickhouse.writer import Writer

log = structlog.get_logger(__name__)

READ_RECORDS = 10_000
READ_WAIT_S = 0.1
PAUSE_AFTER_S = 5.0
COMMIT_AGAIN_S = 1.0
LAG_EVERY_S = 1.0
HANDOVER_S = 5.0
CLOSE_S = 2.0


def consumer_config(settings: SinkSettings) -> dict[str, object]:
    """librdkafka's settings. Offsets are committed by us alone, after the insert."""
    config: dict[str, object] = {
        "bootstrap.servers": settings.kafka,
        "group.id": settings.group_id,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "partition.assignment.strategy": "cooperative-sticky",
        "session.timeout.ms": int(settings.session_timeout_s * 1000),
        "heartbeat.interval.ms": int(settings.session_timeout_s * 1000 / 4),
        "fetch.min.bytes": 256 * 1024,  # flushes wait anyway; tiny fetches cost the broker more than their records
        "fetch.wait.max.ms": 200,
        "max.partition.fetch.bytes": 8 * 1024 * 1024,
        "fetch.max.bytes": 32 * 1024 * 1024,
        "queued.max.messages.kbytes": 32 * 1024,
        "queued.min.messages": 100_000,
        "topic.metadata.refresh.interval.ms": 10_000,
        "allow.auto.create.topics": False,
        "log_level": 0,
    }
    if settings.instance_id is not None:
        config["group.instance.id"] = settings.instance_id
    return config


class Sink:
    """One member of the group. `run` blocks until ``stopping`` is set and everything read is in, or time is up."""

    def __init__(self, settings: SinkSettings, writer: Writer, stopping: Event) -> None:
        self._settings = settings
        self._writer = writer
        self._stopping = stopping
        self._known = shapes()
        self._consumer = Consumer(
            consumer_config(settings) | {"on_commit": self._on_commit, "error_cb": self._on_error}
        )
        self._owned: set[Place] = set()
        self._filling = Batch(self._known)
        self._begun_at = 0.0
        self._in_flight: InFlight | None = None
        self._paused = False
        self._uncommitted: dict[Place, int] = {}
        self._commit_again_at = 0.0
        self._lag_at = 0.0
        self._joined = False
        self._trouble: str | None = None

    def not_ready(self) -> str | None:
        """Why rows do not flow at the moment, or None."""
        if self._trouble or self._writer.trouble:
            return self._trouble or self._writer.trouble
        return None if self._joined else "waiting for partitions of the topics"

    def run(self) -> None:
        """Read and insert until stopped. Raises SinkError when the group will not have this member."""
        self._consumer.subscribe(
            [topic.name for topic in TOPICS],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )
        try:
            while not self._stopping.is_set():
                self.step()
            self._drain(time.monotonic() + self._settings.stop_within_s)
        finally:
            self._close()

    def step(self) -> None:
        """One turn: read, see to the batch in flight, hand over the next, commit."""
        flush, filling = self._settings.flush, self._filling
        if flush.full(filling.count, filling.size) and self._in_flight is not None and not self._paused:
            if not self._in_flight.done(READ_WAIT_S) and time.monotonic() - self._in_flight.started_at > PAUSE_AFTER_S:
                self._pause()
        else:
            self._read()
        self._settle()
        self._hand_over()
        self._commit()
        self._measure_lag()

    def _read(self) -> None:
        for message in self._consumer.consume(READ_RECORDS, READ_WAIT_S):
            error = message.error()
            if error is not None:
                self._on_error(error)
                continue
            if not self._filling.count:
                self._begun_at = time.monotonic()
            self._filling.add(*row_of(message))
            self._trouble = None

    def _settle(self) -> None:
        """Step 5 for the batch in flight, once it is in ClickHouse."""
        flying = self._in_flight
        if flying is None or not flying.done():
            return
        METRICS.delay_seconds.observe(time.monotonic() - flying.begun_at)
        self._uncommitted |= {place: at for place, at in flying.batch.offsets.items() if place in self._owned}
        self._commit_again_at = 0.0
        self._in_flight = None

    def _hand_over(self) -> None:
        if self._in_flight is not None:
            return
        age_s = time.monotonic() - self._begun_at
        if self._settings.flush.due(self._filling.count, self._filling.size, age_s):
            self._in_flight = InFlight(self._writer, self._filling, self._begun_at)
            self._filling = Batch(self._known)
        if self._paused:
            self._consumer.resume(partitions(self._owned))
            self._paused = False

    def _pause(self) -> None:
        """Keep polling, so that the group does not take us for dead, without reading further."""
        self._consumer.pause(partitions(self._owned))
        self._paused = True

    def _commit(self) -> None:
        """Ask for a commit; `_on_commit` hears of it. What failed is asked for again."""
        if not self._uncommitted or time.monotonic() < self._commit_again_at:
            return
        self._commit_again_at = time.monotonic() + COMMIT_AGAIN_S
        try:
            self._consumer.commit(offsets=with_offsets(self._uncommitted), asynchronous=True)
        except KafkaException as error:
            log.warning("commit_failed", detail=error.args[0].str())

    def _commit_now(self, places: Iterable[Place]) -> None:
        offsets = {place: self._uncommitted.pop(place) for place in set(places) & self._uncommitted.keys()}
        if not offsets:
            return
        try:
            self._consumer.commit(offsets=with_offsets(offsets), asynchronous=False)
        except KafkaException as error:
            log.warning("commit_failed", detail=error.args[0].str(), partitions=len(offsets))

    def _on_commit(self, error: KafkaError | None, committed: Sequence[TopicPartition]) -> None:
        if error is not None:
            if error.code() != KafkaError._NO_OFFSET:
                log.warning("commit_failed", detail=error.str())
            return
        for each in committed:
            place = (each.topic, each.partition)
            if each.error is None and self._uncommitted.get(place, -1) <= each.offset:
                self._uncommitted.pop(place, None)

    def _on_assign(self, consumer: Consumer, assigned: list[TopicPartition]) -> None:
        self._owned |= places_of(assigned)
        self._joined = True
        consumer.incremental_assign(assigned)
        if self._paused:
            consumer.pause(assigned)
        log.info("partitions_assigned", count=len(assigned), owned=len(self._owned))

    def _on_revoke(self, consumer: Consumer, revoked: list[TopicPartition]) -> None:
        """Finish what is in flight, if it is quick, so that the next owner does not insert it again."""
        places = places_of(revoked)
        if self._in_flight is not None and self._in_flight.done(HANDOVER_S):
            self._settle()
        self._commit_now(places)
        self._forget(places)
        consumer.incremental_unassign(revoked)
        log.info("partitions_revoked", count=len(revoked), owned=len(self._owned))

    def _on_lost(self, consumer: Consumer, lost: list[TopicPartition]) -> None:
        self._forget(places_of(lost))
        consumer.incremental_unassign(lost)
        log.warning("partitions_lost", count=len(lost), owned=len(self._owned))

    def _forget(self, places: set[Place]) -> None:
        """Partitions that are another's now: what is in flight of them goes in (harmless), what waits is dropped."""
        self._owned -= places
        self._filling.drop(places)
        for place in places:
            self._uncommitted.pop(place, None)
            if self._in_flight is not None:
                self._in_flight.batch.offsets.pop(place, None)

    def _on_error(self, error: KafkaError) -> None:
        if error.fatal() or error.code() == KafkaError._FATAL:  # the callback gets the second, which says fatal() False
            raise SinkError(f"Kafka will not have this consumer in group {self._settings.group_id!r}: {error.str()}")
        self._trouble = f"Kafka: {error.str()}"
        log.warning("kafka_error", code=error.name(), detail=error.str())

    def _measure_lag(self) -> None:
        if time.monotonic() < self._lag_at:
            return
        self._lag_at = time.monotonic() + LAG_EVERY_S
        lag = dict.fromkeys((topic.name for topic in TOPICS), 0)
        for at in self._consumer.position(partitions(self._owned)):
            if at.offset >= 0:  # else nothing was read of it since it was assigned, so there is nothing to read
                lag[at.topic] += max(0, self._consumer.get_watermark_offsets(at, cached=True)[1] - at.offset)
        pending = [self._filling, *([self._in_flight.batch] if self._in_flight is not None else [])]
        for batch in pending:
            for shape, rows in batch.rows.items():
                lag[shape.topic] += len(rows)
        for topic, records in lag.items():
            METRICS.lag.labels(topic).set(records)

    def _drain(self, deadline: float) -> None:
        """The end: what was read goes in and is committed, as far as time allows; the rest is read again."""
        for _ in range(2):
            if self._in_flight is None and self._filling.count:
                self._in_flight = InFlight(self._writer, self._filling, self._begun_at)
                self._filling = Batch(self._known)
            if self._in_flight is not None and not self._in_flight.done(max(0.0, deadline - time.monotonic())):
                self._writer.stop()
                log.warning("stopped_unfinished", records=self._in_flight.batch.count + self._filling.count)
                break
            self._settle()
        self._commit_now(set(self._uncommitted))

    def _close(self) -> None:
        """Leave the group. librdkafka's close waits for the broker, which may be away."""
        self._owned.clear()
        closing = Thread(target=self._consumer.close, name="close", daemon=True)
        closing.start()
        closing.join(CLOSE_S)


def row_of(message: Message) -> tuple[str, Row]:
    """Topic and row of a record that was read."""
    topic, partition, offset = message.topic(), message.partition(), message.offset()
    if topic is None or partition is None or offset is None:
        raise ValueError("a record without a place in Kafka")
    return topic, Row(partition, offset, message.value() or b"", message.key(), message.timestamp()[1])


def places_of(partitions: Iterable[TopicPartition]) -> set[Place]:
    return {(each.topic, each.partition) for each in partitions}


def partitions(places: Iterable[Place]) -> list[TopicPartition]:
    return [TopicPartition(topic, partition) for topic, partition in places]


def with_offsets(offsets: dict[Place, int]) -> list[TopicPartition]:
    return [TopicPartition(topic, partition, at) for (topic, partition), at in offsets.items()]
