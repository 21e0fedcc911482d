"""The partitions that this worker has, and their stores: opened when dealt out, kept when dealt out again.

Faust's protocol takes all partitions from all workers at each rebalance (DESIGN 10), so a store stays open until it is
known that its partition went elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Generic, NamedTuple, Protocol, TypeVar

import structlog

from processors.errors import StoreDamaged
from processors.runtime.metrics import Metrics
from processors.runtime.partition import LogEnds, Partition, Store
from processors.store import LogStore

log = structlog.get_logger(__name__)


class Place(NamedTuple):
    """A topic and a partition number of it."""

    topic: str
    partition: int


StoreOut = TypeVar("StoreOut", bound=LogStore, covariant=True)


class Stores(Protocol[StoreOut]):
    """Where stores come from. RocksDB folders, or memory in tests."""

    def open(self, partition: int, among: int) -> StoreOut:
        """The store of a partition, as one of ``among``. StoreDamaged if it has to be set aside first."""

    def set_aside(self, partition: int) -> str:
        """Take a damaged store out of the way, so that ``open`` gives an empty one. Returns where it is."""


class Partitions(Generic[Store]):
    """By number. ``clock`` gives milliseconds."""

    def __init__(self, stores: Stores[Store], metrics: Metrics, clock: Callable[[], int]) -> None:
        self._stores = stores
        self._metrics = metrics
        self._clock = clock
        self._own: dict[int, Partition[Store]] = {}
        self._open: dict[int, Store] = {}

    def __iter__(self) -> Iterator[Partition[Store]]:
        return iter(self._own.values())

    def __len__(self) -> int:
        return len(self._own)

    def get(self, number: int) -> Partition[Store] | None:
        """The partition if it is ours now."""
        return self._own.get(number)

    def assign(self, ends: Mapping[Place, LogEnds]) -> dict[Place, int]:
        """Take exactly these partitions; returns where to read each topic from. StoreDamaged is dealt with here."""
        by_number: dict[int, dict[str, LogEnds]] = defaultdict(dict)
        for place, log_ends in ends.items():
            by_number[place.partition][place.topic] = log_ends
        self.revoke()
        for number in [number for number in self._open if number not in by_number]:
            self._open.pop(number).close()
        for number, topics in sorted(by_number.items()):
            self._own[number] = self._take(number, topics, len(by_number))
        self._metrics.partitions.set(len(self._own))
        return {
            Place(topic, number): partition.position[topic]
            for number, partition in self._own.items()
            for topic in partition.topics
        }

    def _take(self, number: int, topics: Mapping[str, LogEnds], among: int) -> Partition[Store]:
        if number not in self._open:
            try:
                self._open[number] = self._stores.open(number, among)
            except StoreDamaged as error:
                self._set_aside(number, error)
                self._open[number] = self._stores.open(number, among)
        partition = Partition(number, self._open[number], topics, self._clock())
        log.info(
            "partition_assigned",
            partition=number,
            position=partition.position,
            live_from=partition.live_from,
            to_recover=partition.to_recover,
        )
        return partition

    def rebuild(self, number: int, error: StoreDamaged, ends: Mapping[str, LogEnds]) -> dict[Place, int]:
        """Replace the damaged store of a partition of ours by an empty one; returns where to read from."""
        store = self._open.pop(number)
        try:
            store.close()
        except Exception as close_error:
            log.info("damaged_store_closed", partition=number, error=str(close_error))
        self._set_aside(number, error)
        partition = self._own[number] = self._take(number, ends, max(len(self._own), 1))
        return {Place(topic, number): partition.position[topic] for topic in partition.topics}

    def _set_aside(self, number: int, error: StoreDamaged) -> None:
        aside = self._stores.set_aside(number)
        self._metrics.stores_set_aside.inc()
        log.error("store_set_aside", partition=number, reason=str(error), kept_as=aside, now="rebuilt from the log")

    def revoke(self) -> None:
        """Nothing is ours until the next ``assign``. Stores stay open."""
        self._own.clear()

    def close(self) -> None:
        """Flush and close every store."""
        self.revoke()
        while self._open:
            _, store = self._open.popitem()
            store.close()
