"""What the reference (``reference.py``) reads from a catalog, its times and its prices: RULES.md, naively."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from functools import cache
from typing import Any

import yaml

Thing = dict[str, Any]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
MINOR_UNITS = {"JPY": 0, "KWD": 3}  # every other currency of the tests has two decimals


@cache
def milliseconds(text: str) -> int:
    return (datetime.fromisoformat(text) - EPOCH) // timedelta(milliseconds=1)


def instant(at: int) -> str:
    text = (EPOCH + timedelta(milliseconds=at)).isoformat(timespec="milliseconds").removesuffix("+00:00")
    return text.removesuffix(".000") + "Z"


def duration(text: str) -> int:
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    return int(number) * UNITS[text[len(number) :]]


def listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [] if value is None else [value]


class Catalog:
    """A catalog's text, every scalar as it was written."""

    def __init__(self, text: str) -> None:
        data = yaml.load(text, yaml.BaseLoader)
        self.advertisers: dict[str, Thing] = {a["id"]: a for a in data["advertisers"]}
        self.offers: dict[str, Thing] = {o["id"]: o for o in data.get("offers", [])}
        self.partners: dict[str, Thing] = {p["id"]: p for p in data.get("partners", [])}
        self.contracts: list[Thing] = data.get("contracts", [])
        self.promo_codes: list[Thing] = data.get("promo_codes", [])
        self.programs: dict[str, Thing] = {a: {"advertiser_id": a} for a in self.advertisers}
        for name, advertiser in self.advertisers.items():
            self.programs |= {p["id"]: {**p, "advertiser_id": name} for p in advertiser.get("programs", [])}

    def program_of(self, offer_id: str) -> str:
        offer = self.offers[offer_id]
        return str(offer.get("program_id") or offer["advertiser_id"])

    def in_force(self, things: Iterable[Thing], at: int) -> Thing | None:
        """``[from, until)``; "of several in force the greatest `from` governs"."""
        begun = [thing for thing in things if milliseconds(thing["from"]) <= at]
        valid = [thing for thing in begun if "until" not in thing or at < milliseconds(thing["until"])]
        return max(valid, key=lambda thing: milliseconds(thing["from"]), default=None)

    def contract(self, partner_id: str, offer_id: str | None, program_id: str, at: int) -> Thing | None:
        """The contract on the offer goes before the one on the program."""
        own = [contract for contract in self.contracts if contract["partner_id"] == partner_id]
        on_offer = [contract for contract in own if "offer_id" in contract and contract["offer_id"] == offer_id]
        on_program = [contract for contract in own if contract.get("program_id") == program_id]
        return self.in_force(on_offer, at) or self.in_force(on_program, at)

    def active(self, offer_id: str, at: int) -> bool:
        """Open: before its first status an offer is not active, without any it always is."""
        status = self.offers[offer_id].get("status", [])
        latest = self.in_force(status, at)
        return not status or (latest is not None and latest["value"] == "active")

    def code(self, text: str, program_id: str, at: int) -> Thing | None:
        """A known code: of this program, within its dates, in any case."""
        codes = [code for code in self.promo_codes if code["program_id"] == program_id]
        return self.in_force([code for code in codes if code["code"].casefold() == text.casefold()], at)


def covers(contract: Thing, goal: str) -> bool:
    """ "A contract covers a goal when one of its payout rules names it or names none." """
    return any(goal in listed(rule.get("goal")) or not listed(rule.get("goal")) for rule in contract.get("payout", []))


def price(rules: list[Thing], conversion: Thing, country: str | None) -> str:
    """ "First payout rule that matches, top-down; rounded once, half-even, to the currency's minor unit." """
    money = Decimal(0)
    for rule in rules:
        goals, countries = listed(rule.get("goal")), [name.upper() for name in listed(rule.get("country"))]
        if (not goals or conversion["goal"] in goals) and (not countries or country in countries):
            share = Decimal(conversion.get("amount", 0)) * Decimal(rule.get("percent", 0)) / 100
            money = Decimal(rule["flat"]) if "flat" in rule else share
            break
    minor = Decimal(1).scaleb(-MINOR_UNITS.get(conversion["currency"], 2))
    return format(money.quantize(minor, ROUND_HALF_EVEN), "f")
