"""Every metric of the front door, typed: a mistyped name fails the type check. Each comment: why you care.

Each worker process answers ``/metrics`` for itself, told apart by the ``pid`` of ``accredit_ingest_worker``.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterator
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Metric, generate_latest
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

LATENCY_BUCKETS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Answers(Collector):
    """Answers by door and status, and the time they took: counted without prometheus_client's locks, which would cost
    a redirect more than finding its route. Written on the event loop alone.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[str, int], list[int]] = {}
        self._seconds: dict[str, float] = {}

    def count(self, door: str, status: int, seconds: float) -> None:
        """One answer went out."""
        buckets = self._found.get((door, status))
        if buckets is None:
            buckets = self._found[(door, status)] = [0] * (len(LATENCY_BUCKETS) + 1)
            self._seconds.setdefault(door, 0.0)
        buckets[bisect_left(LATENCY_BUCKETS, seconds)] += 1
        self._seconds[door] += seconds

    def collect(self) -> Iterator[Metric]:
        """As prometheus_client asks for them."""
        responses = CounterMetricFamily("accredit_ingest_responses", "Answers by status", labels=["door", "status"])
        times = HistogramMetricFamily("accredit_ingest_request_seconds", "Time to answer", labels=["door"])
        by_door: dict[str, list[int]] = {}
        for (door, status), buckets in list(self._found.items()):
            responses.add_metric([door, str(status)], sum(buckets))
            so_far = by_door.get(door, [0] * len(buckets))
            by_door[door] = [one + other for one, other in zip(so_far, buckets, strict=True)]
        bounds = [*map(floatToGoString, LATENCY_BUCKETS), "+Inf"]
        for door, buckets in by_door.items():
            times.add_metric([door], list(zip(bounds, accumulate(buckets), strict=True)), self._seconds[door])
        yield responses
        yield times


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
        # 5xx here is ours to mend, 503 means that nothing can be made durable, or that no catalog is there. And what a
        # visitor waits, the acknowledgement included.
        self.answers = Answers()
        registry.register(self.answers)
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

        self.answered = self.answers.count
        self._taken: dict[tuple[str, str], int] = {}

    def took(self, door: str, kind: str) -> None:
        """One event was accepted. Counted here, and for prometheus_client when it is asked: its locks cost more."""
        key = door, kind
        self._taken[key] = self._taken.get(key, 0) + 1

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format."""
        for (door, kind), count in self._taken.items():
            self.accepted.labels(door, kind).inc(count)
        self._taken.clear()
        return generate_latest(self.registry)
