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
        # Copies and contradictions of conversions known here; a rise is a sender that repeats itself, or two doors.
        self.known = Counter(
            "accredit_ingest_conversions_known",
            "Conversions whose order was known",
            ["door", "standing"],
            registry=registry,
        )
        # What trackers' SDKs send beside conversions; a purchase event among them is one that no mapping names.
        self.ignored = Counter(
            "accredit_ingest_messages_ignored", "Messages that are no events", ["door", "kind"], registry=registry
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
        # Grows while Kafka is slow; soon the spool takes over.
        self.publisher_queued = Gauge(
            "accredit_ingest_publisher_queued", "Messages waiting for Kafka", registry=registry
        )
        # Each one was a 503, or a visit that went on uncounted: the spool is full.
        self.publisher_full = Counter(
            "accredit_ingest_publisher_full", "Messages that found no room in the spool", registry=registry
        )
        # Any of these is a click or view that nobody will ever see: the spool was full, the visitor went on.
        self.lost = Counter(
            "accredit_ingest_events_lost",
            "Visits redirected without their event being kept",
            ["door"],
            registry=registry,
        )
        # 1 while events go to the spool: Kafka is slow or away, or what it missed is being sent.
        self.spooling = Gauge("accredit_ingest_spooling", "1 while events go to the spool", registry=registry)
        # Against `spool.limit_mb`: how long Kafka may still be away.
        self.spool_bytes = Gauge("accredit_ingest_spool_bytes", "Bytes in the spool", registry=registry)
        self.spool_events = Gauge("accredit_ingest_spool_events", "Messages of the spool not sent", registry=registry)
        # Keeps growing when draining is stuck; back to 0 when Kafka has caught up.
        self.spool_oldest = Gauge(
            "accredit_ingest_spool_oldest_seconds", "Age of the oldest message not sent", registry=registry
        )
        self.spool_written = Counter("accredit_ingest_spool_written", "Messages synced to the spool", registry=registry)
        self.spool_drained = Counter(
            "accredit_ingest_spool_drained", "Messages of the spool that Kafka has", registry=registry
        )
        # Any of these was answered with a 503: a full or failing disk.
        self.spool_failed = Counter(
            "accredit_ingest_spool_failed", "Messages that could not be written to the spool", registry=registry
        )
        # Many messages for one sync: group commit at work under load.
        self.spool_synced = Histogram(
            "accredit_ingest_spool_sync_messages",
            "Messages that one fsync made durable",
            buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 5_000),
            registry=registry,
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
