"""Faust's Kafka transport, with one message per fetched batch instead of one per record (DESIGN 4, 10).

What differs from Faust's own:

- A message's value is a ``RecordBatch``. Batches say which offsets they cover, so ``Partition`` finds what came twice
  or not at all, and Faust's own bookkeeping of read offsets and gaps is left out.
- Reading starts where ``Positions`` says, not at the group's offset.
- What is committed is what ``Positions`` says is evaluated, not what was acknowledged message by message: Faust's own
  count stalls on folded batches.
- Clicks and conversions of one partition number are dealt to one worker, for any number of workers.
- A commit that Kafka does not take is tried again; it does not end the worker.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Protocol, cast

import structlog
from aiokafka import AIOKafkaConsumer
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import ConsumerStoppedError, KafkaError
from aiokafka.structs import OffsetAndMetadata, TopicPartition
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, ConsumerMessage
from yarl import URL

from processors.runtime.batches import RecordBatch
from processors.runtime.fetch import fetched_batches
from processors.runtime.partition import LogEnds
from processors.runtime.partitions import Place

log = structlog.get_logger(__name__)

POLL_S = 1.0


class Positions(Protocol):
    """What the worker knows of the partitions that it has. Called on the event loop's thread."""

    def connect(self, consumer: BatchConsumer) -> None:
        """This is the consumer that will ask; called once, before anything else."""

    async def assigned(self, ends: Mapping[Place, LogEnds]) -> Mapping[Place, int]:
        """Exactly these are ours now; returns where to read each from."""

    def committable(self) -> Mapping[Place, int]:
        """Up to which offsets everything is evaluated and acknowledged."""


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """Faust's thread that talks to Kafka, around an aiokafka consumer with our settings."""

    logger = driver.logger

    def _create_worker_consumer(self, transport: Any) -> Any:
        conf = self.app.conf
        untyped: Any = AIOKafkaConsumer
        return untyped(
            client_id=conf.broker_client_id,
            group_id=conf.id,
            group_instance_id=conf.consumer_group_instance_id,
            bootstrap_servers=driver.server_list(transport.url, transport.default_port),
            partition_assignment_strategy=[RangePartitionAssignor],
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_interval_ms=int(conf.broker_max_poll_interval * 1_000),
            max_partition_fetch_bytes=conf.consumer_max_fetch_size,
            fetch_min_bytes=transport.fetch_min_bytes,
            fetch_max_wait_ms=transport.fetch_max_wait_ms,
            request_timeout_ms=int(conf.broker_request_timeout * 1_000),
            check_crcs=conf.broker_check_crcs,
            session_timeout_ms=int(conf.broker_session_timeout * 1_000),
            rebalance_timeout_ms=int(conf.broker_rebalance_timeout * 1_000),
            heartbeat_interval_ms=int(conf.broker_heartbeat_interval * 1_000),
            metadata_max_age_ms=conf.consumer_metadata_max_age_ms,
            connections_max_idle_ms=conf.consumer_connections_max_idle_ms,
        )

    async def _fetch_records(
        self, consumer: Any, active_partitions: Any, timeout: float | None = None, max_records: int | None = None
    ) -> Any:
        if not self.consumer.flow_active:
            return {}
        fetcher = consumer._fetcher
        if consumer._closed or fetcher._closed:
            raise ConsumerStoppedError
        with fetcher._subscriptions.fetch_context():
            return await fetched_batches(
                fetcher,
                active_partitions,
                timeout or 0,
                cast(Any, self.transport).batch_records,
                self.app.conf.broker_check_crcs,
            )

    async def log_ends(self, places: Iterable[Place]) -> dict[Place, LogEnds]:
        """First and last offsets and the group's commits, as Kafka has them now."""
        return cast(dict[Place, LogEnds], await self.call_thread(self._log_ends, list(places)))

    async def _log_ends(self, places: list[Place]) -> dict[Place, LogEnds]:
        consumer: Any = self._ensure_consumer()
        asked = [TopicPartition(*place) for place in places]
        first, behind, *committed = await asyncio.gather(
            consumer.beginning_offsets(asked),
            consumer.end_offsets(asked),
            *(consumer.committed(one) for one in asked),
        )
        return {
            place: LogEnds(first[one], behind[one], commit)
            for place, one, commit in zip(places, asked, committed, strict=True)
        }

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        consumer: Any = self._ensure_consumer()
        ours = {TopicPartition(*tp): OffsetAndMetadata(at, "") for tp, at in offsets.items() if tp in self.assignment()}
        try:
            await consumer.commit(ours)
        except KafkaError as error:
            log.warning("commit_not_taken", error=str(error) or type(error).__name__)
            return False
        return True


