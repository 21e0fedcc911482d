"""A cluster of workers in memory: logs, a consumer group, disks; and faults that are data.

Everything between Kafka and RocksDB is the real code: ``BatchAgent``, both stages' checkpoints, ``Partitions``,
``Partition``. What attribution produces is a log too, which settlement reads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, NoReturn, TypeVar
from zlib import crc32

from processors.core import CompiledLog
from processors.core.settlement import claim_key
from processors.runtime.agent import BatchAgent, Follows, NeedsNothing
from processors.runtime.checkpoint import Checkpoint
from processors.runtime.metrics import Metrics
from processors.runtime.partition import LogEnds
from processors.runtime.partitions import Partitions, Place
from processors.runtime.sessions import Sessions
from processors.runtime.settle import SettlementCheckpoint
from processors.store import ClaimStore, MemoryClaimStore, MemoryDisk, MemoryTouchStore, TouchStore
from schemas.catalog import CatalogLog
from schemas.codec import encode
from schemas.records import CatalogVersion, Credit, DeadLetter, Settlement
from schemas.topics import CLICKS, CONVERSIONS, CREDITS
from tests.support.log_records import FakeRecord, batch_of

TTL_MS = 1 << 40
RUN = "live"
STEPS = ("stored", "waited", "produced", "acknowledged", "evaluated")
"""Where a crash can be planned: right after the step of the checkpoint with that name."""


Output = Credit | Settlement | DeadLetter
Versioned = TypeVar("Versioned", Credit, Settlement, DeadLetter)


class Crash(BaseException):
    """The process is gone. Not an Exception: nothing may catch it."""


class CrashingStore(MemoryTouchStore):
    """Crashes after a write, if that is planned."""

    worker: AttributionWorker

    def put_touches(self, rows: Iterable[tuple[bytes, bytes]], next_offset: int) -> None:
        super().put_touches(rows, next_offset)
        self.worker.passed("stored")

    def put_conversions(self, rows: Iterable[tuple[bytes, bytes]], next_offset: int) -> None:
        super().put_conversions(rows, next_offset)
        self.worker.passed("stored")


class ClaimDisk:
    """What survives a crash of a claim store."""

    def __init__(self) -> None:
        self.rows: dict[bytes, bytes] = {}
        self.applied: list[int] = []


class CrashingClaimStore(MemoryClaimStore):
    """Crashes after a write, if that is planned."""

    worker: SettlementWorker

    def put(self, topic: str, rows: Sequence[tuple[bytes, bytes]], next_offset: int) -> None:
        super().put(topic, rows, next_offset)
        self.worker.passed("stored")


class Cluster:
    """Logs by place, the groups' commits, and what readers of the outputs end up with: of each the greatest version."""

    def __init__(self, catalog: CatalogVersion, partitions: int) -> None:
        self.partitions = partitions
        self.catalogs = CompiledLog(CatalogLog.of([catalog]))
        self.logs: dict[Place, list[FakeRecord]] = {
            Place(topic, number): [] for topic in (CLICKS, CONVERSIONS, CREDITS) for number in range(partitions)
        }
        self.committed: dict[Place, int] = {}
        self.credits: dict[str, Credit] = {}
        self.settlements: dict[str, Settlement] = {}
        self.dead_letters: dict[str, DeadLetter] = {}
        self._taken: list[Output] = []

    def append(self, place: Place, key: bytes | None, value: bytes | None, at: int) -> None:
        """One more record at the end of a log."""
        log = self.logs[place]
        log.append(FakeRecord(len(log), at, key, value))

    def take(self, one: Output) -> None:
        """A producer's record has reached Kafka."""
        self._taken.append(one)
        if isinstance(one, Credit):
            name = one.conversion_id.encode()
            self.append(Place(CREDITS, crc32(name) % self.partitions), name, encode(one), one.occurred_at)
            keep_greatest(self.credits, claim_key(one), one)
        elif isinstance(one, Settlement):
            keep_greatest(self.settlements, one.conversion_id, one)
        else:
            keep_greatest(self.dead_letters, one.dead_letter_id, one)

    def echo(self, number: int) -> None:
        """One of the records taken so far reaches Kafka once more."""
        if self._taken:
            self.take(self._taken[number % len(self._taken)])


def keep_greatest(known: dict[str, Versioned], name: str, one: Versioned) -> None:
    if name not in known or one.version >= known[name].version:
        known[name] = one


