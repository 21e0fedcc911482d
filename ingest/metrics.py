"""Every metric of the front door, typed: a mistyped name fails the type check. Each comment: why you care.

Each worker process answers ``/metrics`` for itself, told apart by the ``pid`` of ``accredit_ingest_worker``.
"""

from __future__ import annotations

import os

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

LATENCY_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The catalogue. One per process."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        registry = self.registry
        # Which worker process answered this scrape.
        self.worker = Gauge("accredit_ingest_worker", "1 for the process that answers", ["pid"], registry=registry)
        self.worker.labels(str(os.getpid())).set(1)
        # What came in and was durably accepted: the left side of the audit.
        self.accepted = Counter(
            "accredit_ingest_events_accepted", "Events acknowledged by Kafka", ["door", "kind"], registry=registry
        )
        # A rise is a broken integration at a sender; the reason says which mistake.
        self.refused = Counter(
            "accredit_ingest_events_refused", "Events refused with a reason", ["door", "reason"], registry=registry
        )
        # 5xx here is ours to mend; 503 means Kafka or the catalog is missing.
        self.responses = Counter(
            "accredit_ingest_responses", "Answers by status", ["door", "status"], registry=registry
        )
        # What a visitor waits, the Kafka acknowledgement included.
        self.seconds = Histogram(
            "accredit_ingest_request_seconds",
            "Time to answer",
            ["door"],
            buckets=LATENCY_BUCKETS,
            registry=registry,
        )
        # Messages Kafka has confirmed; stands still when Kafka is away.
        self.acknowledged = Counter(
            "accredit_ingest_messages_acknowledged", "Messages confirmed with acks=all", registry=registry
        )
        # Any of these was answered with a 503.
        self.not_acknowledged = Counter(
            "accredit_ingest_messages_not_acknowledged", "Messages that Kafka did not confirm", registry=registry
        )
        # Grows while Kafka is slow; at its limit senders get 503.
        self.publisher_queued = Gauge(
            "accredit_ingest_publisher_queued", "Messages waiting for Kafka", registry=registry
        )
        # Each one is a message that found the queue full.
        self.publisher_full = Counter(
            "accredit_ingest_publisher_full", "Messages that found no room in the queue", registry=registry
        )
        # Differs between workers for a moment after an apply, never for long.
        self.catalog_version = Gauge(
            "accredit_ingest_catalog_version", "Catalog version in effect here", registry=registry
        )

        self._answers: dict[tuple[str, int], tuple[Counter, Histogram]] = {}
        self._accepted: dict[tuple[str, str], Counter] = {}

    def answered(self, door: str, status: int, seconds: float) -> None:
        """One answer went out. Finding a metric by its labels costs more than counting: what was found is kept."""
        found = self._answers.get((door, status))
        if found is None:
            found = self.responses.labels(door, str(status)), self.seconds.labels(door)
            self._answers[(door, status)] = found
        found[0].inc()
        found[1].observe(seconds)

    def took(self, door: str, kind: str) -> None:
        """One event was accepted."""
        found = self._accepted.get((door, kind))
        if found is None:
            found = self._accepted[(door, kind)] = self.accepted.labels(door, kind)
        found.inc()

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format."""
        return generate_latest(self.registry)
