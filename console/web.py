"""The console's web process: one page with status and report, the same as JSON and CSV, health and metrics.

It changes nothing and asks ClickHouse as it is given the address; it listens where it is told, by default on the
loopback.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, Counter, generate_latest

from console.errors import ConsoleError
from console.installation import Installation, find
from console.page import page
from console.report import BY, ON_SCREEN, narrowed, read_report
from console.settings import Settings
from console.status import as_json, read_status
from console.tables import to_csv
from ingest.errors import IngestError
from sinks.clickhouse.errors import SinkError

log = structlog.get_logger(__name__)

PAGES = Counter("accredit_console_requests", "Requests served by the console's pages", ["page"])
ROWS_SHOWN = 200
Shown = tuple[Sequence[str], Sequence[Sequence[Any]]] | str
"""Columns and rows, or why there are none."""
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


class Pages:
    """The handlers. What they ask of Kafka and ClickHouse blocks, and is done in threads."""

    def __init__(self, settings: Settings, data: Path | None) -> None:
        self._settings = settings
        self._data = data

    def application(self) -> web.Application:
        """Routes to handlers."""
        application = web.Application()
        application.add_routes(
            [
                web.get("/", self.index),
                web.get("/status.json", self.status),
                web.get("/report.csv", self.report),
                web.get("/links", self.links),
                web.get("/healthz", self.healthz),
                web.get("/readyz", self.readyz),
                web.get("/metrics", self.metrics),
            ]
        )
        application.on_response_prepare.append(add_headers)
        return application

    def installation(self) -> Installation:
        return find(self._settings, self._data)

    async def index(self, request: web.Request) -> web.Response:
        """The page; ``?by=`` chooses the report."""
        PAGES.labels("index").inc()
        by = request.query.get("by", "partner")
        by = by if by in BY else "partner"
        installation = self.installation()
        status, report = await asyncio.gather(
            asyncio.to_thread(read_status, installation), asyncio.to_thread(self._report, installation, by)
        )
        return web.Response(text=page(installation, status, BY, by, report), content_type="text/html")

    async def status(self, request: web.Request) -> web.Response:
        """As `accredit status --format json`."""
        PAGES.labels("status").inc()
        return web.json_response(as_json(await asyncio.to_thread(read_status, self.installation())))

    async def report(self, request: web.Request) -> web.Response:
        """As `accredit report --format csv`; ``?by=`` chooses, several with several."""
        PAGES.labels("report").inc()
        by = tuple(request.query.getall("by", ["partner"]))
        if unknown := set(by) - set(BY):
            return web.Response(status=400, text=f"by: {sorted(unknown)} is none of {', '.join(BY)}\n")
        try:
            found = await asyncio.to_thread(read_report, self.installation().server(), by)
        except (ConsoleError, SinkError) as error:
            return web.Response(status=503, text=f"{error}\n")
        return web.Response(text=to_csv(found.columns, found.rows), content_type="text/csv")

    async def links(self, request: web.Request) -> web.Response:
        """Tracking links: build, check, try. Nothing is recorded."""
        PAGES.labels("links").inc()
        text = await asyncio.to_thread(self._links, dict(request.query))
        return web.Response(text=text, content_type="text/html")

    async def healthz(self, request: web.Request) -> web.Response:
        """Alive."""
        return web.Response(text="ok\n")

    async def readyz(self, request: web.Request) -> web.Response:
        """Ready when the report can be read."""
        report = await asyncio.to_thread(self._report, self.installation(), "partner", 1)
        if isinstance(report, str):
            return web.json_response({"ready": False, "reason": report}, status=503)
        return web.json_response({"ready": True})

    async def metrics(self, request: web.Request) -> web.Response:
        """Prometheus's text format."""
        return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    def _links(self, asked: dict[str, str]) -> str:
        from console.links.ground import ground_of
        from console.links.page import outcome, page

        try:
            ground = ground_of(self.installation())
        except (ConsoleError, IngestError) as error:
            return page(str(error), asked, None)
        return page(ground, asked, outcome(asked, ground, time.time_ns() // 1_000_000))

    def _report(self, installation: Installation, by: str, limit: int = ROWS_SHOWN) -> Shown:
        try:
            found = read_report(installation.server(), (by,), limit=limit)
        except (ConsoleError, SinkError) as error:
            return str(error)
        return narrowed(found.columns, found.rows, ON_SCREEN) if by == "order" else (found.columns, found.rows)


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)


def serve(settings: Settings, data: Path | None, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    application = Pages(settings, data).application()
    log.info("console_listening", host=host, port=port)
    web.run_app(
        application,
        host=host,
        port=port,
        print=None,
        access_log=None,
        shutdown_timeout=1.0,
        handle_signals=True,
    )
