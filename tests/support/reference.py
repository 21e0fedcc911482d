"""RULES.md read word by word, naively and slowly: a second opinion on what ``accredit credit`` prints.

It shares no code with the project, so a sentence of the rules that can be read in two ways shows up as a difference
(``tests/property/test_reference.py``). Where the rules leave something open, it follows the project and says "open".
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections import Counter
from collections.abc import Iterable
from decimal import Decimal

from tests.support.reference_catalog import Catalog, Thing, covers, duration, instant, milliseconds, price

GROUPS = {"preferred": 3, "default": 2, "non_preferred": 1}
TIES = ("at", "program_id", "offer_id", "click_id", "amount", "currency", "promo_code", "customer_id", "country")
STEPS = ("credit_group", "promo_code", "touch_type", "time", "click_id")


def digest(person: bytes, *parts: str) -> bytes:
    """Open: how the ids are made that RULES and DESIGN call deterministic, derived, a hash."""
    joined = "".join(f"{len(part)}:{part}" for part in parts)
    return hashlib.blake2b(joined.encode(), digest_size=16, person=person).digest()


class Reference:
    """What is known, from the lines, as a set: order and repetition mean nothing (R34)."""

    def __init__(self, catalog_text: str, lines: Iterable[str]) -> None:
        self.catalog = Catalog(catalog_text)
        self.refused: set[str] = set()
        touches, conversions = [], []
        for line in lines:
            event = {name: value for name, value in json.loads(line).items() if value not in (None, "")}
            event["at"], event["received"] = milliseconds(event.pop("occurred_at")), milliseconds(event["received_at"])
            event |= {name: event[name].lower() for name in ("session_id",) if name in event}
            event |= {name: event[name].upper() for name in ("country", "currency") if name in event}
            if event["type"] in ("click", "impression"):
                touches.append(event)
            elif event["type"] == "conversion":
                conversions.append(event)
        self.touches = self.one_each(touches)
        for conversion in conversions:
            self.place(conversion)
        distinct = {json.dumps(event | {"received_at": None}, sort_keys=True): event for event in conversions}
        self.conversions = [distinct[text] for text in sorted(distinct)]

    def one_each(self, touches: list[Thing]) -> list[Thing]:
        """Copies of a touch with one click_id in one session: the one received first, invalid if any copy says so.

        Open: which of several that were received in the same millisecond.
        """
        self.refused |= {f"UNKNOWN_OFFER {t['offer_id']}" for t in touches if t["offer_id"] not in self.catalog.offers}
        known = [touch for touch in touches if touch["offer_id"] in self.catalog.offers]
        known.sort(key=lambda t: (t["received"], t["at"], t["type"], t["partner_id"], t["offer_id"]))
        first: dict[tuple[str, str], Thing] = {}
        for touch in known:
            where = (touch["type"], touch["session_id"], str(touch["at"]), touch["offer_id"], touch["partner_id"])
            touch.setdefault("click_id", digest(b"touch", *where).hex())
            kept = first.setdefault((touch["session_id"], touch["click_id"]), touch)
            kept["invalid"] = touch.get("invalid") or kept.get("invalid")
        return list(first.values())

    def place(self, conversion: Thing) -> None:
        """Session and program of a conversion (R49)."""
        goal, advertiser_id, offer_id = (conversion.get(f) for f in ("goal", "advertiser_id", "offer_id"))
        order, click_id = conversion.get("order_id"), conversion.get("click_id")
        parts = (click_id, goal) if order is None else (advertiser_id, goal, order)
        conversion["order"] = digest(b"click-goal" if order is None else b"order", *map(str, parts)).hex()
        clicks = [touch for touch in self.touches if touch["click_id"] == click_id]
        if "session_id" not in conversion:  # open: of a click id in two sessions, the one received first
            own_session = bytearray(digest(b"session", conversion["order"]))
            own_session[6], own_session[8] = own_session[6] & 0x0F | 0x80, own_session[8] & 0x3F | 0x80
            conversion["session_id"] = clicks[0]["session_id"] if clicks else str(uuid.UUID(bytes=bytes(own_session)))
        named = [offer_id] if offer_id else []  # open: a click of another session says nothing
        named += [click["offer_id"] for click in clicks if click["session_id"] == conversion["session_id"]]
        program = conversion.get("program_id") or (self.catalog.program_of(named[0]) if named else advertiser_id)
        conversion["program"] = program
        conversion["tie"] = [repr(conversion.get(name)) for name in TIES]
        conversion.setdefault("currency", self.catalog.advertisers[str(advertiser_id)]["currency"])

    def touch_reason(self, touch: Thing, conversion: Thing, contract: Thing | None) -> str | None:
        """Step 3: the first reason that holds, in its order."""
        age = conversion["at"] - touch["at"]
        view = touch["type"] == "impression"
        terms: Thing = contract or {}
        offers_window = self.catalog.offers[touch["offer_id"]].get("window", "30d")
        window = terms.get("impression_window", "1d") if view else terms.get("window", offers_window)
        buyers = self.catalog.partners[touch["partner_id"]].get("buyer_ids", [])
        tests = {
            "AFTER_CONVERSION": age < 0,
            "INVALID_TOUCH": touch["invalid"] is not None,
            "NO_CONTRACT": contract is None,
            "OFFER_INACTIVE": not self.catalog.active(touch["offer_id"], touch["at"]),
            "GOAL_NOT_COVERED": not covers(terms, conversion["goal"]),
            "TOUCH_NOT_ACCEPTED": view and terms.get("accepts_impressions") != "true",
            "OUT_OF_WINDOW": age > duration(str(window)),
            "UNDER_MIN_TIME": age < duration(terms.get("min_time", "0s")),
            "SELF_REFERRAL": conversion.get("customer_id") in buyers,
        }
        return next((reason for reason, holds in tests.items() if holds), None)

    def code_reason(
        self, partner_id: str, conversion: Thing, contract: Thing | None, ranked: list[Thing]
    ) -> str | None:
        """Step 4, the reasons in its order."""
        terms: Thing = contract or {}
        involved = any(touch["partner_id"] == partner_id for touch in ranked)
        winner = bool(ranked) and ranked[0]["partner_id"] == partner_id
        policies = {"always": True, "if_involved": involved, "if_winner": winner}
        tests = {
            "NO_CONTRACT": contract is None,
            "GOAL_NOT_COVERED": not covers(terms, conversion["goal"]),
            "SELF_REFERRAL": conversion.get("customer_id") in self.catalog.partners[partner_id].get("buyer_ids", []),
            "POLICY_NOT_MET": not policies[terms.get("promo_policy", "always")],
        }
        return next((reason for reason, holds in tests.items() if holds), None)

    def decide(self, conversion: Thing) -> Thing:
        """Steps 1 to 6 for one claim."""
        at, program, notes = conversion["at"], conversion["program"], []
        candidates: list[Thing] = []
        for touch in self.touches:
            if (
                touch["session_id"] == conversion["session_id"]
                and self.catalog.program_of(touch["offer_id"]) == program
            ):
                contract = self.catalog.contract(touch["partner_id"], touch["offer_id"], program, at)
                reason = self.touch_reason(touch, conversion, contract)
                candidates.append({**touch, "contract": contract, "reason": reason})
        text = conversion.get("promo_code")
        code = None if text is None else self.catalog.code(text, program, at)
        owner: Thing | None = None
        if code is not None:
            contract = self.catalog.contract(code["partner_id"], conversion.get("offer_id"), program, at)
            owner = {"partner_id": code["partner_id"], "type": "promo_code", "at": None, "contract": contract}
            owner["reason"] = self.code_reason(code["partner_id"], conversion, contract, rank(candidates))
            candidates.append(owner)
        elif text is not None:
            notes.append(f"UNKNOWN_CODE {text}")
        ranked = rank(candidates)
        dropped = [candidate for candidate in candidates if candidate["reason"] is not None]
        # Open: where among the dropped, "latest first", the code's owner stands, which has no time, and equal times.
        dropped.sort(key=lambda c: (c["at"] is not None, c["at"] or 0, c.get("click_id", "")), reverse=True)
        reason = None if ranked else "NONE_ELIGIBLE" if candidates else "NO_CANDIDATE"
        if ranked and owner is not None and owner["contract"] is not None:  # open: an owner with no contract
            other = ranked[0]["partner_id"] != owner["partner_id"]
            no_higher = GROUPS[group(ranked[0])] <= GROUPS[group(owner)]
            if self.catalog.programs[program].get("foreign_code") == "invalid" and other and no_higher:
                reason = "FOREIGN_CODE"
        contracts = [candidate["contract"] for candidate in ranked + dropped if candidate["contract"]]
        notes += [f"GROUP_DEFAULTED {contract['id']}" for contract in contracts if "credit_group" not in contract]
        return self.explain(conversion, ranked, dropped, reason, list(dict.fromkeys(notes)))

    def explain(
        self, conversion: Thing, ranked: list[Thing], dropped: list[Thing], reason: str | None, notes: list[str]
    ) -> Thing:
        """Steps 7 and 8, in the public shape (examples/README.md). Open: no revenue of an unattributed conversion."""
        shape: Thing = dict.fromkeys(("partner_id", "contract_id", "credit_group", "method", "decided_by"))
        shape |= {"payout": None, "revenue": None}
        if reason is None:
            winner = ranked[0]
            country = conversion.get("country") or winner.get("country")
            offer_id = conversion.get("offer_id") or winner.get("offer_id")
            revenue = None if offer_id is None else self.catalog.offers[offer_id].get("revenue", [])
            shape |= {"partner_id": winner["partner_id"], "contract_id": winner["contract"]["id"]}
            shape |= {"credit_group": group(winner), "method": winner["type"], "decided_by": decided_by(ranked)}
            shape["payout"] = price(winner["contract"]["payout"], conversion, country)
            shape["revenue"] = None if revenue is None else price(revenue, conversion, country)
        entries = [
            {
                "partner_id": candidate["partner_id"],
                "contract_id": candidate["contract"] and candidate["contract"]["id"],
                "type": candidate["type"],
                "occurred_at": None if candidate["at"] is None else instant(candidate["at"]),
                "credit_group": candidate["contract"] and group(candidate),
                "rank": None if candidate["reason"] else place + 1,
                "reason": candidate["reason"],
            }
            for place, candidate in enumerate(ranked + dropped)
        ]
        rest = Counter(entry["reason"] or "ELIGIBLE" for entry in entries[200:])  # R52
        status = {"status": "unattributed" if reason else "credited"}
        named = {name: conversion.get(name) for name in ("advertiser_id", "goal", "order_id")} | status | shape
        named |= {"currency": conversion["currency"], "candidates": entries[:200], "reason": reason, "notes": notes}
        return named | ({"omitted": dict(sorted(rest.items()))} if rest else {})

    def orders(self) -> list[tuple[list[Thing], list[Thing]]]:
        """The events of each order and goal: those of the content that stands, first received first; and conflicts.

        Open: which is first of several that one session brought in the same millisecond.
        """
        orders: dict[str, list[Thing]] = {}
        for conversion in sorted(self.conversions, key=lambda e: (e["received"], e["session_id"], e["tie"])):
            orders.setdefault(conversion["order"], []).append(conversion)
        found = []
        for events in orders.values():
            stands = min(events, key=lambda e: (e["received"], e["session_id"], repr(e.get("amount")), e["currency"]))
            same = [event for event in events if content(event) == content(stands)]
            found.append((same, [event for event in events if event not in same]))
        return found

    def credits(self) -> list[Thing]:
        """R29 to R32 and R51. Open: a session's first event of an order is its claim; lines of one time and order."""
        printed = []
        for same, _ in self.orders():
            claims = {event["session_id"]: event for event in reversed(same)}
            decided = [(self.decide(event), event) for event in claims.values()]
            credit, event = min(decided, key=lambda d: (d[0]["status"], d[1]["received"], d[1]["session_id"]))
            credit["notes"] += [f"DUPLICATES {len(same) - 1}"] if len(same) > 1 else []
            printed.append(
                (event["at"], event.get("order_id", ""), event["advertiser_id"], event["goal"], event["order"], credit)
            )
        return [credit for *_, credit in sorted(printed, key=lambda line: line[:5])]


