"""A link tried on the real door, in this process: nothing is sent anywhere, nothing is recorded."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from console.links.address import BY_PATH, BY_QUERY, BY_SLUG, Address, Ground
from ingest.door import DoorContext
from ingest.edge.visitor import Edge
from ingest.envelope import Message
from ingest.http import Answer, answer_of
from ingest.impressions import ImpressionDoor
from ingest.intake import Intake
from ingest.metrics import Metrics
from ingest.redirect import RedirectDoor
from ingest.settings import IngestSettings
from processors.core.offline import History
from processors.core.public import public_credit
from processors.core.terms import OneCatalog
from schemas.codec import decode
from schemas.events import parse_event
from schemas.ids import ClickIdKeys
from schemas.records import Click, Conversion, DeadLetter, Record
from schemas.times import HOUR, format_time

CONVERTS_AFTER = HOUR
AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
)
ADDRESS = "203.0.113.9"
"""Of nobody (RFC 5737)."""


class Sale(NamedTuple):
    """The conversion that is imagined, an hour after the click. No goal: those that the partner's contracts name."""

    goals: Sequence[str] = ()
    amount: str = "100.00"
    promo_code: str | None = None


class Trial(NamedTuple):
    """What would happen. ``touch``, ``letter``: what would be recorded, None where nothing; ``credits``: per goal."""

    answer: Answer
    touch: Click | None
    letter: DeadLetter | None
    credits: Sequence[dict[str, Any]]

    def header(self, name: str) -> str | None:
        """A header of the answer."""
        return next((value for key, value in self.answer.headers if key == name), None)


@dataclass
class Headers:
    """As a connection has them."""

    values: dict[str, str]

    def get(self, key: str, default: Any = None, /) -> Any:
        return self.values.get(key, default)

    def get_all(self, key: str, /) -> list[str]:
        return [self.values[key]] if key in self.values else []


@dataclass
class Request:
    """A visitor's request, as a connection has it."""

    path: str
    query_string: str
    scheme: str
    authority: str | None
    headers: Headers
    client: str
    method: str = "GET"


@dataclass
class Noted:
    """A publisher that only notes."""

    records: list[Record] = field(default_factory=list)

    def publish(self, message: Message) -> asyncio.Future[None]:
        self.records.append(decode(message.value))
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future

    async def publish_all(self, messages: Sequence[Message]) -> None:
        for message in messages:
            await self.publish(message)


def try_link(
    address: Address, ground: Ground, now: int, sale: Sale, *, client: str = ADDRESS, agent: str = AGENT
) -> Trial:
    """Follow the link as a visitor from the address ``client`` with that browser would, and then buy. Blocks briefly.

    The click ids are signed with a key of the moment: none of them is good for anything.
    """
    noted = Noted()
    settings = IngestSettings(
        kafka="", port=0, data_dir=Path(), keys=ClickIdKeys(1, {1: os.urandom(32)}), config=ground.config
    )
    intake = Intake(settings.keys, lambda _: ground.index)
    edge = Edge(ground.config.edge, ground.config.privacy)
    context = DoorContext(settings, noted, intake, Metrics(), lambda: now, edge=edge)
    scheme, _, host = address.origin.partition("://")
    headers = Headers({"host": host, "user-agent": agent, "accept": "text/html"})
    request = Request(
        address.path, address.query, scheme, None, headers, f"[{client}]:0" if ":" in client else f"{client}:0"
    )
    answer = asyncio.run(asked(context, request))
    touch = next((record for record in noted.records if isinstance(record, Click)), None)
    letter = next((record for record in noted.records if isinstance(record, DeadLetter)), None)
    return Trial(answer, touch, letter, [] if touch is None else credited(touch, ground, sale))


async def asked(context: DoorContext, request: Request) -> Answer:
    """The answer of the door that the path leads to."""
    redirect, impression = RedirectDoor(context), ImpressionDoor(context)
    if request.path.startswith(BY_SLUG):
        return await answer_of(redirect.by_slug(request))
    if request.path.startswith(BY_PATH):
        return await answer_of(redirect.by_path(request))
    if request.path == BY_QUERY:
        return await answer_of(redirect.by_query(request))
    by_query = request.path.startswith("/aff")
    return await answer_of(impression.by_query(request) if by_query else impression.by_path(request))


def credited(touch: Click, ground: Ground, sale: Sale) -> list[dict[str, Any]]:
    """The public credits of the imagined conversions, one per goal, decided by the rules that decide real ones."""
    offer = ground.index.offers[touch.offer_id].offer
    at = touch.occurred_at + CONVERTS_AFTER
    history = History()
    history.add_click(touch)
    for number, goal in enumerate(sale.goals or goals_of(touch.partner_id, ground)):
        fields = {
            "type": "conversion",
            "advertiser_id": offer.advertiser_id,
            "offer_id": offer.id,
            "session_id": touch.session_id,
            "goal": goal,
            "order_id": f"trial-{number}",
            "amount": sale.amount,
            "promo_code": sale.promo_code,
            "occurred_at": format_time(at),
        }
        conversion = parse_event(fields, received_at=at, door="trial")
        assert isinstance(conversion, Conversion)
        history.add_conversion(conversion)
    standings, _, _ = history.settle(OneCatalog(ground.catalog))
    return [public_credit(standing) for standing in standings]


def goals_of(partner_id: str, ground: Ground) -> list[str]:
    """The goals that the partner's contracts name; a sale where they name none."""
    rates = [
        rate for contract in ground.catalog.contracts if contract.partner_id == partner_id for rate in contract.payout
    ]
    return list(dict.fromkeys(goal for rate in rates for goal in rate.goal)) or ["sale"]
