"""What runs a stage: batches from the transport through the stage's checkpoint, one at a time, and where it stands."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Generic, NamedTuple, Protocol

import structlog
from faust.types import TP

from processors.errors import StoreDamaged, WorkerBroken, WorkerStopped
from processors.runtime.batches import RecordBatch
from processors.runtime.metrics import Metrics
from processors.runtime.partition import LogEnds, Part, Partition, Store, Verdict
from processors.runtime.partitions import Partitions, Place
from processors.runtime.transport import BatchConsumer

log = structlog.get_logger(__name__)


def now_ms() -> int:
    """The wall clock in milliseconds."""
    return time.time_ns() // 1_000_000


class Advances(Protocol[Store]):
    """A stage's checkpoint: takes a part through its numbered steps. Raises what ``processors.errors`` lists."""

    async def advance(self, partition: Partition[Store], part: Part) -> None: ...


class Needs(Protocol):
    """What a stage waits for before it takes anything: the first catalog, for attribution."""

    async def ready(self) -> None: ...

    def waiting_for(self) -> str | None:
        """What is not there yet, or None."""


class NeedsNothing:
    """For a stage that can begin at once."""

    async def ready(self) -> None:
        return

    def waiting_for(self) -> str | None:
        """Nothing."""
        return None


class Follows(NamedTuple):
    """A topic whose batches wait while another one is far behind in the log, so that most is decided only once.

    Conversions taken before the clicks of their time would be decided without them, and again with each that comes.
    ``lead`` is how many records the leader may be behind; after ``patience_s`` a batch is taken all the same.
    """

    topic: str
    leader: str
    lead: int = 1_000
    patience_s: float = 10.0


class BatchAgent(Generic[Store]):
    """Batches in, in order, one at a time; the ``Positions`` that the transport asks.

    Nothing that comes in a record raises out of here. What ends the worker is told to ``on_failure``, once, and from
    then on nothing is done and nothing committed that was not done before.
    """

    def __init__(
        self,
        partitions: Partitions[Store],
        checkpoint: Advances[Store],
        needs: Needs,
        metrics: Metrics,
        follows: Follows | None = None,
    ) -> None:
        self._partitions = partitions
        self._checkpoint = checkpoint
        self._needs = needs
        self._metrics = metrics
        self._follows = follows
        self._waiting_since: dict[int, float] = {}
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
            self._waiting_since.clear()
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
        await self._needs.ready()
        async with self._one_at_a_time:
            partition = self._partitions.get(batch.partition)
            if partition is None or self._stopped or self.failure is not None:
                return
            self._metrics.began()
            try:
                with self._metrics.batch_seconds.time():
                    await self._advance(partition, batch)
            except StoreDamaged as error:
                await self._rebuild(partition, error)
            except WorkerStopped as error:
                self._fail(error)
            except Exception as error:
                log.exception("batch_failed", topic=batch.topic, partition=batch.partition, offset=batch.begin)
                place = f"{batch.topic}-{batch.partition} from offset {batch.begin}"
                self._fail(WorkerBroken(f"{place}: {error!r}. Please report this with the log."))

    async def _advance(self, partition: Partition[Store], batch: RecordBatch) -> None:
        assert self.consumer is not None
        if self._waits(partition, batch):
            self.consumer.pause_partitions({TP(batch.topic, partition.number)})
            return
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
            every = {Place(topic, partition.number): partition.position[topic] for topic in partition.topics}
            self.consumer.resume_partitions({TP(*place) for place in every})
            await self.consumer.read_from(every)
        if self._follows is not None and batch.topic == self._follows.leader:
            await self._release(partition, self._follows)

    def _waits(self, partition: Partition[Store], batch: RecordBatch) -> bool:
        """Whether the batch is dropped here, to be read again when its leader has come closer."""
        follows = self._follows
        if follows is None or batch.topic != follows.topic or partition.recovering:
            return False
        if batch.end <= partition.position[follows.topic]:
            return False
        if self._leader_behind(partition, follows) <= follows.lead:
            self._waiting_since.pop(partition.number, None)
            return False
        now = time.monotonic()
        if now - self._waiting_since.setdefault(partition.number, now) < follows.patience_s:
            return True
        self._waiting_since[partition.number] = now
        return False

    def _leader_behind(self, partition: Partition[Store], follows: Follows) -> int:
        assert self.consumer is not None
        end = self.consumer.highwater(TP(follows.leader, partition.number)) or 0
        return max(end, partition.behind[follows.leader]) - partition.position[follows.leader]

    async def _release(self, partition: Partition[Store], follows: Follows) -> None:
        """Read what waits again, if its leader is close or its patience at an end."""
        since = self._waiting_since.get(partition.number)
        if since is None or self.consumer is None:
            return
        if self._leader_behind(partition, follows) <= follows.lead:
            del self._waiting_since[partition.number]
        elif time.monotonic() - since < follows.patience_s:
            return
        place = Place(follows.topic, partition.number)
        self.consumer.resume_partitions({TP(*place)})
        await self.consumer.read_from({place: partition.position[follows.topic]})

    async def tend(self) -> None:
        """Release what has waited long enough; called now and then, since its leader may have nothing more to say."""
        if self._follows is None or not self._waiting_since:
            return
        async with self._one_at_a_time:
            for partition in self._partitions:
                await self._release(partition, self._follows)

    async def _rebuild(self, partition: Partition[Store], error: StoreDamaged) -> None:
        assert self.consumer is not None
        try:
            places = [Place(topic, partition.number) for topic in partition.topics]
            await self.consumer.commit()
            ends = await self.consumer.log_ends(places)
            by_topic = {place.topic: log_ends for place, log_ends in ends.items()}
            await self.consumer.read_from(self._partitions.rebuild(partition.number, error, by_topic))
        except WorkerStopped as stop:
            self._fail(stop)
        except Exception as failure:
            self._fail(WorkerBroken(f"rebuilding partition {partition.number}: {failure!r}"))

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
        waiting_for = self._needs.waiting_for()
        if waiting_for is not None:
            return f"waiting for {waiting_for}"
        if not self._dealt:
            return "waiting for partitions"
        to_recover = sum(partition.to_recover for partition in self._partitions)
        if any(partition.recovering for partition in self._partitions):
            return f"rebuilding the store from the log: {to_recover} records to go"
        return None

    def observe(self) -> None:
        """Bring the gauges up to date; cheap."""
        self._metrics.to_recover.set(sum(partition.to_recover for partition in self._partitions))
        self._metrics.kept_in_memory.set(sum(partition.store.size for partition in self._partitions))
        for partition in self._partitions:
            for topic in partition.topics:
                behind = self.consumer.highwater(TP(topic, partition.number)) if self.consumer is not None else None
                if behind is not None:
                    lag = max(behind - partition.position[topic], 0)
                    self._metrics.lag.labels(topic, partition.number).set(lag)