def content(conversion: Thing) -> tuple[Decimal | None, str]:
    """Amount and currency (R29)."""
    return Decimal(conversion["amount"]) if "amount" in conversion else None, conversion["currency"]


def group(candidate: Thing) -> str:
    """ "A contract that names none is `preferred`." """
    return str(candidate["contract"].get("credit_group", "preferred"))


def rank_key(candidate: Thing) -> tuple[int, bool, bool, int, str]:
    kind = candidate["type"]
    weight = GROUPS[group(candidate)]
    return weight, kind == "promo_code", kind == "click", candidate["at"] or 0, candidate.get("click_id", "")


def rank(candidates: list[Thing]) -> list[Thing]:
    """Step 5, of those that have no reason to be dropped."""
    return sorted([c for c in candidates if c["reason"] is None], key=rank_key, reverse=True)


def decided_by(ranked: list[Thing]) -> str:
    """ "The first step of RULES §2.5 that separates the winner from the runner-up." """
    pairs = zip(STEPS, *map(rank_key, ranked[:2]), strict=True)
    return "only_candidate" if len(ranked) == 1 else next(step for step, one, other in pairs if one != other)


def credit(catalog_text: str, lines: list[str]) -> list[str]:
    """What ``accredit credit`` prints for these lines."""
    credits = Reference(catalog_text, lines).credits()
    return [json.dumps(line, separators=(",", ":"), ensure_ascii=False) for line in credits]


def refused(catalog_text: str, lines: list[str]) -> list[str]:
    """What it refuses: reason and order id (offer id of a touch), each once."""
    known = Reference(catalog_text, lines)
    conflicts = {f"CONFLICT {event.get('order_id')}" for _, others in known.orders() for event in others}
    return sorted(known.refused | conflicts)
