"""RULES.md read word by word, naively and slowly: a second opinion on what ``accredit credit`` prints.

It shares no code with the project, so a sentence of the rules that can be read in two ways shows up as a difference
(``tests/property/test_reference.py``). Each function quotes the sentence that it stands for.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

import yaml

Thing = dict[str, Any]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 24 * 60 * 60 * 1000
UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": DAY, "w": 7 * DAY}
MINOR_UNITS = {"JPY": 0, "KWD": 3}  # every other currency of the tests has two decimals
GROUPS = {"preferred": 3, "default": 2, "non_preferred": 1}
LISTED = 200


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


def digest(person: bytes, *parts: str) -> bytes:
    joined = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.blake2b(joined.encode(), digest_size=16, person=person).digest()


class Catalog:
    """A catalog's text, every scalar as it was written."""

    def __init__(self, text: str) -> None:
        data = yaml.load(text, yaml.BaseLoader) or {}
        self.advertisers: dict[str, Thing] = {a["id"]: a for a in data.get("advertisers", [])}
        self.offers: dict[str, Thing] = {o["id"]: o for o in data.get("offers", [])}
        self.partners: dict[str, Thing] = {p["id"]: p for p in data.get("partners", [])}
        self.contracts: list[Thing] = data.get("contracts", [])
        self.promo_codes: list[Thing] = data.get("promo_codes", [])
        self.programs: dict[str, Thing] = {a: {} for a in self.advertisers}
        for advertiser in self.advertisers.values():
            self.programs |= {p["id"]: p for p in advertiser.get("programs", [])}

    def program_of_offer(self, offer_id: str) -> str:
        offer = self.offers[offer_id]
        return str(offer.get("program_id") or offer["advertiser_id"])

    def in_force(self, things: Iterable[Thing], at: int) -> Thing | None:
        """``[from, until)``; "of several in force the greatest `from` governs"."""
        valid = [
            thing
            for thing in things
            if milliseconds(thing["from"]) <= at and ("until" not in thing or at < milliseconds(thing["until"]))
        ]
        return max(valid, key=lambda thing: milliseconds(thing["from"])) if valid else None

    def contract(self, partner_id: str, offer_id: str | None, program_id: str, at: int) -> Thing | None:
        """The contract on the offer before the one on the program."""
        own = [c for c in self.contracts if c["partner_id"] == partner_id]
        on_offer = [c for c in own if offer_id is not None and c.get("offer_id") == offer_id]
        on_program = [c for c in own if c.get("program_id") == program_id]
        return self.in_force(on_offer, at) or self.in_force(on_program, at)

    def active(self, offer_id: str, at: int) -> bool:
        status = self.offers[offer_id].get("status", [])
        begun = [entry for entry in status if milliseconds(entry["from"]) <= at]
        return not status or (bool(begun) and max(begun, key=lambda e: milliseconds(e["from"]))["value"] == "active")

    def code(self, text: str, program_id: str, at: int) -> Thing | None:
        """A known code: of this program, within its dates, in any case."""
        return self.in_force(
            [c for c in self.promo_codes if c["code"].lower() == text.lower() and c["program_id"] == program_id], at
        )


def covers(contract: Thing, goal: str) -> bool:
    """ "A contract covers a goal when one of its payout rules names it or names none." """
    return any(goal in listed(rule.get("goal")) or not listed(rule.get("goal")) for rule in contract.get("payout", []))


def price(rules: list[Thing], conversion: Thing, country: str | None, currency: str) -> str:
    """ "First payout rule that matches, top-down; rounded once, half-even, to the currency's minor unit." """
    money = Decimal(0)
    for rule in rules:
        goals, countries = listed(rule.get("goal")), listed(rule.get("country"))
        if (not goals or conversion["goal"] in goals) and (not countries or country in countries):
            share = Decimal(conversion.get("amount") or 0) * Decimal(rule.get("percent") or 0) / 100
            money = Decimal(rule["flat"]) if "flat" in rule else share
            break
    minor = Decimal(1).scaleb(-MINOR_UNITS.get(currency, 2))
    return format(money.quantize(minor, ROUND_HALF_EVEN), "f")


