"""The worker process: checks, the Faust worker with what attends it, and an orderly end."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from pathlib import Path
from typing import Any

import faust
import structlog
from mode import Service, get_logger
from rocksdict import Cache

from processors.attribution import Attribution, build_app, now_ms
from processors.errors import ProcessorError, StoreUnavailable, WorkerBroken, WorkerStopped
from processors.runtime.catalog_log import CatalogFollower
from processors.runtime.checkpoint import Checkpoint
from processors.runtime.health import Health
from processors.runtime.metrics import Metrics
from processors.runtime.outputs import KafkaOutputs
from processors.runtime.partitions import Partitions
from processors.runtime.topics import check_topics
from processors.settings import MIB, WorkerSettings
from processors.store import RocksTouchStore, set_aside

log = structlog.get_logger(__name__)

START_TIMEOUT_S = 30.0
OBSERVE_EVERY_S = 1.0
SMALLEST_MEMTABLE = 4 * MIB
FEWEST_SHARES = 4
LOUD_LIBRARIES = ("faust", "mode", "aiokafka")
EXIT_UNFINISHED = 70


class RocksStores:
    """The stores of a state folder: ``p0000``, ``p0001``, …"""

    def __init__(self, settings: WorkerSettings, source: str) -> None:
        self._settings = settings
        self._source = source
        self._cache = Cache(settings.cache_bytes)

    def path(self, partition: int) -> Path:
        return self._settings.state_dir / f"p{partition:04d}"

    def open(self, partition: int, among: int) -> RocksTouchStore:
        """Memory for writes is shared out evenly among the partitions."""
        share = self._settings.memtable_bytes // max(among, FEWEST_SHARES)
        return RocksTouchStore(
            self.path(partition),
            ttl_s=self._settings.touch_ttl_s,
            memtable_bytes=max(share, SMALLEST_MEMTABLE),
            cache=self._cache,
            source=self._source,
        )

    def set_aside(self, partition: int) -> str:
        return set_aside(self.path(partition), now_ms()).name


class Attendants(Service):
    """What runs beside the agent: the catalog follower, the health port, the gauges."""

    logger = get_logger("mode")

    def __init__(self, attribution: Attribution, catalogs: CatalogFollower, health: Health, **options: Any) -> None:
        super().__init__(**options)
        self._attribution = attribution
        self._catalogs = catalogs
        self._health = health

    async def on_start(self) -> None:
        try:
            await self._health.start()
        except OSError as error:
            self._attribution.fail(WorkerStopped(f"the health port cannot be had: {error}"))
        self.add_future(self._follow())
        self.add_future(self._observe())

    async def _follow(self) -> None:
        try:
            await self._catalogs.follow()
        except WorkerStopped as error:
            self._attribution.fail(error)
        except Exception as error:
            log.exception("catalog_follower_failed")
            self._attribution.fail(WorkerBroken(f"the catalog follower ended: {error!r}"))

    async def _observe(self) -> None:
        while not self.should_stop:
            self._attribution.observe()
            await self.sleep(OBSERVE_EVERY_S)

    async def on_stop(self) -> None:
        await self._health.stop()


class FaustWorker(faust.Worker):
    """Faust's worker, which finishes and commits the batch in hand before it takes itself apart."""

    def __init__(self, attribution: Attribution, stop_timeout_s: float, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._attribution = attribution
        self._stop_timeout_s = stop_timeout_s
        self.spinner = None
        attribution.on_failure = self._on_sigterm

    async def _stop_on_signal(self, signal: Any) -> None:
        log.info("worker_stopping")
        end_in_time(self._stop_timeout_s)
        await self._attribution.finish()
        await super()._stop_on_signal(signal)


def end_in_time(seconds: float) -> None:
    """Whatever hangs, the process ends: nothing is lost by it, as nothing is by a kill."""

    def give_up() -> None:
        log.error("worker_did_not_stop_in_time", seconds=seconds)
        os._exit(EXIT_UNFINISHED)

    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()


def run(settings: WorkerSettings) -> None:
    """Work until SIGTERM or SIGINT. WorkerStopped says why it ended by itself; a supervisor starts it again."""
    for library in LOUD_LIBRARIES:
        logging.getLogger(library).setLevel(logging.WARNING)
    source = check_topics(settings.kafka, START_TIMEOUT_S)
    try:
        settings.state_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(settings.state_dir, str(error)) from error
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    metrics = Metrics()
    catalogs = CatalogFollower(settings.kafka, metrics, now_ms)
    outputs = KafkaOutputs(settings.kafka, settings.delivery_timeout_s, metrics, now_ms)
    partitions = Partitions(RocksStores(settings, source), metrics, now_ms)
    checkpoint = Checkpoint(catalogs, outputs, metrics, settings.run_id, now_ms)
    attribution = Attribution(partitions, checkpoint, catalogs, metrics)
    health = Health(settings.http_host, settings.http_port, metrics, attribution.not_ready)
    app = build_app(settings, attribution)
    worker = FaustWorker(
        attribution,
        settings.stop_timeout_s,
        app,
        Attendants(attribution, catalogs, health, loop=loop),
        loop=loop,
        quiet=True,
        override_logging=False,
        redirect_stdouts=False,
    )
    log.info("worker_starting", kafka=settings.kafka, group=settings.group_id, state=str(settings.state_dir))
    failure: BaseException | None = None
    try:
        worker.execute_from_commandline()
    except SystemExit as stopped:
        if stopped.code:
            failure = worker.crash_reason or WorkerBroken(f"Faust ended with {stopped.code}")
    finally:
        try:
            partitions.close()
        except ProcessorError as error:
            log.error("store_not_closed", reason=str(error))
        outputs.close()
    if attribution.failure is not None:
        raise attribution.failure
    if failure is not None:
        raise WorkerBroken(f"the worker crashed: {failure!r}") from failure
    log.info("worker_stopped")
