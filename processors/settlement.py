"""The settlement stage: claims in, what stands of each conversion out. Wiring only; the rules are in ``core``."""

from __future__ import annotations

from rocksdict import Cache

from processors.runtime.agent import BatchAgent, NeedsNothing, now_ms
from processors.runtime.metrics import Metrics
from processors.runtime.outputs import KafkaOutputs
from processors.runtime.partitions import Partitions
from processors.runtime.settle import SettlementCheckpoint
from processors.runtime.stage import Stage, StateFolder
from processors.settings import WorkerSettings
from processors.store import RocksClaimStore
from schemas.topics import CREDITS, DEAD_LETTERS, SETTLEMENTS

READ = (CREDITS,)
OTHERS = (SETTLEMENTS, DEAD_LETTERS)


class ClaimStores(StateFolder):
    """The claim stores of a state folder."""

    def __init__(self, settings: WorkerSettings, source: str) -> None:
        super().__init__(settings)
        self._source = source
        self._cache = Cache(settings.cache_bytes)

    def open(self, partition: int, among: int) -> RocksClaimStore:
        """Memory for writes is shared out evenly among the partitions."""
        return RocksClaimStore(self.path(partition), self.memtable_share(among), self._cache, self._source)


def wire(settings: WorkerSettings, source: str, outputs: KafkaOutputs, metrics: Metrics) -> Stage:
    """Everything that settlement consists of. ``source`` names the log that fills its stores."""
    partitions = Partitions(ClaimStores(settings, source), metrics, now_ms)
    checkpoint = SettlementCheckpoint(outputs, metrics, settings.run_id, now_ms)
    return Stage(READ, partitions, BatchAgent(partitions, checkpoint, NeedsNothing(), metrics))
