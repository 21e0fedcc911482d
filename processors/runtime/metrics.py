"""Every metric of the worker, each with why you care. A mistyped name fails the type check."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

BATCH_BUCKETS = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class Metrics:
    """One worker's metrics in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._began = False
        own = self.registry
        self.records = Counter("accredit_worker_records", "Records applied: is it moving?", ["topic"], registry=own)
        self.finished = Counter(
            "accredit_worker_finished_records",
            "Of these, with all that follows from them acknowledged, or silent: the throughput that counts",
            registry=own,
        )
        self.first_record_at = Gauge(
            "accredit_worker_first_record_seconds", "When the first record came, Unix seconds", registry=own
        )
        self.finished_at = Gauge(
            "accredit_worker_finished_seconds", "When a part was last finished, Unix seconds: stuck?", registry=own
        )
        self.silent_records = Counter(
            "accredit_worker_silent_records", "Of these, re-read without evaluation: rebuilding?", registry=own
        )
        self.evaluations = Counter("accredit_worker_evaluations", "Sessions decided: the expensive part", registry=own)
        self.from_history = Counter(
            "accredit_worker_sessions_from_history",
            "Sessions completed from ClickHouse: is the store's time to live too short?",
            registry=own,
        )
        self.credits = Counter("accredit_worker_credits", "Credits produced, corrections too", ["status"], registry=own)
        self.dead_letters = Counter(
            "accredit_worker_dead_letters", "Events that could not be used: look at them", ["reason"], registry=own
        )
        self.batch_seconds = Histogram(
            "accredit_worker_batch_seconds",
            "From a batch's arrival to its acknowledged outputs: the latency added here",
            buckets=BATCH_BUCKETS,
            registry=own,
        )
        self.acknowledge_seconds = Histogram(
            "accredit_worker_acknowledge_seconds", "Of these, waiting for Kafka", buckets=BATCH_BUCKETS, registry=own
        )
        self.lag = Gauge(
            "accredit_worker_lag_records",
            "Records not applied yet: does it keep up?",
            ["topic", "partition"],
            registry=own,
        )
        self.watermark = Gauge(
            "accredit_worker_watermark_seconds",
            "Event time of the newest applied record, Unix seconds: how fresh are credits?",
            ["topic", "partition"],
            registry=own,
        )
        self.partitions = Gauge("accredit_worker_partitions", "Partitions that this worker has", registry=own)
        self.to_recover = Gauge(
            "accredit_worker_to_recover_records", "Records to re-read before it is ready", registry=own
        )
        self.kept_in_memory = Gauge(
            "accredit_worker_kept_in_memory", "Sessions with a conversion: memory that grows", registry=own
        )
        self.catalog_version = Gauge("accredit_worker_catalog_version", "Newest catalog version read", registry=own)
        self.rebalances = Counter("accredit_worker_rebalances", "Times that partitions were dealt out", registry=own)
        self.stores_set_aside = Counter(
            "accredit_worker_stores_set_aside", "Damaged stores rebuilt from the log: is the disk sound?", registry=own
        )

    def began(self) -> None:
        """A batch has come."""
        if not self._began:
            self._began = True
            self.first_record_at.set_to_current_time()

    def ended(self, records: int) -> None:
        """So many records are finished."""
        self.finished.inc(records)
        self.finished_at.set_to_current_time()

    def text(self) -> bytes:
        """What ``/metrics`` answers."""
        return generate_latest(self.registry)
