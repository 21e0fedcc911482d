"""Follows the catalog log, and knows how fresh that knowledge is.

A version takes effect five seconds after it was written (DESIGN 5). So whoever has read the whole log at a moment no
earlier than 2.5 s before a conversion's ``received_at`` has seen every version in effect then, with 2.5 s to spare for
clocks that differ.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from processors.core import CompiledLog
from processors.errors import CatalogUnreadable
from processors.runtime.metrics import Metrics
from schemas.catalog import CatalogLog
from schemas.codec import decode
from schemas.errors import BadFrame, CatalogInvalid
from schemas.records import CatalogVersion
from schemas.topics import CATALOG

log = structlog.get_logger(__name__)

LEAD_KEPT_MS = 2_500
CONFIRM_EVERY_S = 0.5
RETRY_S = 1.0
LARGEST_VERSION = 33_554_432
PARTITION = TopicPartition(CATALOG, 0)


def new_consumer(kafka: str) -> Any:
    """A consumer without a group: every worker reads the whole log."""
    untyped: Any = AIOKafkaConsumer
    return untyped(
        bootstrap_servers=kafka,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=200,
        max_partition_fetch_bytes=LARGEST_VERSION,
    )


class CatalogFollower:
    """The catalog log as this worker knows it. ``clock`` gives milliseconds."""

    def __init__(self, kafka: str, metrics: Metrics, clock: Callable[[], int]) -> None:
        self._kafka = kafka
        self._metrics = metrics
        self._clock = clock
        self._log = CatalogLog()
        self._moved = asyncio.Condition()
        self._wanted = asyncio.Event()
        self.compiled = CompiledLog(self._log)
        self.confirmed_at = 0
        """When the log was last known to be read to its end, in milliseconds."""

    @property
    def has_catalog(self) -> bool:
        """Whether there is a version; the first has always been in effect."""
        return self._log.latest is not None

    def waiting_for(self) -> str | None:
        """What a worker waits for before it takes anything, or None."""
        return None if self.has_catalog else "the first catalog"

    async def ready(self) -> None:
        """Return once there is a catalog."""
        async with self._moved:
            await self._moved.wait_for(lambda: self.has_catalog)

    async def known_for(self, received_at: int) -> None:
        """Return once no version in effect at ``received_at`` can be missing. At once while the follower keeps up."""
        needed = min(self._clock(), received_at - LEAD_KEPT_MS)
        if self.confirmed_at >= needed and self.has_catalog:
            return
        self._wanted.set()
        async with self._moved:
            await self._moved.wait_for(lambda: self.confirmed_at >= needed and self.has_catalog)

    async def follow(self) -> None:
        """Read for ever; when Kafka is away, try again. CatalogUnreadable if a version is no catalog."""
        while True:
            consumer = new_consumer(self._kafka)
            try:
                await consumer.start()
                consumer.assign([PARTITION])
                consumer.seek(PARTITION, 0)
                while True:
                    await self._catch_up(consumer)
                    await self._pause()
            except KafkaError as error:
                log.warning("catalog_log_away", kafka=self._kafka, error=str(error))
                await asyncio.sleep(RETRY_S)
            finally:
                await consumer.stop()

    async def _pause(self) -> None:
        """Until the next confirmation is due or wanted."""
        try:
            await asyncio.wait_for(self._wanted.wait(), CONFIRM_EVERY_S)
        except TimeoutError:
            pass
        self._wanted.clear()

    async def _catch_up(self, consumer: Any) -> None:
        asked_at = self._clock()
        end = (await consumer.end_offsets([PARTITION]))[PARTITION]
        while await consumer.position(PARTITION) < end:
            fetched = await consumer.getmany(PARTITION, timeout_ms=500)
            for record in fetched.get(PARTITION, ()):
                await self._read(record.offset, record.value)
        self.confirmed_at = asked_at
        async with self._moved:
            self._moved.notify_all()

    async def _read(self, offset: int, value: bytes | None) -> None:
        try:
            version = decode(value)
        except BadFrame as error:
            log.error("catalog_record_ignored", offset=offset, reason=error.reason, detail=error.detail)
            return
        if not isinstance(version, CatalogVersion) or not self._log.add(version):
            return  # not a version, one read before, or the second of two appliers at once
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(None, self._log.catalog, version.version)
        except CatalogInvalid as error:
            raise CatalogUnreadable(f"version {version.version} of the catalog log is no catalog: {error}") from error
        self._metrics.catalog_version.set(version.version)
        log.info("catalog_version_read", version=version.version, author=version.author)
