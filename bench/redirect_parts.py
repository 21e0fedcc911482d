"""What a redirect costs, part by part, in one process without a socket, with a real Kafka behind it."""

from __future__ import annotations

import asyncio
import gc
import os
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from bench.wrk import HEADERS
from ingest.access.gate import Gate
from ingest.app import GARBAGE, Doors
from ingest.catalog_index import CatalogIndex
from ingest.cookies import SessionCookie
from ingest.door import DoorContext
from ingest.edge.visitor import edge_of
from ingest.health import Health
from ingest.intake import Intake
from ingest.metrics import Metrics
from ingest.routes import RouteTable, routes_of
from ingest.settings import IngestSettings
from ingest.spool.publisher import SpoolingPublisher
from ingest.touches import Touches
from schemas.catalog import load_catalog
from schemas.ids import ClickIdKeys, new_session_id, session_key

TIMES = 20_000
LOT = 250
EDGE = "edge: agent, country, network, consent, repeats"
IDENTITY = "session, click id, cookie"
SEALING = "sealing for a new session"
RECORD = "the record: Avro, headers"
QUERY = "partner=anna&sub1=spring&sub2=top&utm_source=blog&gclid=abc"
PATH = "/c/lamps"


class Headers:
    """Headers as a connection has them."""

    def __init__(self) -> None:
        pairs = (line.split(": ", 1) for line in HEADERS)
        self._values = {name.lower(): value for name, value in pairs} | {"host": "go.example"}

    def get(self, key: str, default: Any = None, /) -> Any:
        return self._values.get(key, default)

    def get_all(self, key: str, /) -> list[str]:
        return [self._values[key]] if key in self._values else []


class Request:
    """A visit as a connection has it, and the other half that takes its answer."""

    method, path, query_string, scheme = "GET", PATH, QUERY, "http"
    client, authority = "198.51.100.7:4711", None
    headers = Headers()
    awaited = 0
    all_answered = asyncio.Event()

    async def __aiter__(self) -> Any:
        yield b""

    def respond(self, status: int, headers: Any, body: bytes = b"") -> None:
        assert status == 302, body
        self.awaited -= 1
        if not self.awaited:
            self.all_answered.set()


def each_us(parts: Mapping[str, Callable[[], object]]) -> dict[str, float]:
    """Microseconds of one call of each: the best of many lots, since whatever else runs here only adds. The lots are
    taken in turns, since the processor's pace is not the same all the time.
    """
    best = dict.fromkeys(parts, float("inf"))
    for _ in range(TIMES // LOT):
        for name, work in parts.items():
            began = time.process_time()
            for _ in range(LOT):
                work()
            best[name] = min(best[name], time.process_time() - began)
    return {name: seconds / LOT * 1e6 for name, seconds in best.items()}


async def costs(kafka: str, folder: Path, catalog: str) -> list[tuple[str, float]]:
    """Name and microseconds of every part, the whole last."""
    loop = asyncio.get_running_loop()
    settings = IngestSettings(kafka, 0, folder, ClickIdKeys(1, {1: os.urandom(32)}))
    metrics = Metrics()
    index = CatalogIndex.of(1, load_catalog(catalog))
    edge = edge_of(settings.config.edge, settings.config.privacy, folder)
    edge.agents.warm()
    intake = Intake(settings.keys, lambda now: index, edge.keeper)
    publisher = SpoolingPublisher(settings, loop, metrics)
    context = DoorContext(settings, publisher, intake, metrics, edge=edge, gate=Gate(settings.config.access))
    health: Any = Health.__new__(Health)
    routes = routes_of(context, health)
    touches, cookie, request = Touches(context, "click"), SessionCookie(settings), Request()
    scope: Any = request
    now, entry = context.now(), index.offers["lamps"]
    asked = touches.asked(QUERY)
    visitor = edge.visitor(scope, now, asked.consent)
    link = touches.link(asked, entry, "redirect")
    message = touches.take(link, scope, request.headers, now, index).message

    def identity() -> None:
        sid = cookie.read([]) or new_session_id(now, context.entropy(10))
        settings.keys.mint(session_key(sid), now, "shop", context.entropy(6))
        cookie.write(sid, "http", "go.example", index.cookie_age_s)

    def look() -> None:
        edge.visitor(scope, now, asked.consent)
        edge.marks(visitor, next(seen), "lamps", "anna", now, "click")

    def count() -> None:
        metrics.took("redirect", "click")
        metrics.answered("redirect", 302, 0.001)

    personal = visitor.address, visitor.user_agent, request.headers.get("referer")
    seen, sealed = (iter([new_session_id(now, os.urandom(10)) for _ in range(TIMES)]) for _ in range(2))
    us = each_us(
        {
            "routing": partial(RouteTable(routes).find, PATH),
            "the link, prepared": lambda: touches.link(touches.asked(QUERY), entry, "redirect"),
            EDGE: look,
            IDENTITY: identity,
            SEALING: lambda: edge.keeper.visit(next(sealed), personal, link.secret),
            RECORD: partial(touches.take, link, scope, request.headers, now, index),
            "metrics": count,
        }
    )
    us[RECORD] -= us[EDGE] + us[IDENTITY] + us[SEALING]  # a touch is made of all four
    try:
        await publisher.publish(message)
        doors = Doors(context, routes)
        gc.freeze()
        gc.set_threshold(*GARBAGE)
        produced_us, acknowledged_us, whole_us = [], [], []
        for _ in range(TIMES // LOT):
            began = time.process_time()
            waiting = [publisher.publish(message) for _ in range(LOT)]
            produced = time.process_time()
            await asyncio.gather(*waiting)
            acknowledged = time.process_time()
            request.awaited = LOT
            request.all_answered.clear()
            for _ in range(LOT):
                doors.serve(scope, request)
            await request.all_answered.wait()
            whole_us.append((time.process_time() - acknowledged) / LOT * 1e6)
            acknowledged_us.append((acknowledged - produced) / LOT * 1e6)
            produced_us.append((produced - began) / LOT * 1e6)
    finally:
        publisher.close(2)
    us["produce"] = min(produced_us)
    us["acknowledgement, and librdkafka's threads"] = min(acknowledged_us)
    us["landing page, answer, collections"] = min(whole_us) - sum(us.values())
    return [*us.items(), ("whole", min(whole_us))]
