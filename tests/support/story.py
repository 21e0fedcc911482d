"""A small language for crediting stories: contracts, touches and a sale, and the credit that comes of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from processors.core.offline import Conflict, History
from processors.core.public import public_credit
from processors.core.session import Refusal
from processors.core.terms import OneCatalog
from schemas.catalog import Catalog
from schemas.events import parse_event
from schemas.records import Adjustment, Click, Event
from schemas.times import DAY, format_time, parse_time

SALE_AT = parse_time("2026-05-03T12:00:00Z")
LONG_AGO = "2025-01-01T00:00:00Z"
SESSION = "018f3c1e-0000-7000-8000-000000000001"


def contract(partner: str, group: str | None = "preferred", **more: Any) -> dict[str, Any]:
    """A contract of ``partner`` on the program, paying 10 %."""
    terms = {"id": f"c-{partner}", "partner_id": partner, "program_id": "shop", "from": LONG_AGO}
    if "offer_id" in more:
        del terms["program_id"]
    terms |= {"payout": [{"percent": "10"}], **more}
    return terms if group is None else {"credit_group": group, **terms}


def touch(partner: str, before: int, **more: Any) -> dict[str, Any]:
    """A click of ``partner``, so many milliseconds before the sale (negative: after it)."""
    at = format_time(SALE_AT - before)
    base = {"type": "click", "session_id": SESSION, "occurred_at": at, "received_at": at}
    return {**base, "offer_id": "shoes", "partner_id": partner, **more}


def view(partner: str, before: int, **more: Any) -> dict[str, Any]:
    """An impression."""
    return touch(partner, before, type="impression", **more)


def sale(**more: Any) -> dict[str, Any]:
    """The conversion: 100.00 EUR at SALE_AT."""
    at = format_time(SALE_AT)
    base = {"type": "conversion", "session_id": SESSION, "advertiser_id": "shop", "goal": "sale", "order_id": "1"}
    return {**base, "occurred_at": at, "received_at": at, "amount": "100.00", "currency": "EUR", **more}


@dataclass
class Outcome:
    """The credits in the public shape, what was refused, and what conflicted."""

    credits: list[dict[str, Any]]
    refused: list[Refusal]
    conflicts: list[Conflict]

    @property
    def credit(self) -> dict[str, Any]:
        assert len(self.credits) == 1, self.credits
        return self.credits[0]

    @property
    def partner(self) -> str | None:
        partner: str | None = self.credit["partner_id"]
        return partner

    @property
    def reasons(self) -> dict[str, str]:
        """Partner → why its candidate was dropped."""
        return {c["partner_id"]: c["reason"] for c in self.credit["candidates"] if c["reason"]}


@dataclass
class Story:
    """A catalog of one advertiser ``shop`` with program ``shop``, offers, contracts and codes."""

    contracts: Iterable[Mapping[str, Any]]
    codes: Iterable[Mapping[str, Any]] = ()
    offers: Iterable[Mapping[str, Any]] = ()
    programs: Iterable[Mapping[str, Any]] = ()
    buyers: Mapping[str, list[str]] = field(default_factory=dict)
    offer: Mapping[str, Any] = field(default_factory=dict)

    def catalog(self) -> Catalog:
        contracts = list(self.contracts)
        partners = {c["partner_id"] for c in contracts} | {c["partner_id"] for c in self.codes}
        shoes = {"id": "shoes", "advertiser_id": "shop", "landing_url": "https://shop.example/", **self.offer}
        return Catalog.model_validate(
            {
                "advertisers": [{"id": "shop", "currency": "EUR", "programs": list(self.programs)}],
                "offers": [shoes, *self.offers],
                "partners": [
                    {"id": p, "type": "publisher", "buyer_ids": self.buyers.get(p, [])} for p in sorted(partners)
                ],
                "contracts": contracts,
                "promo_codes": [{"program_id": "shop", "from": LONG_AGO, **code} for code in self.codes],
            }
        )

    def tell(self, *events: Mapping[str, Any]) -> Outcome:
        """What becomes of the events under this catalog."""
        return tell(self.catalog(), records(events))


def records(events: Iterable[Mapping[str, Any]]) -> list[Event]:
    """Public events as records; a conversion may name any click id among them."""
    events = list(events)
    touches = [parse_event(e, received_at=None, door="test") for e in events if e["type"] != "conversion"]
    sessions = {t.click_id: t.session_id for t in touches if isinstance(t, Click)}
    sales = [
        parse_event(e, received_at=None, door="test", session_of_click=sessions)
        for e in events
        if e["type"] == "conversion"
    ]
    return [*touches, *sales]


def tell(catalog: Catalog, events: Iterable[Event]) -> Outcome:
    history = History()
    for event in events:
        if isinstance(event, Click):
            history.add_click(event)
        elif not isinstance(event, Adjustment):
            history.add_conversion(event)
    standings, refused, conflicts = history.settle(OneCatalog(catalog))
    return Outcome([public_credit(s) for s in standings], refused, conflicts)


WINDOW = 30 * DAY
