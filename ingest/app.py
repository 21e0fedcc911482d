"""The front door as an application: which door a path leads to, and nothing but problem documents on errors."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Coroutine, Sequence
from http import HTTPStatus
from typing import Any, Final, cast

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
from ingest.http import Answer, Exchange, Outcome, Pending, Scope, problem
from ingest.intake import Intake
from ingest.metrics import Metrics
from ingest.pages import sorry
from ingest.recent import RecentConversions
from ingest.recent_follow import ConversionFollower
from ingest.routes import Route, RouteTable, routes_of
from ingest.seldom import Seldom
from ingest.serving.request import Request
from ingest.settings import IngestSettings
from ingest.spool.publisher import SpoolingPublisher
from ingest.spool.shared import Shared

log = structlog.get_logger(__name__)

FLUSH_S: Final = 2.0
GARBAGE: Final = (20_000, 20, 50)
"""Python's thresholds of collection: with hundreds of requests in flight the usual 700 is reached every few answers."""


class Doors:
    """Path and method to a door; everything that goes wrong to an answer."""

    def __init__(self, context: DoorContext, routes: Sequence[Route]) -> None:
        self.metrics = context.metrics
        self._retry = ("retry-after", str(context.settings.retry_after_s))
        self._routes = RouteTable(routes)
        proxies = context.settings.config.access.trusted_proxies
        self._proxies = TrustedProxies(proxies) if proxies else None
        self._not_durable = Seldom()
        self._tasks: set[asyncio.Task[None]] = set()

    def serve(self, scope: Scope, exchange: Exchange) -> None:
        """Answer one request, now or later. Raises nothing. Called on a running loop."""
        visit = Visit(self, scope, exchange)
        try:
            outcome = self._outcome(visit, scope)
        except Exception as error:
            visit.answer(self.failed(error, scope))
            return
        if type(outcome) is Pending:
            visit.pending, durable = outcome, outcome.durable
            if isinstance(durable, Shared):
                durable.tell(visit.durable)
            else:
                durable.add_done_callback(visit.durable)
        elif type(outcome) is Answer:
            visit.answer(outcome)
        else:
            task = asyncio.create_task(visit.awaited(cast("Coroutine[Any, Any, Answer]", outcome)))
            self._tasks.add(task)  # the loop itself keeps no task alive
            task.add_done_callback(self._tasks.discard)

    def _outcome(self, visit: Visit, scope: Scope) -> Outcome:
        if self._proxies is not None:
            scope = self._proxies.behind(scope)
        path = scope.path
        route = self._routes.find(path)
        if route is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "NO_SUCH_PATH", f"there is nothing at {path[:200]}")
        _, visit.door, methods, handler = route
        if scope.method not in methods:
            allowed = ", ".join(methods)
            detail = f"{scope.method[:20]} is not taken here; {allowed} is"
            headers = [("allow", allowed)]
            raise Refusal(HTTPStatus.METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", detail, headers=headers)
        return handler(scope, visit.exchange)

    def failed(self, error: Exception, scope: Scope) -> Answer:
        """The answer to what a door raised. A sender never sees a traceback."""
        if isinstance(error, Refusal):
            return problem(error)
        unavailable = HTTPStatus.SERVICE_UNAVAILABLE
        if isinstance(error, NotAcknowledged):
            if times := self._not_durable.due():
                log.error("not_durable", path=scope.path[:200], error=str(error), times=times)
            detail = "the event could not be made durable; send it again"
            return problem(Refusal(unavailable, "NOT_DURABLE", detail, headers=[self._retry]))
        if isinstance(error, NoCatalog):
            detail = "no catalog has been applied yet; send it again later"
            return sorry(scope, Refusal(unavailable, "NO_CATALOG", detail, headers=[self._retry]))
        log.error("request_failed", path=scope.path[:200], exc_info=error)
        detail = "this is our mistake, not yours; it is in our log"
        return problem(Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", detail))


class Visit:
    """One request between its first look and its answer."""

    __slots__ = ("_doors", "_scope", "_since", "door", "exchange", "pending")

    def __init__(self, doors: Doors, scope: Scope, exchange: Exchange) -> None:
        self._doors = doors
        self._since = time.perf_counter()
        self._scope = scope
        self.door = "none"
        self.exchange = exchange
        self.pending: Pending | None = None

    def answer(self, answer: Answer) -> None:
        """Send it, and count it."""
        self.exchange.respond(answer.status, answer.headers, answer.body)
        self._doors.metrics.answered(self.door, answer.status, time.perf_counter() - self._since)

    def durable(self, durable: asyncio.Future[None]) -> None:
        """The event is acknowledged or synced, or neither."""
        doors, pending = self._doors, self.pending
        assert pending is not None
        error = durable.exception()
        if error is None:
            doors.metrics.took(self.door, pending.kind)
            self.answer(pending.answer)
            return
        try:
            answer = pending.lost(error)
        except Exception as error:
            answer = doors.failed(error, self._scope)
        self.answer(answer)

    async def awaited(self, coming: Awaitable[Answer]) -> None:
        """A door that takes its time."""
        try:
            answer = await coming
        except Exception as error:
            answer = self._doors.failed(error, self._scope)
        self.answer(answer)


class App:
    """One worker process's front door: made, opened on its loop, closed."""

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

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Make everything that belongs to a loop."""
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

    def serve(self, request: Request) -> None:
        """Answer a request."""
        assert self._doors is not None
        self._doors.serve(request, request)

    def close(self) -> None:
        """Send what is queued, and stop what follows."""
        if self._publisher is not None:
            self._publisher.close(FLUSH_S)
        self._catalog.close()
        self._access.close()
        self._recent_follower.close()
