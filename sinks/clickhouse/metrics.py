"""Every metric of the sink, with why one cares."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class Metrics:
    """The catalogue: a mistyped name fails the type check."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.rows = Counter(
            "accredit_sink_rows",
            "Rows inserted. Should follow what the topics grow by.",
            ["table"],
            registry=self.registry,
        )
        self.insert_seconds = Histogram(
            "accredit_sink_insert_seconds",
            "Time of one INSERT with its retries. Rising: too many parts, a slow disk, ClickHouse away.",
            ["table"],
            buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 15, 60),
            registry=self.registry,
        )
        self.rejected = Counter(
            "accredit_sink_rejected",
            "Records that became dead letters instead of rows. Anything but 0 wants a look.",
            ["topic", "reason"],
            registry=self.registry,
        )
        self.retries = Counter(
            "accredit_sink_retries",
            "Attempts that found ClickHouse or Kafka away. Rising: nothing gets through at the moment.",
            ["what"],
            registry=self.registry,
        )
        self.lag = Gauge(
            "accredit_sink_lag_records",
            "Records of the partitions read here that are not in ClickHouse yet. Reports are behind by these.",
            ["topic"],
            registry=self.registry,
        )
        self.delay_seconds = Histogram(
            "accredit_sink_delay_seconds",
            "From reading a batch's first record to its rows being queryable. p99 belongs under 2 s.",
            buckets=(0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 15, 60),
            registry=self.registry,
        )


METRICS = Metrics()