class Worker:
    """One worker process of a stage. It is its own consumer and outputs."""

    topics: tuple[str, ...]
    partitions: Partitions[Any]
    agent: BatchAgent[Any]

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.crash_after: str | None = None
        self.produced_before_crash = 0
        self.flushed_before_crash = False
        self._fetch_at: dict[Place, int] = {}
        self._paused: set[Place] = set()
        self._produced: list[Output] = []

    def read_by(self, agent: BatchAgent[Any]) -> None:
        self.agent = agent
        consumer: Any = self
        agent.connect(consumer)

    def passed(self, step: str) -> None:
        """A step is done; the crash planned after it happens now."""
        if self.crash_after == step:
            self.crash()

    def crash(self) -> NoReturn:
        """RocksDB may have flushed just before."""
        if self.flushed_before_crash:
            self.flush(self.topics)
        raise Crash

    # Outputs. What is produced reaches Kafka before a crash as far as the plan says.

    def credit(self, credit: Credit) -> None:
        self._produced.append(credit)

    def settlement(self, settlement: Settlement) -> None:
        self._produced.append(settlement)

    def dead_letter(self, letter: DeadLetter) -> None:
        self._produced.append(letter)

    async def acknowledged(self) -> None:
        await self.commit()
        if self.crash_after == "produced":
            self._deliver(self.produced_before_crash)
            self.crash()
        self._deliver(len(self._produced))
        self.passed("acknowledged")

    def _deliver(self, count: int) -> None:
        for one in self._produced[:count]:
            self.cluster.take(one)
        self._produced.clear()

    # Consumer

    async def commit(self) -> bool:
        for place, offset in self.agent.committable().items():
            self.cluster.committed[place] = max(offset, self.cluster.committed.get(place, 0))
        return True

    def pause_partitions(self, places: Collection[tuple[str, int]]) -> None:
        self._paused |= {Place(*place) for place in places}

    def resume_partitions(self, places: Collection[tuple[str, int]]) -> None:
        self._paused -= {Place(*place) for place in places}

    def highwater(self, place: tuple[str, int]) -> int | None:
        return len(self.cluster.logs[Place(*place)])

    async def read_from(self, starts: Mapping[Place, int]) -> None:
        self._fetch_at.update(starts)

    async def log_ends(self, places: Iterable[Place]) -> dict[Place, LogEnds]:
        return {place: LogEnds(0, len(self.cluster.logs[place]), self.cluster.committed.get(place)) for place in places}

    # What happens to it

    async def assign(self, numbers: Collection[int]) -> None:
        """The end of a rebalance: these partitions are its own."""
        places = [Place(topic, number) for number in numbers for topic in self.topics]
        self._paused.clear()
        self._fetch_at.clear()
        await self.read_from(await self.agent.assigned(await self.log_ends(places)))

    async def poll(self, place: Place, size: int, *, skip: int = 0, back: int = 0) -> bool:
        """Fetch one batch and process it. ``skip`` loses records before it, ``back`` delivers some once more.

        False if there is nothing to fetch.
        """
        log = self.cluster.logs[place]
        if place not in self._fetch_at or place in self._paused:
            return False
        begin = min(max(self._fetch_at[place] + skip - back, 0), len(log))
        end = min(begin + size, len(log))
        if begin == end:
            return False
        self._fetch_at[place] = end
        await self.agent.process(batch_of(place.topic, log, begin, end, place.partition))
        self.passed("evaluated")
        return True

    def flush(self, topics: Collection[str]) -> None:
        """What RocksDB does by itself at any time: memtables of these topics go to disk."""
        raise NotImplementedError

    def done(self) -> bool:
        """Whether everything in the logs of its partitions is applied and none is held."""
        return all(
            partition.position[topic] == len(self.cluster.logs[Place(topic, partition.number)])
            and not partition.recovering
            for partition in self.partitions
            for topic in self.topics
        )


class AttributionWorker(Worker):
    """It is its own catalog follower too, and opens its stores on disks of its own."""

    topics = (CLICKS, CONVERSIONS)

    def __init__(self, cluster: Cluster, disks: dict[int, MemoryDisk]) -> None:
        super().__init__(cluster)
        self.disks = disks
        self.compiled = cluster.catalogs
        self._stores: dict[int, MemoryTouchStore] = {}
        metrics = Metrics()
        self.partitions = Partitions[TouchStore](self, metrics, lambda: 5)
        checkpoint = Checkpoint(self, self, metrics, RUN, lambda: 5, sessions=Sessions(limit=12, smallest=1))
        self.read_by(BatchAgent(self.partitions, checkpoint, self, metrics, Follows(CONVERSIONS, CLICKS, lead=1)))

    def open(self, partition: int, among: int) -> MemoryTouchStore:
        store = CrashingStore(self.disks.setdefault(partition, MemoryDisk()), TTL_MS)
        store.worker = self
        self._stores[partition] = store
        return store

    def set_aside(self, partition: int) -> str:
        self._stores.pop(partition, None)
        del self.disks[partition]
        return "aside"

    async def ready(self) -> None:
        return

    def waiting_for(self) -> str | None:
        return None

    async def known_for(self, received_at: int) -> None:
        await self.commit()  # Faust's timer may come wherever the checkpoint waits
        self.passed("waited")

    def flush(self, topics: Collection[str]) -> None:
        for store in self._stores.values():
            store.flush_topics(topics)


class SettlementWorker(Worker):
    """It opens its stores on disks of its own."""

    topics = (CREDITS,)

    def __init__(self, cluster: Cluster, disks: dict[int, ClaimDisk]) -> None:
        super().__init__(cluster)
        self.disks = disks
        self._stores: dict[int, MemoryClaimStore] = {}
        metrics = Metrics()
        self.partitions = Partitions[ClaimStore](self, metrics, lambda: 5)
        checkpoint = SettlementCheckpoint(self, metrics, RUN, lambda: 5)
        self.read_by(BatchAgent(self.partitions, checkpoint, NeedsNothing(), metrics))

    def open(self, partition: int, among: int) -> MemoryClaimStore:
        disk = self.disks.setdefault(partition, ClaimDisk())
        store = CrashingClaimStore(disk.rows, disk.applied)
        store.worker = self
        self._stores[partition] = store
        return store

    def set_aside(self, partition: int) -> str:
        self._stores.pop(partition, None)
        del self.disks[partition]
        return "aside"

    def flush(self, topics: Collection[str]) -> None:
        if CREDITS in topics:
            for store in self._stores.values():
                store.flush()
