"""The attribution stage: clicks and conversions in, credits out. Wiring only; what is decided is in ``core``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rocksdict import Cache

from processors.runtime.agent import BatchAgent, Follows, now_ms
from processors.runtime.batches import JOINED
from processors.runtime.catalog_log import CatalogFollower
from processors.runtime.checkpoint import Checkpoint
from processors.runtime.history import ClickHouseHistory
from processors.runtime.metrics import Metrics
from processors.runtime.outputs import KafkaOutputs
from processors.runtime.partitions import Partitions
from processors.runtime.stage import Stage, StateFolder
from processors.settings import WorkerSettings
from processors.store import RocksTouchStore
from schemas.topics import CATALOG, CLICKS, CONVERSIONS, CREDITS, DEAD_LETTERS

READ = JOINED
OTHERS = (CREDITS, DEAD_LETTERS, CATALOG)


class TouchStores(StateFolder):
    """The touch stores of a state folder."""

    def __init__(self, settings: WorkerSettings, source: str) -> None:
        super().__init__(settings)
        self._source = source
        self._cache = Cache(settings.cache_bytes)

    def open(self, partition: int, among: int) -> RocksTouchStore:
        """Memory for writes is shared out evenly among the partitions."""
        path: Path = self.path(partition)
        return RocksTouchStore(
            path,
            ttl_s=self.settings.touch_ttl_s,
            memtable_bytes=self.memtable_share(among),
            cache=self._cache,
            source=self._source,
        )


def wire(settings: WorkerSettings, source: str, outputs: KafkaOutputs, metrics: Metrics) -> Stage:
    """Everything that attribution consists of. ``source`` names the log that fills its stores."""
    catalogs = CatalogFollower(settings.kafka, metrics, now_ms)
    partitions = Partitions(TouchStores(settings, source), metrics, now_ms)
    history = None
    if settings.clickhouse_url is not None:
        history = ClickHouseHistory(settings.clickhouse_url, settings.delivery_timeout_s)
    checkpoint = Checkpoint(catalogs, outputs, metrics, settings.run_id, now_ms, history)
    agent: BatchAgent[Any] = BatchAgent(partitions, checkpoint, catalogs, metrics, Follows(CONVERSIONS, CLICKS))
    return Stage(READ, partitions, agent, catalogs.follow)
