"""``accredit credit`` against an independent reading of the rules, ``tests/support/reference.py``, on random histories.

Few names, few times, many collisions: same millisecond, one window and a millisecond more, the same order twice.
"""

from __future__ import annotations

import io
import json
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from console.credit import DeadLetters, credit_lines, read_lines
from schemas.catalog import load_catalog
from tests.support import reference
from tests.support.reference_catalog import instant, milliseconds

Thing = dict[str, Any]

HOUR, DAY = 3_600_000, 86_400_000
NOON = milliseconds("2026-05-03T12:00:00Z")
SALES = [NOON, NOON, NOON + 1, NOON + HOUR]
AGES = [0, 0, 1, -1, 4_999, 5_000, HOUR - 1, HOUR, HOUR, HOUR + 1, DAY, DAY + 1, 2 * DAY, 30 * DAY, 30 * DAY + 1]
TURNS = [NOON - 2 * DAY, NOON - DAY, NOON - HOUR, NOON - 1, NOON, NOON + 1]  # when terms begin and end
SESSIONS = [f"018f3c1e-0000-7000-8000-00000000000{n}" for n in (1, 2, 3)]
CLICK_IDS = {session: [f"{k}{n}" for k in ("k1", "k2", "K3", "k4", "k5")] for n, session in enumerate(SESSIONS)}
PARTNERS = ["ann", "bob", "cat", "dan"]
CODES = ["SAVE10", "Anna", "Größe"]
GOALS = ["sale", "lead"]
COUNTRIES = ["DE", "AT", "NO"]
CURRENCIES = ["EUR", "JPY", "KWD"]
GROUPS = ["preferred", "default", "default", "non_preferred"]


