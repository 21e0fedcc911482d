"""What a worker is told. The console builds it from its options and the environment; nothing here reads either."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from schemas.times import DAY, SECOND

MIB = 1 << 20
ATTRIBUTION, SETTLEMENT = "attribution", "settlement"


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """One worker of a stage.

    ``state_dir`` is its own and may be deleted at any time while it does not run. ``group_instance_id`` (KIP-345) lets
    a restarted worker have its partitions back without a rebalance. ``http_port`` 0 takes a free one.
    """

    kafka: str
    state_dir: Path
    stage: Literal["attribution", "settlement"] = "attribution"
    group_id: str = "accredit-attribution"
    group_instance_id: str | None = None
    run_id: str = "live"
    clickhouse_url: str | None = None
    """Where touches are that are older than the store (DESIGN 4). Without it the store is all there is."""
    http_host: str = "127.0.0.1"
    http_port: int = 0
    touch_ttl_s: int = 90 * DAY // SECOND
    """How long a touch stays in the store after it was written (DESIGN 4)."""
    memtable_bytes: int = 256 * MIB
    """Writes kept in memory until they go to disk, over all partitions; so much is read again after a crash."""
    cache_bytes: int = 64 * MIB
    """Blocks of the store kept in memory, over all partitions."""
    batch_records: int = 20_000
    """Where a batch ends: the Kafka batch that reaches it is taken whole."""
    fetch_bytes: int = 8 * MIB
    """Per partition; aiokafka's 1 MiB stalls the batch worker (DESIGN 10)."""
    fetch_min_bytes: int = 32 * 1024
    """Kafka answers a fetch when it has so much, or after ``fetch_wait_ms``: a stream of tiny fetches costs the broker
    more than the records do (measured: a quarter of it at 5,000 events/s)."""
    fetch_wait_ms: int | None = None
    """None: 40 for attribution, and 250 for settlement, for which nobody waits."""
    commit_interval_s: float = 0.5
    session_timeout_s: float = 10.0
    delivery_timeout_s: float = 120.0
    stop_timeout_s: float = 15.0

    @property
    def fetch_max_wait_ms(self) -> int:
        """What ``fetch_wait_ms`` comes to."""
        if self.fetch_wait_ms is not None:
            return self.fetch_wait_ms
        return 40 if self.stage == ATTRIBUTION else 250