class Reference:
    """What is known, from the lines, as a set: order and repetition of identical lines mean nothing (R34)."""

    def __init__(self, catalog_text: str, lines: Iterable[str]) -> None:
        self.catalog = Catalog(catalog_text)
        known: dict[str, Thing] = {}
        for line in lines:
            event = {name: value for name, value in json.loads(line).items() if value not in (None, "")}
            known[json.dumps(event, sort_keys=True)] = event
        events = [known[text] for text in sorted(known)]
        for event in events:
            event["at"], event["received"] = milliseconds(event["occurred_at"]), milliseconds(event["received_at"])
        self.touches = self.one_each([e for e in events if e["type"] in ("click", "impression")])
        self.conversions = [e for e in events if e["type"] == "conversion"]
        for conversion in self.conversions:
            self.place(conversion)

    def one_each(self, touches: list[Thing]) -> list[Thing]:
        """Copies of a touch with one click_id in one session: the one received first, invalid if any copy says so."""
        touches = [touch for touch in touches if touch["offer_id"] in self.catalog.offers]
        touches.sort(key=lambda touch: touch["received"])
        first: dict[tuple[str, str], Thing] = {}
        for touch in touches:
            where = (touch["type"], touch["session_id"], str(touch["at"]), touch["offer_id"], touch["partner_id"])
            touch.setdefault("click_id", digest(b"touch", *where).hex())
            kept = first.setdefault((touch["session_id"], touch["click_id"]), touch)
            if "invalid" in touch:
                kept["invalid"] = touch["invalid"]
        return list(first.values())

    def place(self, conversion: Thing) -> None:
        """Session and program of a conversion (R49). One with neither session nor known click has its own session."""
        clicks = [t for t in self.touches if t["click_id"] == conversion.get("click_id")]
        if "order_id" in conversion:
            order = digest(b"order", conversion["advertiser_id"], conversion["goal"], conversion["order_id"])
        else:
            order = digest(b"click-goal", conversion["click_id"], conversion["goal"])
        conversion["order"] = order.hex()
        if "session_id" not in conversion:
            value = int.from_bytes(digest(b"session", order.hex()), "big")
            value = value & ~(0xF << 76) | (0x8 << 76)
            value = value & ~(0x3 << 62) | (0x2 << 62)
            conversion["session_id"] = clicks[0]["session_id"] if clicks else str(uuid.UUID(int=value))
        own = [click for click in clicks if click["session_id"] == conversion["session_id"]]
        if "program_id" in conversion:
            conversion["program"] = conversion["program_id"]
        elif "offer_id" in conversion:
            conversion["program"] = self.catalog.program_of_offer(conversion["offer_id"])
        elif own or clicks:
            conversion["program"] = self.catalog.program_of_offer((own or clicks)[0]["offer_id"])
        else:
            conversion["program"] = conversion["advertiser_id"]

    def drop_reason(self, touch: Thing, conversion: Thing, contract: Thing | None) -> str | None:
        """Step 3, in its order."""
        age = conversion["at"] - touch["at"]
        view = touch["type"] == "impression"
        offer = self.catalog.offers[touch["offer_id"]]
        terms = contract or {}
        own = terms.get("impression_window", "1d") if view else terms.get("window", offer.get("window", "30d"))
        partner = self.catalog.partners.get(touch["partner_id"], {})
        tests: list[tuple[str, Callable[[], bool]]] = [
            ("AFTER_CONVERSION", lambda: age < 0),
            ("INVALID_TOUCH", lambda: "invalid" in touch),
            ("NO_CONTRACT", lambda: contract is None),
            ("OFFER_INACTIVE", lambda: not self.catalog.active(touch["offer_id"], touch["at"])),
            ("GOAL_NOT_COVERED", lambda: not covers(terms, conversion["goal"])),
            ("TOUCH_NOT_ACCEPTED", lambda: view and terms.get("accepts_impressions", "false") != "true"),
            ("OUT_OF_WINDOW", lambda: age > duration(own)),
            ("UNDER_MIN_TIME", lambda: age < duration(terms.get("min_time", "0s"))),
            ("SELF_REFERRAL", lambda: conversion.get("customer_id") in partner.get("buyer_ids", [])),
        ]
        return next((reason for reason, holds in tests if holds()), None)

    def code_drop_reason(self, owner: Thing, conversion: Thing, ranked: list[Thing]) -> str | None:
        """Step 4, reasons in its order."""
        contract, partner_id = owner["contract"], owner["partner_id"]
        if contract is None:
            return "NO_CONTRACT"
        if not covers(contract, conversion["goal"]):
            return "GOAL_NOT_COVERED"
        if conversion.get("customer_id") in self.catalog.partners[partner_id].get("buyer_ids", []):
            return "SELF_REFERRAL"
        policy = contract.get("promo_policy", "always")
        involved = any(touch["partner_id"] == partner_id for touch in ranked)
        winner = bool(ranked) and ranked[0]["partner_id"] == partner_id
        met = {"always": True, "if_involved": involved, "if_winner": winner}[policy]
        return None if met else "POLICY_NOT_MET"

    def decide(self, conversion: Thing) -> Thing:
        """Steps 1 to 8 for one claim."""
        at, program = conversion["at"], conversion["program"]
        candidates: list[Thing] = []
        for touch in self.touches:
            same_program = self.catalog.program_of_offer(touch["offer_id"]) == program
            if same_program and touch["session_id"] == conversion["session_id"]:
                contract = self.catalog.contract(touch["partner_id"], touch["offer_id"], program, at)
                reason = self.drop_reason(touch, conversion, contract)
                candidates.append({**touch, "contract": contract, "reason": reason})
        notes = []
        owner: Thing | None = None
        if "promo_code" in conversion:
            code = self.catalog.code(conversion["promo_code"], program, at)
            if code is None:
                notes.append(f"UNKNOWN_CODE {conversion['promo_code']}")
            else:
                contract = self.catalog.contract(code["partner_id"], conversion.get("offer_id"), program, at)
                owner = {"partner_id": code["partner_id"], "type": "promo_code", "at": None, "contract": contract}
                owner["reason"] = self.code_drop_reason(owner, conversion, rank(candidates))
                candidates.append(owner)
        ranked = rank(candidates)
        dropped = [candidate for candidate in candidates if candidate["reason"] is not None]
        dropped.sort(key=lambda c: (c["at"] is None, c["at"] or 0, c.get("click_id", "")), reverse=True)
        reason = None if ranked else "NONE_ELIGIBLE" if candidates else "NO_CANDIDATE"
        if ranked and owner is not None and owner["contract"] is not None:
            foreign = self.catalog.programs[program].get("foreign_code", "touches") == "invalid"
            other = ranked[0]["partner_id"] != owner["partner_id"]
            if foreign and other and group_rank(ranked[0]) <= group_rank(owner):
                reason = "FOREIGN_CODE"
        for candidate in ranked + dropped:
            contract = candidate["contract"]
            if contract is not None and "credit_group" not in contract:
                note = f"GROUP_DEFAULTED {contract['id']}"
                notes += [note] if note not in notes else []
        return self.explain(conversion, ranked, dropped, reason, notes)

    def explain(
        self, conversion: Thing, ranked: list[Thing], dropped: list[Thing], reason: str | None, notes: list[str]
    ) -> Thing:
        """The public shape of a decision (examples/README.md), with prices (step 7)."""
        winner: Thing | None = None if reason else ranked[0]
        currency = conversion.get("currency") or self.catalog.advertisers[conversion["advertiser_id"]]["currency"]
        country = conversion.get("country") or (winner or {}).get("country")
        offer_id = conversion.get("offer_id") or (winner or {}).get("offer_id")
        revenue = None
        if offer_id is not None:
            revenue = price(self.catalog.offers[offer_id].get("revenue", []), conversion, country, currency)
        entries = [
            {
                "partner_id": candidate["partner_id"],
                "contract_id": candidate["contract"] and candidate["contract"]["id"],
                "type": candidate["type"],
                "occurred_at": None if candidate["at"] is None else instant(candidate["at"]),
                "credit_group": group(candidate),
                "rank": ranked.index(candidate) + 1 if candidate["reason"] is None else None,
                "reason": candidate["reason"],
            }
            for candidate in ranked + dropped
        ]
        return {
            "advertiser_id": conversion["advertiser_id"],
            "goal": conversion["goal"],
            "order_id": conversion.get("order_id"),
            "status": "unattributed" if winner is None else "credited",
            "partner_id": winner and winner["partner_id"],
            "contract_id": winner and winner["contract"]["id"],
            "credit_group": winner and group(winner),
            "method": winner and winner["type"],
            "decided_by": winner and decided_by(ranked),
            "payout": winner and price(winner["contract"]["payout"], conversion, country, currency),
            "revenue": revenue,
            "currency": currency,
            "candidates": entries[:LISTED],
            "reason": reason,
            "notes": notes,
        }

    def orders(self) -> list[list[Thing]]:
        """The events of each order and goal, first the one that stands (R30, R51)."""
        orders: dict[str, list[Thing]] = {}
        for conversion in self.conversions:
            orders.setdefault(conversion["order"], []).append(conversion)
        return [sorted(events, key=lambda e: (e["received"], e["session_id"])) for events in orders.values()]

    def content(self, conversion: Thing) -> tuple[Decimal | None, str]:
        """Amount and currency (R29)."""
        currency = conversion.get("currency") or self.catalog.advertisers[conversion["advertiser_id"]]["currency"]
        return Decimal(conversion["amount"]) if "amount" in conversion else None, currency

    def credits(self) -> list[Thing]:
        printed = []
        for events in self.orders():
            same = [event for event in events if self.content(event) == self.content(events[0])]
            claims: dict[str, Thing] = {}
            for event in same:
                claims.setdefault(event["session_id"], event)
            decided = [(self.decide(event), event) for event in claims.values()]
            decided.sort(key=lambda d: (d[0]["status"] != "credited", d[1]["received"], d[1]["session_id"]))
            credit, event = decided[0]
            if len(same) > 1:
                credit["notes"].append(f"DUPLICATES {len(same) - 1}")
            printed.append((event["at"], event.get("order_id", ""), event["goal"], event["advertiser_id"], credit))
        return [line[-1] for line in sorted(printed, key=lambda line: line[:-1])]

    def conflicts(self) -> list[str]:
        """Order ids of the events that R30 refuses."""
        return sorted(
            str(event.get("order_id"))
            for events in self.orders()
            for event in events
            if self.content(event) != self.content(events[0])
        )