class BatchConsumer(driver.Consumer):
    """Faust's consumer, in batches."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._taken: dict[TP, int] = {}
        """Commits that Kafka took since the last assignment."""
        self._positions.connect(self)

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    @property
    def _positions(self) -> Positions:
        return cast(Transport, self.transport).positions

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, Any]]:
        """Messages of what was fetched. What a rebalance interrupts is dropped: reading starts over after it."""
        fetched, _ = await self._wait_next_records(timeout)
        for tp, batches in (fetched or {}).items():
            for batch in cast(list[RecordBatch], batches):
                if self.should_stop or not self.flow_active:
                    return
                yield tp, self._to_message(tp, batch)

    def _to_message(self, tp: TP, record: Any) -> ConsumerMessage:
        batch: RecordBatch = record
        missing: Any = None
        return ConsumerMessage(
            batch.topic,
            batch.partition,
            batch.end - 1,
            0.0,
            0,
            missing,
            missing,
            cast(Any, batch),
            missing,
            tp=TP(*tp),
            generation_id=self.app.consumer_generation_id,
        )

    async def _drain_messages(self, fetcher: Any) -> None:
        """Faust's loop from Kafka to the agent's queue, which is full after a few batches and then holds it back."""
        try:
            while not (self.should_stop or fetcher.should_stop):
                await self.sleep(0)
                async for _, message in self.getmany(POLL_S):
                    await self.wait_first(self.callback(message), self.suspend_flow.wait())
        except ConsumerStoppedError:
            if not self.transport.app.should_stop:
                raise
        except asyncio.CancelledError:
            if not self.transport.app.should_stop:
                raise

    async def perform_seek(self) -> None:
        """After each assignment: ask where to read from, and go there."""
        places = [Place(*tp) for tp in self.assignment()]
        ends = await self.log_ends(places)
        self._taken = {TP(*place): end.committed for place, end in ends.items() if end.committed is not None}
        await self.read_from(await self._positions.assigned(ends))

    async def log_ends(self, places: Iterable[Place]) -> dict[Place, LogEnds]:
        """First and last offsets and the group's commits of these partitions."""
        return await cast(ConsumerThread, self._thread).log_ends(places)

    async def read_from(self, starts: Mapping[Place, int]) -> None:
        """Go to these offsets. Batches fetched before may still come; their offsets tell."""
        if starts:
            await self._thread.seek_wait({TP(*place): offset for place, offset in starts.items()})

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Any:
        own = (TP(*place) for place in self._positions.committable())
        return (tp for tp in own if topics is None or tp in topics or tp.topic in topics)

    def _new_offset(self, tp: TP) -> int | None:
        return self._positions.committable().get(Place(*tp))

    def _should_commit(self, tp: TP, offset: int) -> bool:
        return offset > self._taken.get(tp, -1)

    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        taken = await super()._commit(offsets)
        if taken:
            self._taken.update(offsets)
        return taken

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's alarms take a held topic for a stuck one; lag and readiness are told by metrics and health."""


class Transport(driver.Transport):
    """Makes BatchConsumers."""

    Consumer = BatchConsumer

    def __init__(
        self,
        url: URL,
        app: Any,
        *,
        positions: Positions,
        batch_records: int,
        fetch_min_bytes: int,
        fetch_max_wait_ms: int,
        **options: Any,
    ) -> None:
        super().__init__([url], app, **options)
        self.positions = positions
        self.batch_records = batch_records
        self.fetch_min_bytes = fetch_min_bytes
        self.fetch_max_wait_ms = fetch_max_wait_ms