class Story:
    """Everything that is drawn from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def one(self, values: Any) -> Any:
        return self.random.choice(values)

    def some(self, values: list[Any], least: int, most: int) -> list[Any]:
        return self.random.sample(values, min(len(values), self.random.randint(least, most)))

    def maybe(self, name: str, values: Any, chance: float = 0.5) -> Thing:
        return {name: self.one(values)} if self.random.random() < chance else {}

    def rules(self, least: int) -> list[Thing]:
        found = []
        for _ in range(self.random.randint(least, 3)):
            kind = self.one(["flat", "percent", "percent"])
            rate = {kind: self.one(["1.5", "0.5", "2.675"] if kind == "flat" else ["10", "7.5", "12.345", "0", "100"])}
            found.append(rate | self.maybe("goal", ["sale", "sale", "lead", GOALS]))
            found[-1] |= self.maybe("country", ["DE", ["DE", "AT"], ["no"]], 0.3)
        return found

    def dated(self, overlapping: bool) -> list[Thing]:
        """Intervals one after the other, with gaps or none; or over each other, each with its own ``from``."""
        starts = sorted({0, *self.some(TURNS, 0, 2)} if self.random.random() < 0.8 else self.some(TURNS, 1, 2))
        found = []
        for start, following in zip(starts, [*starts[1:], None], strict=True):
            ends = [turn for turn in TURNS if turn > start and (overlapping or following is None or turn <= following)]
            last = [None, None] if overlapping or following is None else [following, following]
            until = self.one([*last, *last, *ends])
            found.append({"from": instant(start)})
            found[-1] |= {} if until is None else {"until": instant(until)}
        return found

    def terms(self) -> Thing:
        return (
            {"payout": self.rules(1 if self.random.random() < 0.9 else 0)}
            | self.maybe("credit_group", GROUPS, 0.8)
            | self.maybe("window", ["1h", "1d", "2d"])
            | self.maybe("impression_window", ["1h", "2d"], 0.3)
            | self.maybe("accepts_impressions", [True, True, True, False], 0.8)
            | self.maybe("min_time", ["5s"], 0.15)
            | self.maybe("promo_policy", ["always", "if_involved", "if_winner"], 0.8)
        )

    def catalog(self) -> Thing:
        advertisers: list[Thing] = []
        for name in ["shop", "mart"][: self.one([1, 1, 1, 2])]:
            ids = self.one([[], [name], [name], [f"{name}-vip"], [name, f"{name}-vip"]])
            programs = [{"id": i} | self.maybe("foreign_code", ["touches", "invalid", "invalid"], 0.8) for i in ids]
            advertisers.append({"id": name, "currency": self.one(CURRENCIES), "programs": programs})
        programs_of = {a["id"]: sorted({a["id"], *(p["id"] for p in a["programs"])}) for a in advertisers}
        offers = []
        for offer_id in ["o1", "o2", "o3", "o4"][: self.random.randint(2, 4)]:
            advertiser = self.one([a["id"] for a in advertisers])
            offer = {"id": offer_id, "advertiser_id": advertiser, "landing_url": "https://example.com/"}
            offer |= self.maybe("program_id", programs_of[advertiser], 0.4) | {"revenue": self.rules(0)}
            offer |= self.maybe("window", ["1h", "1d", "2d"])
            if self.random.random() < 0.3:
                values = ["active", "active", "paused", "expired"]
                turns = self.some([0, *TURNS], 1, 3)
                offer["status"] = [{"value": self.one(values), "from": instant(turn)} for turn in turns]
            offers.append(offer)
        programs = sorted({program for known in programs_of.values() for program in known})
        names = PARTNERS[: self.random.randint(2, 4)]
        overlapping = self.random.random() < 0.2
        contracts: list[Thing] = []
        scopes = [{"program_id": program} for program in programs]
        for name in names:
            on_offers = [{"offer_id": offer["id"]} for offer in self.some(offers, 0, 2)]
            for scope in self.some(scopes, 1, 3) + self.one([[], on_offers]):
                for interval in self.dated(overlapping):
                    contracts.append({"id": f"c{len(contracts)}", "partner_id": name} | scope | interval | self.terms())
        promo_codes = [
            {"code": self.one([code, code.swapcase()]), "partner_id": self.one(names), "program_id": program} | interval
            for code in CODES
            for program in self.some(programs, 1, 2)
            for interval in self.dated(overlapping=False)
        ]
        partners = [{"id": n, "type": "publisher"} | self.maybe("buyer_ids", [[f"buyer-{n}"]]) for n in names]
        return {
            "advertisers": advertisers,
            "offers": offers,
            "partners": partners,
            "contracts": contracts,
            "promo_codes": promo_codes,
        }

    def times(self, at: int) -> Thing:
        received = at + self.one([0, 10, 10, 20, HOUR])
        return {"occurred_at": instant(at), "received_at": instant(received)}

    def touch(self, catalog: Thing, sessions: list[str]) -> Thing:
        rare = [{"id": "unknown"}] if self.random.random() < 0.05 else []
        session = self.one(sessions)
        return (
            {"type": self.one(["click", "click", "impression"]), "session_id": session}
            | self.times(self.one(SALES) - self.one(AGES))
            | {"offer_id": self.one([*catalog["offers"], *rare])["id"]}
            | {"partner_id": self.one(catalog["partners"])["id"]}
            | self.maybe("click_id", CLICK_IDS[session], 0.7)
            | self.maybe("country", [*COUNTRIES, "de"])
            | self.maybe("invalid", ["bot", "fraud"], 0.08)
            | self.maybe("sub1", ["x", "y"], 0.1)
        )

    def conversion(self, catalog: Thing, sessions: list[str]) -> Thing:
        advertiser = self.one(catalog["advertisers"])
        programs = [advertiser["id"], *(program["id"] for program in advertiser["programs"])]
        own = 1 if self.random.random() < 0.1 else advertiser["id"]  # now and then another advertiser's
        offers = [offer["id"] for offer in catalog["offers"] if own in (1, offer["advertiser_id"])]
        codes = CODES + [code.swapcase() for code in CODES] + ["NOPE"]
        return (
            {"type": "conversion", "advertiser_id": advertiser["id"], "goal": self.one(["sale", "sale", "lead"])}
            | ({"order_id": self.one(["1", "2", "10"])} if self.random.random() < 0.95 else {"click_id": "k10"})
            | self.times(self.one(SALES))
            | self.maybe("session_id", sessions, 0.8)
            | self.maybe("click_id", [k for session in sessions for k in CLICK_IDS[session]], 0.3)
            | self.maybe("program_id", programs, 0.3)
            | self.maybe("promo_code", codes)
            | self.maybe("amount", ["100.00", "100.00", "19.99", "100", "0.125", "33.335"], 0.95)
            | self.maybe("currency", [*CURRENCIES, "EUR"], 0.8)
            | self.maybe("customer_id", [f"buyer-{name}" for name in PARTNERS], 0.3)
            | self.maybe("country", [*COUNTRIES, "at"])
            | (self.maybe("offer_id", offers, 0.3) if offers else {})
        )

    def again(self, event: Thing, sessions: list[str]) -> Thing:
        """The event sent again: as it was, received later, from another session or a little changed."""
        change = self.one(["nothing", "spelling", "received", "session", "amount", "moved"])
        if change == "spelling":
            at = event["occurred_at"].replace("Z", "+00:00")
            return event | {"occurred_at": at, "session_id": event.get("session_id", "").upper(), "source": None}
        if change == "received":
            return event | {"received_at": self.times(milliseconds(event["occurred_at"]))["received_at"]}
        if change == "session" and (event["type"] == "conversion" or "click_id" not in event):
            return event | {"session_id": self.one(sessions)}
        if change == "amount" and event["type"] == "conversion":
            return event | {"amount": self.one(["100.00", "7"])}
        return event | self.times(self.one(SALES)) if change == "moved" else event

    def history(self) -> tuple[Thing, list[Thing]]:
        """A catalog, and events in any order."""
        catalog = self.catalog()
        sessions = SESSIONS[: self.one([1, 1, 2, 3])]
        touches = self.random.randint(0, 9) if self.random.random() < 0.99 else 230
        events = [self.touch(catalog, sessions) for _ in range(touches)]
        events += [self.conversion(catalog, sessions) for _ in range(self.random.randint(1, 4))]
        events += [self.again(self.one(events), sessions) for _ in range(self.random.randint(0, 4))]
        self.random.shuffle(events)
        return catalog, events


def credited(catalog_text: str, lines: list[str]) -> tuple[list[str], list[str]]:
    """The project's credits, and what it refused: reason and order id (offer id of a touch), each once."""
    out = io.BytesIO()
    source = io.BytesIO("".join(f"{line}\n" for line in lines).encode())
    catalog = load_catalog(catalog_text, refuse_overlaps=False)
    credits = list(credit_lines(catalog, read_lines(source), DeadLetters(out)))
    letters = [
        (letter["reason"], json.loads(letter["original"]))
        for letter in map(json.loads, out.getvalue().split(b"\n")[:-1])
    ]
    refused = {
        f"{why} {event.get('order_id') if event['type'] == 'conversion' else event['offer_id']}"
        for why, event in letters
    }
    return [json.dumps(credit, separators=(",", ":"), ensure_ascii=False) for credit in credits], sorted(refused)


