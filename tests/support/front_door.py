"""The front door without a socket: requests as data, a publisher that keeps what it is given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson

from ingest.access.gate import Gate
from ingest.app import Doors
from ingest.catalog_index import CatalogIndex
from ingest.door import DoorContext
from ingest.edge.visitor import Edge
from ingest.envelope import Message
from ingest.errors import NoCatalog, NotAcknowledged, PublisherFull
from ingest.health import Health
from ingest.http import Answer, HeaderList
from ingest.intake import Intake
from ingest.metrics import Metrics
from ingest.routes import routes_of
from ingest.settings import IngestSettings
from schemas.catalog import load_catalog
from schemas.codec import decode
from schemas.ids import ClickIdKeys
from schemas.records import Record
from schemas.times import parse_time

NOW = parse_time("2026-05-10T12:00:00Z")
KEYS = ClickIdKeys(1, {1: b"k" * 32})
SESSION = "018f3c1e-0000-7000-8000-000000000001"
CATALOG = """
advertisers:
  - id: shop
    currency: EUR
    programs: [{id: summer, fallback_url: "https://shop.example/summer?c={transaction_id}"}]
  - {id: other, currency: USD}
offers:
  - id: shoes
    advertiser_id: shop
    landing_url: "https://shop.example/shoes?tid={transaction_id}&p={partner_id}&s={sub1}&x={nonsense}"
  - id: hats
    advertiser_id: shop
    program_id: summer
    landing_url: https://shop.example/hats
    status: [{value: active, from: 2026-01-01T00:00:00Z}, {value: paused, from: 2026-05-01T00:00:00Z}]
  - id: coats
    advertiser_id: shop
    landing_url: https://shop.example/coats
    fallback_url: https://shop.example/winter
    status: [{value: expired, from: 2026-01-01T00:00:00Z}]
  - {id: bags, advertiser_id: other, landing_url: "https://other.example/"}
partners: [{id: anna, type: influencer}]
"""
INDEX = CatalogIndex.of(1, load_catalog(CATALOG))


class FakeHeaders:
    """Headers as a connection has them."""

    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._pairs = pairs

    def get(self, key: str, default: Any = None, /) -> Any:
        return next((value for name, value in self._pairs if name == key), default)

    def get_all(self, key: str, /) -> list[str]:
        return [value for name, value in self._pairs if name == key]


@dataclass
class FakeScope:
    """A request as a connection has it."""

    method: str
    path: str
    query_string: str = ""
    headers: FakeHeaders = field(default_factory=lambda: FakeHeaders([]))
    scheme: str = "http"
    client: str = "203.0.113.9:4711"
    authority: str | None = None


class FakeExchange:
    """A body in chunks, and what was answered."""

    def __init__(self, body: bytes = b"", chunk: int = 1_000) -> None:
        self._chunks = [body[start : start + chunk] for start in range(0, len(body), chunk)]
        self.answer: Answer | None = None
        self.answered = asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self._chunks:
            yield chunk

    def respond(self, status: int, headers: HeaderList, body: bytes = b"") -> None:
        self.answer = Answer(status, headers, body)
        self.answered.set()


class KeepingPublisher:
    """Keeps messages; ``away`` makes it fail as Kafka would, ``full`` as a spool without room."""

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self.away = False
        self.full = False

    def publish(self, message: Message) -> asyncio.Future[None]:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if self.full:
            raise PublisherFull
        if self.away:
            future.set_exception(NotAcknowledged("away"))
        else:
            self.messages.append(message)
            future.set_result(None)
        return future

    async def publish_all(self, messages: Sequence[Message]) -> None:
        for message in messages:
            await self.publish(message)

    def records(self, topic: str | None = None) -> list[Record]:
        return [decode(message.value) for message in self.messages if topic in (None, message.topic)]


@dataclass
class Said:
    """An answer, easier to look at."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


class FrontDoor:
    """Ask it; then look at ``publisher``."""

    def __init__(
        self, *, index: CatalogIndex | None = INDEX, gate: Gate | None = None, edge: Edge | None = None, **settings: Any
    ) -> None:
        self.publisher = KeepingPublisher()
        self.settings = IngestSettings(**{"kafka": "", "port": 0, "data_dir": Path(), "keys": KEYS, **settings})
        self.metrics = Metrics()

        def catalog_at(now: int) -> CatalogIndex:
            if index is None:
                raise NoCatalog
            return index

        intake = Intake(KEYS, catalog_at)
        parts = {"gate": gate or Gate(), "edge": edge or Edge()}
        context = DoorContext(self.settings, self.publisher, intake, self.metrics, lambda: NOW, bytes, **parts)
        unused_health: Any = Health.__new__(Health)
        self.routes = routes_of(context, unused_health)
        self._doors = Doors(context, self.routes)

    def ask(
        self, method: str, url: str, body: bytes = b"", headers: Sequence[tuple[str, str]] = (), **scope: Any
    ) -> Said:
        path, _, query = url.partition("?")
        exchange = FakeExchange(body)
        asked = FakeScope(method, path, query, FakeHeaders(list(headers)), **scope)
        asyncio.run(self._answered(asked, exchange))
        assert exchange.answer is not None
        return Said(exchange.answer.status, dict(exchange.answer.headers), exchange.answer.body)

    async def _answered(self, scope: FakeScope, exchange: FakeExchange) -> None:
        self._doors.serve(scope, exchange)
        await exchange.answered.wait()
