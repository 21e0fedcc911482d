"""The ingest process: granian in front, one worker process or several on one port."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import structlog
from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings
from granian.log import LogLevels

from ingest.access.book import read_book
from ingest.rsgi import App
from ingest.settings import IngestSettings

log = structlog.get_logger(__name__)

PR_SET_PDEATHSIG = 1
HEADER_TIMEOUT_MS = 10_000
HEADER_BYTES = 64 * 1024
BACKLOG = 2_048


def serve(settings: IngestSettings, prepare: Callable[[], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT. Then requests in flight are finished, for ``stop_timeout_s`` at most.

    The settings reach the worker processes as the pickled argument of their loader, not through the environment.
    ``prepare``, a function of a module, is called first in each of them (the console's logging, say). A worker that
    dies is replaced; when it keeps dying the process ends with exit code 1. Call it from the main thread, before any
    Kafka client exists in this process: workers are forked.
    """
    server = Granian(
        "ingest.rsgi:App",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.RSGI,
        workers=settings.workers,
        loop=Loops.auto,  # uvloop where there is one
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(header_read_timeout=HEADER_TIMEOUT_MS, max_buffer_size=HEADER_BYTES),
        websockets=False,
        backlog=BACKLOG,
        backpressure=BACKLOG,
        log_level=LogLevels.warning,
        respawn_failed_workers=True,
        respawn_interval=0.2,
        workers_kill_timeout=settings.stop_timeout_s,
    )
    read_book(settings.config.access.path(settings.data_dir))  # AccessInvalid here, not in every worker
    log.info("ingest_serving", host=settings.host, port=settings.port, workers=settings.workers)
    server.serve(target_loader=partial(load_app, settings, prepare, os.getpid()), wrap_loader=False)


def load_app(settings: IngestSettings, prepare: Callable[[], None] | None, parent_pid: int) -> Any:
    """The application, made inside a worker process."""
    die_with_parent(parent_pid)
    if prepare is not None:
        prepare()
    return App(settings)


def die_with_parent(parent_pid: int) -> None:
    """Have the kernel end this worker when its parent is killed, so that no orphan keeps the port (Linux)."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:  # it died before the call above
        os.kill(os.getpid(), signal.SIGKILL)
