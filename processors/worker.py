"""The worker process: checks, the Faust worker with what attends it, and an orderly end."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Awaitable, Callable
from typing import Any

import faust
import structlog
from mode import Service, get_logger

from processors import attribution, settlement
from processors.errors import ProcessorError, StoreUnavailable, WorkerBroken, WorkerStopped
from processors.runtime.agent import BatchAgent, now_ms
from processors.runtime.app import build_app
from processors.runtime.health import Health
from processors.runtime.metrics import Metrics
from processors.runtime.outputs import KafkaOutputs
from processors.runtime.stage import Stage
from processors.runtime.topics import check_topics
from processors.settings import SETTLEMENT, WorkerSettings

log = structlog.get_logger(__name__)

START_TIMEOUT_S = 30.0
OBSERVE_EVERY_S = 1.0
LOUD_LIBRARIES = ("faust", "mode", "aiokafka")
EXIT_UNFINISHED = 70


class Attendants(Service):
    """What runs beside the agent: the log that its stage follows, the health port, the gauges."""

    logger = get_logger("mode")

    def __init__(self, stage: Stage, health: Health, **options: Any) -> None:
        super().__init__(**options)
        self._agent = stage.agent
        self._follow_log = stage.follow
        self._health = health

    async def on_start(self) -> None:
        try:
            await self._health.start()
        except OSError as error:
            self._agent.fail(WorkerStopped(f"the health port cannot be had: {error}"))
        if self._follow_log is not None:
            self.add_future(self._follow(self._follow_log))
        self.add_future(self._observe())

    async def _follow(self, log_follower: Callable[[], Awaitable[None]]) -> None:
        try:
            await log_follower()
        except WorkerStopped as error:
            self._agent.fail(error)
        except Exception as error:
            log.exception("catalog_follower_failed")
            self._agent.fail(WorkerBroken(f"the catalog follower ended: {error!r}"))

    async def _observe(self) -> None:
        while not self.should_stop:
            self._agent.observe()
            await self._agent.tend()
            await self.sleep(OBSERVE_EVERY_S)

    async def on_stop(self) -> None:
        await self._health.stop()


class FaustWorker(faust.Worker):
    """Faust's worker, which finishes and commits the batch in hand before it takes itself apart."""

    def __init__(self, agent: BatchAgent[Any], stop_timeout_s: float, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._agent = agent
        self._stop_timeout_s = stop_timeout_s
        self.spinner = None
        agent.on_failure = self._on_sigterm

    async def _stop_on_signal(self, signal: Any) -> None:
        log.info("worker_stopping")
        end_in_time(self._stop_timeout_s)
        await self._agent.finish()
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
    module = settlement if settings.stage == SETTLEMENT else attribution
    source = check_topics(settings.kafka, module.READ, module.OTHERS, START_TIMEOUT_S)
    try:
        settings.state_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreUnavailable(settings.state_dir, str(error)) from error
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    metrics = Metrics()
    outputs = KafkaOutputs(settings.kafka, settings.delivery_timeout_s, metrics, now_ms)
    stage = module.wire(settings, source, outputs, metrics)
    agent = stage.agent
    health = Health(settings.http_host, settings.http_port, metrics, agent.not_ready)
    worker = FaustWorker(
        agent,
        settings.stop_timeout_s,
        build_app(settings, agent, stage.topics),
        Attendants(stage, health, loop=loop),
        loop=loop,
        quiet=True,
        override_logging=False,
        redirect_stdouts=False,
    )
    where = {"kafka": settings.kafka, "group": settings.group_id, "state": str(settings.state_dir)}
    log.info("worker_starting", stage=settings.stage, **where)
    failure: BaseException | None = None
    try:
        worker.execute_from_commandline()
    except SystemExit as stopped:
        if stopped.code:
            failure = worker.crash_reason or WorkerBroken(f"Faust ended with {stopped.code}")
    finally:
        try:
            stage.partitions.close()
        except ProcessorError as error:
            log.error("store_not_closed", reason=str(error))
        outputs.close()
    if agent.failure is not None:
        raise agent.failure
    if failure is not None:
        raise WorkerBroken(f"the worker crashed: {failure!r}") from failure
    log.info("worker_stopped")
