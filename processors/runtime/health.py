"""The worker's own port: ``/healthz`` (alive), ``/readyz`` (ready, or why not), ``/metrics``. On the loopback."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from aiohttp import web

from processors.runtime.metrics import Metrics

log = structlog.get_logger(__name__)

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Health:
    """Answers while the worker runs. ``not_ready`` says why it is not ready, or None when it is."""

    def __init__(self, host: str, port: int, metrics: Metrics, not_ready: Callable[[], str | None]) -> None:
        self._host = host
        self._port = port
        self._metrics = metrics
        self._not_ready = not_ready
        self._runner: web.AppRunner | None = None

    async def start(self) -> int:
        """Listen; returns the port. OSError when it is taken."""
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics_text)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, self._host, self._port)
        await site.start()
        port: int = self._runner.addresses[0][1]
        log.info("health_listening", host=self._host, port=port)
        return port

    async def stop(self) -> None:
        """Stop listening."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _healthz(self, request: web.Request) -> web.Response:
        return web.json_response({"alive": True})

    async def _readyz(self, request: web.Request) -> web.Response:
        reason = self._not_ready()
        return web.json_response({"ready": reason is None, "reason": reason}, status=200 if reason is None else 503)

    async def _metrics_text(self, request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text(), headers={"Content-Type": METRICS_TYPE})