def group(candidate: Thing) -> str | None:
    """ "A contract that names none is `preferred`." """
    return None if candidate["contract"] is None else candidate["contract"].get("credit_group", "preferred")


def group_rank(candidate: Thing) -> int:
    return GROUPS[group(candidate) or ""]


def rank_key(candidate: Thing) -> tuple[int, bool, bool, int, str]:
    code = candidate["type"] == "promo_code"
    click = candidate["type"] == "click"
    return group_rank(candidate), code, click, candidate["at"] or 0, candidate.get("click_id", "")


def rank(candidates: list[Thing]) -> list[Thing]:
    """Step 5, of those that have no reason to be dropped."""
    return sorted([c for c in candidates if c["reason"] is None], key=rank_key, reverse=True)


def decided_by(ranked: list[Thing]) -> str:
    """ "The first step of RULES §2.5 that separates the winner from the runner-up." """
    if len(ranked) == 1:
        return "only_candidate"
    steps = ("credit_group", "promo_code", "touch_type", "time", "click_id")
    pairs = zip(steps, rank_key(ranked[0]), rank_key(ranked[1]), strict=True)
    return next(step for step, one, other in pairs if one != other)


def credit(catalog_text: str, lines: list[str]) -> list[str]:
    """What ``accredit credit`` prints for these lines."""
    credits = Reference(catalog_text, lines).credits()
    return [json.dumps(line, separators=(",", ":"), ensure_ascii=False) for line in credits]


def refused(catalog_text: str, lines: list[str]) -> list[str]:
    """The order ids of the events that ``accredit credit`` refuses as ``CONFLICT``, sorted."""
    return Reference(catalog_text, lines).conflicts()
