"""The front door as an RSGI application: which door a path leads to, and nothing but problem documents on errors."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Coroutine, Sequence
from http import HTTPStatus
from typing import Any

import structlog

from ingest import catalog_file
from ingest.access.follow import AccessFollower
from ingest.access.gate import Gate
from ingest.access.proxies import TrustedProxies
from ingest.catalog_follow import CatalogFollower
from ingest.door import DoorContext
from ingest.edge.visitor import edge_of
from ingest.errors import NoCatalog, NotAcknowledged, Refusal
from ingest.health import Health
from ingest.http import Answer, Exchange, Scope, problem
from ingest.intake import Intake
from ingest.metrics import Metrics
from ingest.recent import RecentConversions
from ingest.recent_follow import ConversionFollower
from ingest.routes import Route, RouteTable, routes_of
from ingest.seldom import Seldom
from ingest.settings import IngestSettings
from ingest.spool.publisher import SpoolingPublisher

log = structlog.get_logger(__name__)

FLUSH_S = 2.0
GARBAGE = (20_000, 20, 50)
"""Python's thresholds of collection: with hundreds of requests in flight the usual 700 is reached every few answers."""


class Doors:
    """Path and method to a door; everything that goes wrong to an answer."""

    def __init__(self, context: DoorContext, routes: Sequence[Route]) -> None:
        self._metrics = context.metrics
        self._retry = ("retry-after", str(context.settings.retry_after_s))
        self._routes = RouteTable(routes)
        proxies = context.settings.config.access.trusted_proxies
        self._proxies = TrustedProxies(proxies) if proxies else None
        self._not_durable = Seldom()

    async def __call__(self, scope: Scope, exchange: Exchange) -> None:
        """Answer one request. Raises nothing."""
        started = time.perf_counter()
        path = scope.path
        door = "none"
        try:
            if self._proxies is not None:
                scope = self._proxies.behind(scope)
            route = self._routes.find(path)
            if route is None:
                raise Refusal(HTTPStatus.NOT_FOUND, "NO_SUCH_PATH", f"there is nothing at {path[:200]}")
            _, door, methods, handler = route
            if scope.method not in methods:
                allowed = ", ".join(methods)
                detail = f"{scope.method[:20]} is not taken here; {allowed} is"
                headers = [("allow", allowed)]
                raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", detail, headers=headers)
            answer = await handler(scope, exchange)
        except Exception as error:
            answer = self._failed(error, path)
        if answer.body:
            exchange.response_bytes(answer.status, answer.headers, answer.body)
        else:
            exchange.response_empty(answer.status, answer.headers)
        self._metrics.answered(door, answer.status, time.perf_counter() - started)

    def _failed(self, error: Exception, path: str) -> Answer:
        """The answer to what a door raised. A sender never sees a traceback."""
        if isinstance(error, Refusal):
            return problem(error)
        unavailable = HTTPStatus.SERVICE_UNAVAILABLE
        if isinstance(error, NotAcknowledged):
            if times := self._not_durable.due():
                log.error("not_durable", path=path[:200], error=str(error), times=times)
            detail = "the event could not be made durable; send it again"
            return problem(Refusal(unavailable, "NOT_DURABLE", detail, headers=[self._retry]))
        if isinstance(error, NoCatalog):
            detail = "no catalog has been applied yet; send it again later"
            return problem(Refusal(unavailable, "NO_CATALOG", detail, headers=[self._retry]))
        log.error("request_failed", path=path[:200], exc_info=error)
        detail = "this is our mistake, not yours; it is in our log"
        return problem(Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", detail))


class App:
    """One worker process's front door, with granian's life cycle: made, opened on its loop, closed."""

    def __init__(self, settings: IngestSettings) -> None:
        self._settings = settings
        self._metrics = Metrics()
        self._access = AccessFollower(settings.config.access.path(settings.data_dir))
        self._catalog = CatalogFollower(settings.kafka, settings.data_dir / catalog_file.NAME)
        remembered = settings.config.postbacks.remembered
        self._recent = RecentConversions(remembered)
        self._recent_follower = ConversionFollower(settings.kafka, self._recent, remembered, self._catalog.currency_of)
        self._publisher: SpoolingPublisher | None = None
        self._doors: Doors | None = None

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        settings = self._settings
        self._access.start()
        self._catalog.start()
        self._recent_follower.start()
        self._publisher = SpoolingPublisher(settings, loop, self._metrics)
        config = settings.config
        edge = edge_of(config.edge, config.privacy, settings.data_dir)
        edge.agents.warm()
        intake = Intake(settings.keys, self._catalog.at, edge.keeper)
        gate = Gate(settings.config.access, lambda: self._access.current)
        context = DoorContext(
            settings,
            self._publisher,
            intake,
            self._metrics,
            births=self._publisher.births,
            edge=edge,
            gate=gate,
            recent=self._recent,
        )
        health = Health(self._publisher, self._catalog, self._metrics)
        self._doors = Doors(context, routes_of(context, health))
        gc.freeze()  # what is there now stays: tables, code, the catalog
        gc.set_threshold(*GARBAGE)

    def __rsgi_del__(self, loop: asyncio.AbstractEventLoop) -> None:
        assert self._publisher is not None
        self._publisher.close(FLUSH_S)
        self._catalog.close()
        self._access.close()
        self._recent_follower.close()

    def __rsgi__(self, scope: Scope, exchange: Exchange) -> Coroutine[Any, Any, None]:
        assert self._doors is not None
        return self._doors(scope, exchange)