def both(catalog: Thing, events: list[Thing]) -> tuple[tuple[list[str], list[str]], tuple[list[str], list[str]]]:
    """The project's answer and the reference's."""
    text, lines = json.dumps(catalog), [json.dumps(event) for event in events]
    return credited(text, lines), (reference.credit(text, lines), reference.refused(text, lines))


def smallest(catalog: Thing, events: list[Thing]) -> tuple[Thing, list[Thing]]:
    """What is left of a history in which the two differ when all is taken away that the difference can do without."""
    for things in (events, catalog["contracts"], catalog["promo_codes"]):
        for thing in list(things):
            at = things.index(thing)
            del things[at]
            ours, theirs = both(catalog, events)
            if ours == theirs:
                things.insert(at, thing)
    return catalog, events


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 2**32))
def test_agrees_with_the_reference(seed: int) -> None:
    catalog, events = Story(seed).history()
    ours, theirs = both(catalog, events)
    if ours != theirs:
        catalog, events = smallest(catalog, events)
        ours, theirs = both(catalog, events)
        told = "\n".join(json.dumps(thing) for section in catalog.values() for thing in section)
        raise AssertionError("\n".join([told, *map(json.dumps, events), "", *map(str, ours), "", *map(str, theirs)]))


def test_a_click_id_of_two_sessions_finds_one_whatever_the_order_of_lines() -> None:
    catalog = {
        "advertisers": [{"id": "shop", "currency": "EUR"}],
        "offers": [{"id": "o1", "advertiser_id": "shop", "landing_url": "https://example.com/"}],
        "partners": [{"id": "ann", "type": "publisher"}],
    }
    at = {"occurred_at": instant(NOON), "received_at": instant(NOON)}
    click = {"type": "click", "offer_id": "o1", "partner_id": "ann", "click_id": "k1", **at}
    sale = {"type": "conversion", "advertiser_id": "shop", "goal": "sale", "order_id": "1", "click_id": "k1", **at}
    clicks = [click | {"session_id": SESSIONS[0], "partner_id": "ann"}, click | {"session_id": SESSIONS[1]}]
    clicks[1]["occurred_at"] = instant(NOON - HOUR)
    one, other = ([json.dumps(event) for event in [*order, sale]] for order in (clicks, clicks[::-1]))
    assert credited(json.dumps(catalog), one) == credited(json.dumps(catalog), other)
