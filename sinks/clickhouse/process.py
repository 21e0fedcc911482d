"""The sink as a process: health first, then migrations, then the group, until it is told to stop."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from types import FrameType

import structlog

from sinks.clickhouse.consumer import Sink
from sinks.clickhouse.dead_letters import DeadLetterProducer
from sinks.clickhouse.errors import Unavailable
from sinks.clickhouse.health import HealthServer
from sinks.clickhouse.metrics import METRICS
from sinks.clickhouse.migrate import migrate
from sinks.clickhouse.settings import SinkSettings
from sinks.clickhouse.target import ClickHouse
from sinks.clickhouse.writer import Writer

log = structlog.get_logger(__name__)


class Readiness:
    """Why the process is not ready: a reason, until there is a sink to ask."""

    def __init__(self) -> None:
        self.reason = "waiting for ClickHouse"
        self.sink: Sink | None = None

    def __call__(self) -> str | None:
        return self.reason if self.sink is None else self.sink.not_ready()


def run(settings: SinkSettings, stopping: Event | None = None) -> None:
    """Insert all that is in the topics and all that comes, until SIGTERM or SIGINT (or ``stopping`` is set).

    Returns within ``settings.stop_within_s`` and a little. Blocks; call it from the main thread. Raises MigrationError
    or SinkError for what an operator must mend; ClickHouse or Kafka being away is waited for.
    """
    stopping = stopping or Event()
    readiness = Readiness()
    health = HealthServer(settings.http_host, settings.http_port, METRICS.registry, readiness)
    log.info("sink_started", http_port=health.port, kafka=settings.kafka, group=settings.group_id)
    target = ClickHouse(settings)
    try:
        with signals_set(stopping):
            if not migrated(settings, stopping, readiness):
                return
            writer = Writer(target, DeadLetterProducer(settings.kafka), settings.retry)
            readiness.sink = Sink(settings, writer, stopping)
            readiness.sink.run()
    finally:
        health.close()
    log.info("sink_stopped")


def migrated(settings: SinkSettings, stopping: Event, readiness: Readiness) -> bool:
    """Migrate as soon as ClickHouse answers. False when told to stop before. MigrationError."""
    attempt = 0
    while not stopping.is_set():
        try:
            migrate(settings.clickhouse_url, settings.database)
        except Unavailable as error:
            pause_s = settings.retry.pause_s(attempt)
            attempt += 1
            readiness.reason = f"ClickHouse: {error}"
            log.warning("sink_waits", what="migrations", attempt=attempt, again_in_s=pause_s, detail=str(error))
            stopping.wait(pause_s)
        else:
            return True
    return False


@contextmanager
def signals_set(stopping: Event) -> Iterator[None]:
    """SIGTERM and SIGINT set the event; the handlers from before come back at the end."""

    def stop(number: int, frame: FrameType | None) -> None:
        log.info("sink_stopping", signal=signal.Signals(number).name)
        stopping.set()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
