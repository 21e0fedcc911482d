"""The attribution app: one Faust agent over clicks and conversions. Wiring only; what is decided is in ``core``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Any

import faust
import structlog
from faust.types import TP
from yarl import URL

from processors.errors import StoreDamaged, WorkerBroken, WorkerStopped
from processors.runtime.batches import JOINED, RecordBatch
from processors.runtime.checkpoint import Checkpoint
from processors.runtime.metrics import Metrics
from processors.runtime.partition import LogEnds, Part, Partition, Verdict
from processors.runtime.partitions import Partitions, Place
from processors.runtime.transport import BatchConsumer, Transport
from processors.settings import WorkerSettings

log = structlog.get_logger(__name__)

BATCHES_WAITING = 4
"""Batches between Kafka and the agent; some 10 MB each, and enough that the agent never waits."""


def now_ms() -> int:
    """The wall clock in milliseconds."""
    return time.time_ns() // 1_000_000


class Attribution:
    """Batches in, in order, one at a time; the ``Positions`` that the transport asks.

    Nothing that comes in a record raises out of here. What ends the worker is told to ``on_failure``, once, and from
    then on nothing is done and nothing committed that was not done before.
    """

    def __init__(self, partitions: Partitions, checkpoint: Checkpoint, catalogs: Any, metrics: Metrics) -> None:
        self._partitions = partitions
        self._checkpoint = checkpoint
        self._catalogs = catalogs
        self._metrics = metrics
        self._one_at_a_time = asyncio.Lock()
        self._dealt = False
        self._stopped = False
        self.consumer: BatchConsumer | None = None
        self.failure: WorkerStopped | None = None
        self.on_failure: Callable[[], None] = lambda: None

    # What the transport asks.

    def connect(self, consumer: BatchConsumer) -> None:
        """This is the consumer that reads for us."""
        self.consumer = consumer

    async def assigned(self, ends: Mapping[Place, LogEnds]) -> Mapping[Place, int]:
        """Open the stores of these partitions and say where to read from."""
        async with self._one_at_a_time:
            if self.failure is not None:
                return {}
            try:
                starts = self._partitions.assign(ends)
            except WorkerStopped as error:
                self._fail(error)
                return {}
            self._dealt = True
            self._metrics.rebalances.inc()
            return starts

    def committable(self) -> Mapping[Place, int]:
        """Up to which offsets everything is evaluated and acknowledged."""
        return {
            Place(topic, partition.number): offset
            for partition in self._partitions
            for topic, offset in partition.committable.items()
        }

    async def revoked(self) -> None:
        """A rebalance begins: finish the batch in hand, commit it, and have nothing until ``assigned``."""
        async with self._one_at_a_time:
            if self.consumer is not None and len(self._partitions):
                await self.consumer.commit()
            self._partitions.revoke()
            self._dealt = False

    async def finish(self) -> None:
        """The worker ends: finish the batch in hand, commit it, take no other."""
        self._stopped = True
        async with self._one_at_a_time:
            if self.consumer is not None and len(self._partitions):
                await self.consumer.commit()

    # What the agent does.

    async def process(self, batch: RecordBatch) -> None:
        """One batch through the checkpoint. Never raises: a failure ends the worker through ``on_failure``."""
        await self._catalogs.ready()
        async with self._one_at_a_time:
            partition = self._partitions.get(batch.partition)
            if partition is None or self._stopped or self.failure is not None:
                return
            try:
                with self._metrics.batch_seconds.time():
                    await self._advance(partition, batch)
            except StoreDamaged as error:
                await self._rebuild(batch.partition, error)
            except WorkerStopped as error:
                self._fail(error)
            except Exception as error:
                log.exception("batch_failed", topic=batch.topic, partition=batch.partition, offset=batch.begin)
                place = f"{batch.topic}-{batch.partition} from offset {batch.begin}"
                self._fail(WorkerBroken(f"{place}: {error!r}. Please report this with the log."))

    async def _advance(self, partition: Partition, batch: RecordBatch) -> None:
        assert self.consumer is not None
        recovering = partition.recovering
        while isinstance(part := partition.next_part(batch), Part):
            await self._checkpoint.advance(partition, part)
        here = Place(batch.topic, partition.number)
        if part is Verdict.HELD:
            self.consumer.pause_partitions({TP(*here)})
        elif part is Verdict.GAP:
            log.info("reading_again", topic=here.topic, partition=here.partition, position=partition.position)
            await self.consumer.read_from({here: partition.position[here.topic]})
        elif batch.records:
            newest = batch.records[-1].timestamp
            self._metrics.watermark.labels(here.topic, here.partition).set(newest / 1_000)
        if recovering and not partition.recovering:
            log.info("partition_recovered", partition=partition.number, position=partition.position)
            both = {Place(topic, partition.number): partition.position[topic] for topic in JOINED}
            self.consumer.resume_partitions({TP(*place) for place in both})
            await self.consumer.read_from(both)

    async def _rebuild(self, number: int, error: StoreDamaged) -> None:
        assert self.consumer is not None
        try:
            places = [Place(topic, number) for topic in JOINED]
            await self.consumer.commit()
            ends = await self.consumer.log_ends(places)
            by_topic = {place.topic: log_ends for place, log_ends in ends.items()}
            await self.consumer.read_from(self._partitions.rebuild(number, error, by_topic))
        except WorkerStopped as stop:
            self._fail(stop)
        except Exception as failure:
            self._fail(WorkerBroken(f"rebuilding partition {number}: {failure!r}"))

    def fail(self, error: WorkerStopped) -> None:
        """End the worker for a reason found elsewhere."""
        self._fail(error)

    def _fail(self, error: WorkerStopped) -> None:
        if self.failure is None:
            self.failure = error
            log.error("worker_stops", reason=str(error), kind=type(error).__name__)
            self.on_failure()

    # What an operator asks.

    def not_ready(self) -> str | None:
        """Why the worker is not ready, or None."""
        if self.failure is not None:
            return f"stopping: {self.failure}"
        if not self._catalogs.has_catalog:
            return "waiting for the first catalog"
        if not self._dealt:
            return "waiting for partitions"
        to_recover = sum(partition.to_recover for partition in self._partitions)
        if any(partition.recovering for partition in self._partitions):
            return f"rebuilding the store from the log: {to_recover} records to go"
        return None

    def observe(self) -> None:
        """Bring the gauges up to date; cheap."""
        self._metrics.to_recover.set(sum(partition.to_recover for partition in self._partitions))
        self._metrics.converted_sessions.set(sum(len(partition.store.converted) for partition in self._partitions))
        for partition in self._partitions:
            for topic in JOINED:
                behind = self.consumer.highwater(TP(topic, partition.number)) if self.consumer is not None else None
                if behind is not None:
                    lag = max(behind - partition.position[topic], 0)
                    self._metrics.lag.labels(topic, partition.number).set(lag)


def build_app(settings: WorkerSettings, attribution: Attribution) -> faust.App:
    """The Faust app: transport, agent, and what happens when partitions are taken away."""
    app = faust.App(
        settings.group_id,
        broker=f"aiokafka://{settings.kafka}",
        store="memory://",
        datadir=settings.state_dir / "faust",
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        processing_guarantee="at_least_once",
        broker_commit_interval=settings.commit_interval_s,
        broker_session_timeout=settings.session_timeout_s,
        broker_heartbeat_interval=settings.session_timeout_s / 5,
        broker_request_timeout=max(30.0, settings.session_timeout_s * 2),
        broker_rebalance_timeout=60.0,
        broker_max_poll_interval=600.0,
        consumer_max_fetch_size=settings.fetch_bytes,
        consumer_auto_offset_reset="earliest",
        consumer_group_instance_id=settings.group_instance_id,
        stream_buffer_maxsize=BATCHES_WAITING,
        stream_wait_empty=False,
        stream_recovery_delay=0.0,
    )
    app.transport = Transport(
        URL(f"aiokafka://{settings.kafka}"),
        app,
        positions=attribution,
        batch_records=settings.batch_records,
        fetch_max_wait_ms=settings.fetch_max_wait_ms,
    )
    both = app.topic(*JOINED, key_serializer="raw", value_serializer="raw")

    @app.agent(both, name="attribution", concurrency=1)
    async def attribute(stream: Any) -> None:
        # Faust would count messages acknowledged; what is committed is what the partitions say is evaluated.
        async for batch in stream.noack():
            await attribution.process(batch)

    async def revoked(*args: Any, **kwargs: Any) -> None:
        await attribution.revoked()

    app.on_partitions_revoked.connect(revoked, weak=False)
    return app
