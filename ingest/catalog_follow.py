"""The catalog in effect, followed from the catalog log by a thread. Every worker process follows for itself."""

from __future__ import annotations

import threading
import time
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path

import structlog
from confluent_kafka import Consumer, KafkaError

from ingest.catalog_file import keep_versions, kept_versions
from ingest.catalog_index import CatalogIndex
from ingest.catalog_reader import open_reader, take
from ingest.errors import NoCatalog
from schemas.catalog import CatalogLog, load_catalog
from schemas.errors import CatalogInvalid

log = structlog.get_logger(__name__)

POLL_S = 0.5


class CatalogFollower:
    """``at(now)`` is asked for every request, without a lock: the thread replaces the schedule as a whole.

    A version is parsed and indexed in the thread, when it is read: seconds before it takes effect. What is in effect is
    kept in a file, and stands from the start until the log has been read.
    """

    def __init__(self, kafka: str, kept: Path | None = None) -> None:
        """``kept``: the file, in a folder of this machine."""
        self._kafka = kafka
        self._kept = kept
        self._log = CatalogLog()
        self._schedule: tuple[Sequence[int], Sequence[CatalogIndex]] = ((), ())
        self._dirty = True
        self._at_end = threading.Event()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="catalog-follow", daemon=True)

    def start(self) -> None:
        if self._kept is not None:
            self._take_kept(self._kept)
        self._thread.start()

    def close(self) -> None:
        """Stop following; returns within a second or so."""
        self._stopped.set()
        self._thread.join(timeout=2 * POLL_S)

    def at(self, now: int) -> CatalogIndex:
        """The index in effect at ``now`` in milliseconds, of this process's present. NoCatalog before the first one."""
        starts, indexes = self._schedule
        if not indexes:
            raise NoCatalog
        return indexes[max(bisect_right(starts, now) - 1, 0)]

    def currency_of(self, advertiser_id: str) -> str | None:
        """The advertiser's currency, by the newest catalog read; None where it is not known."""
        _, indexes = self._schedule
        return indexes[-1].currencies.get(advertiser_id) if indexes else None

    @property
    def at_end(self) -> bool:
        """Whether the log has been read to its end once."""
        return self._at_end.is_set()

    def _follow(self) -> None:
        consumer = open_reader(self._kafka)
        try:
            while not self._stopped.is_set():
                self._step(consumer)
        except Exception:
            log.exception("catalog_follower_died")  # the last catalog stays in effect; readiness says so
            self._at_end.clear()
        finally:
            consumer.close()

    def _step(self, consumer: Consumer) -> None:
        message = consumer.poll(POLL_S)
        if message is None:
            return
        error = message.error()
        if error is None:
            self._dirty = take(self._log, message) is not None or self._dirty
        elif error.code() == KafkaError._PARTITION_EOF:
            if self._dirty:
                self._dirty = False
                self._refresh()
            self._at_end.set()
        else:  # the topic is not there yet, or the broker is away: librdkafka goes on trying
            log.info("catalog_log_away", error=error.str())
            self._stopped.wait(POLL_S)

    def _refresh(self) -> None:
        """Index the version in effect and those to come; earlier ones are of no use here."""
        if not self._log.versions:  # the log is the truth: what was kept is another installation's
            self._schedule = ((), ())
            return
        number = self._log.number_in_effect(time.time_ns() // 1_000_000)
        while number > 1 and not self._readable(number):
            number -= 1
        known = {index.version: index for index in self._schedule[1]} if self.at_end else {}
        starts: list[int] = []
        indexes: list[CatalogIndex] = []
        for version in self._log.versions[number - 1 :]:
            if self._readable(version.version):
                starts.append(max(version.effective_at, starts[-1] if starts else 0))
                index = known.get(version.version)
                indexes.append(index or CatalogIndex.of(version.version, self._log.catalog(version.version)))
        self._schedule = (starts, indexes)
        log.info("catalog_read", versions=[index.version for index in indexes])
        if self._kept is not None:
            keep_versions(self._kept, self._log.versions[number - 1 :])

    def _take_kept(self, kept: Path) -> None:
        """Serve by what was in effect when this was last read; versions that were to come then come now, too."""
        starts: list[int] = []
        indexes: list[CatalogIndex] = []
        for version in kept_versions(kept):
            try:
                catalog = load_catalog(version.document, f"version {version.version}", refuse_overlaps=False)
            except CatalogInvalid as error:
                log.error("catalog_version_unreadable", version=version.version, problems=str(error)[:1_000])
                continue
            starts.append(max(version.effective_at, starts[-1] if starts else 0))
            indexes.append(CatalogIndex.of(version.version, catalog))
        self._schedule = (starts, indexes)
        if indexes:
            log.info("catalog_kept", versions=[index.version for index in indexes])

    def _readable(self, number: int) -> bool:
        try:
            self._log.catalog(number)
        except CatalogInvalid as error:
            log.error("catalog_version_unreadable", version=number, problems=str(error)[:1_000])
            return False
        return True
