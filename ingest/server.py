"""The ingest process: one worker process or several on one port."""

from __future__ import annotations

import socket
from collections.abc import Callable

import structlog

from ingest.access.book import read_book
from ingest.app import App
from ingest.serving.processes import serve_with
from ingest.serving.worker import run
from ingest.settings import IngestSettings

log = structlog.get_logger(__name__)


def serve(settings: IngestSettings, prepare: Callable[[], None] | None = None) -> None:
    """Serve until SIGTERM or SIGINT. Then requests in flight are finished, for ``stop_timeout_s`` at most.

    ``prepare`` (the console's logging, say) is called first in each worker process. A worker that dies is replaced;
    when workers keep dying the process ends with exit code 1. OSError when the port is taken. Call it from the main
    thread, before any Kafka client exists in this process: workers are forked.
    """
    read_book(settings.config.access.path(settings.data_dir))  # AccessInvalid here, not in every worker

    def work(listening: socket.socket) -> None:
        if prepare is not None:
            prepare()
        run(App(settings), listening, settings.stop_timeout_s)

    log.info("ingest_serving", host=settings.host, port=settings.port, workers=settings.workers)
    serve_with(work, settings.host, settings.port, settings.workers, settings.stop_timeout_s)
