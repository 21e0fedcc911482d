"""``/healthz``: the process is alive. ``/readyz``: it can take events, or what is missing. ``/metrics``.

Without Kafka it can take events as long as the catalog is known and the spool has room: it is ready, with a note.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from ingest.catalog_follow import CatalogFollower
from ingest.door import wall_clock
from ingest.errors import NoCatalog, NotAcknowledged
from ingest.http import Answer, json_answer
from ingest.metrics import Metrics
from ingest.spool.publisher import SpoolingPublisher
from schemas.topics import ADJUSTMENTS, CATALOG, CLICKS, CONVERSIONS, DEAD_LETTERS

NEEDED = (CLICKS, CONVERSIONS, ADJUSTMENTS, DEAD_LETTERS, CATALOG)
KAFKA_TIMEOUT_S = 2.0
KEPT_S = 1.0
"""How long an answer of Kafka's is kept: probes of many balancers cost one question."""
EXPOSITION = ("content-type", "text/plain; version=0.0.4; charset=utf-8")


class Health:
    """Answers the three."""

    def __init__(self, publisher: SpoolingPublisher, catalog: CatalogFollower, metrics: Metrics) -> None:
        self._publisher = publisher
        self._catalog = catalog
        self._metrics = metrics
        self._asking = asyncio.Lock()
        self._answer = ("", "")
        self._answered_at = -KEPT_S

    async def alive(self) -> Answer:
        return json_answer(200, {"status": "alive"})

    async def ready(self) -> Answer:
        kafka, topics = await self._ask_kafka()
        catalog, version = self._catalog_state()
        states = {"topics": topics, "catalog": catalog, "spool": "is full" if self._publisher.full else ""}
        missing = {what: why for what, why in states.items() if why}
        reason = "; ".join(f"{what}: {why}" for what, why in missing.items())
        content: dict[str, Any] = {"ready": not missing, "missing": list(missing), "reason": reason}
        notes = [f"kafka: {kafka}; events go to the spool"] if kafka else []
        content["notes"] = notes + [note for note in (self._publisher.spooling,) if note is not None]
        content["catalog_version"] = version
        return json_answer(503 if missing else 200, content)

    async def metrics(self) -> Answer:
        _, version = self._catalog_state()
        self._metrics.catalog_version.set(version or 0)
        return Answer(200, [EXPOSITION], self._metrics.exposition())

    def _catalog_state(self) -> tuple[str, int | None]:
        """What is missing of the catalog, if anything, and the version in effect."""
        try:
            version = self._catalog.at(wall_clock()).version
        except NoCatalog as error:
            return (str(error) if self._catalog.at_end else "its log has not been read yet"), None
        return "", version

    async def _ask_kafka(self) -> tuple[str, str]:
        """What is missing of Kafka and of its topics; empty texts when nothing is."""
        async with self._asking:
            if time.monotonic() - self._answered_at > KEPT_S:
                self._answer = await asyncio.to_thread(self._kafka_state)
                self._answered_at = time.monotonic()
            return self._answer

    def _kafka_state(self) -> tuple[str, str]:
        try:
            there = self._publisher.topics(KAFKA_TIMEOUT_S)
        except NotAcknowledged as error:
            return str(error), ""
        missing = [name for name in NEEDED if name not in there]
        return "", f"{', '.join(missing)} not created" if missing else ""
