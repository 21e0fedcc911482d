"""``accredit credit`` against an independent reading of the rules (``tests/support/reference.py``), on random histories.

Few names, few times, many collisions: same millisecond, one window and a millisecond more, the same order twice.
"""

from __future__ import annotations

import io
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy, composite

from console.credit import DeadLetters, credit_lines, read_lines
from schemas.catalog import load_catalog
from tests.support import reference

Thing = dict[str, Any]

HOUR, DAY = 3_600_000, 86_400_000
NOON = reference.milliseconds("2026-05-03T12:00:00Z")
SALES = [NOON, NOON, NOON + 1, NOON + HOUR]
AGES = [0, 0, 1, -1, 4_999, 5_000, HOUR - 1, HOUR, HOUR, HOUR + 1, DAY, DAY + 1, 2 * DAY, 30 * DAY, 30 * DAY + 1]
TURNS = [NOON - 2 * DAY, NOON - DAY, NOON - HOUR, NOON - 1, NOON, NOON + 1]  # when terms begin and end
SESSIONS = [f"018f3c1e-0000-7000-8000-00000000000{n}" for n in (1, 2, 3)]
PARTNERS = ["ann", "bob", "cat", "dan"]
CODES = ["SAVE10", "Anna", "straße"]
GOALS = ["sale", "lead"]
COUNTRIES = ["DE", "AT", "NO"]
CURRENCIES = ["EUR", "JPY", "KWD"]


def maybe(name: str, values: SearchStrategy[Any], weight: int = 1) -> SearchStrategy[Thing]:
    """The field, or ``weight`` times as often nothing."""
    return st.one_of(*[st.just({})] * weight, values.map(lambda value: {name: value}))


def one(values: list[Any]) -> SearchStrategy[Any]:
    return st.sampled_from(values)


@composite
def rules(draw: DrawFn, most: int = 3) -> list[Thing]:
    found = []
    for _ in range(draw(st.integers(0 if most > 2 and draw(st.booleans()) else 1, most))):
        kind = draw(one(["flat", "percent", "percent"]))
        rate = one(["1.5", "0.5", "2.675", "3"]) if kind == "flat" else one(["10", "7.5", "12.345", "0", "100"])
        goals = st.one_of(one(GOALS), st.just(GOALS))
        rule = {kind: draw(rate)} | draw(maybe("goal", goals)) | draw(maybe("country", st.lists(one(COUNTRIES)), 2))
        found.append(rule)
    return found


@composite
def dated(draw: DrawFn, *, overlapping: bool) -> list[Thing]:
    """Intervals one after the other, with gaps or none; or over each other, each with its own ``from``."""
    starts = sorted(draw(st.sets(one([0, *TURNS]), min_size=1, max_size=3)))
    found = []
    for start, following in zip(starts, [*starts[1:], None], strict=True):
        later = [turn for turn in TURNS if turn > start and (overlapping or following is None or turn <= following)]
        ends = [None, *later] if overlapping or following is None else [following, following, *later]
        until = draw(one(ends))
        found.append({"from": reference.instant(start)} | ({} if until is None else {"until": reference.instant(until)}))
    return found


@composite
def catalogs(draw: DrawFn) -> Thing:
    advertisers: list[Thing] = []
    for name in ["shop", "mart"][: draw(st.integers(1, 2))]:
        programs = [
            {"id": program} | draw(maybe("foreign_code", one(["touches", "invalid", "invalid"])))
            for program in draw(one([[], [f"{name}-vip"], [f"{name}-vip"], [name], [name, f"{name}-vip"]]))
        ]
        advertisers.append({"id": name, "currency": draw(one(CURRENCIES)), "programs": programs})
    programs_of = {a["id"]: sorted({a["id"], *(p["id"] for p in a["programs"])}) for a in advertisers}
    offers = []
    for offer_id in ["o1", "o2", "o3", "o4"][: draw(st.integers(2, 4))]:
        advertiser = draw(one([a["id"] for a in advertisers]))
        offer = {"id": offer_id, "advertiser_id": advertiser, "landing_url": "https://example.com/"}
        offer |= draw(maybe("program_id", one(programs_of[advertiser])))
        offer |= draw(maybe("window", one(["1h", "1d", "2d"]))) | {"revenue": draw(rules(2))}
        if draw(st.integers(0, 3)) == 0:
            turns = draw(st.lists(one([0, *TURNS]), min_size=1, max_size=3, unique=True))
            values = one(["active", "active", "paused", "expired"])
            offer["status"] = [{"value": draw(values), "from": reference.instant(turn)} for turn in turns]
        offers.append(offer)
    programs = sorted({program for known in programs_of.values() for program in known})
    partners = [
        {"id": name, "type": "publisher"} | draw(maybe("buyer_ids", st.just([f"buyer-{name}"])))
        for name in PARTNERS[: draw(st.integers(2, 4))]
    ]
    names = [partner["id"] for partner in partners]
    overlapping = draw(st.integers(0, 4)) == 0
    contracts: list[Thing] = []
    scopes = [{"program_id": program} for program in programs] * 2 + [{"offer_id": offer["id"]} for offer in offers]
    for name in names:
        for scope in draw(st.lists(one(scopes), min_size=1, max_size=3, unique_by=json.dumps)):
            for interval in draw(dated(overlapping=overlapping)):
                contracts.append({"id": f"c{len(contracts)}", "partner_id": name} | scope | interval | draw(terms()))
    promo_codes = []
    for code in draw(st.lists(one(CODES), unique=True)):
        program = draw(one(programs))
        for interval in draw(dated(overlapping=False)):
            promo_codes.append({"code": code, "partner_id": draw(one(names)), "program_id": program} | interval)
    return {
        "advertisers": advertisers,
        "offers": offers,
        "partners": partners,
        "contracts": contracts,
        "promo_codes": promo_codes,
    }


@composite
def terms(draw: DrawFn) -> Thing:
    return (
        {"payout": draw(rules())}
        | draw(maybe("credit_group", one(["preferred", "default", "default", "default", "non_preferred"])))
        | draw(maybe("window", one(["1h", "1d", "2d"])))
        | draw(maybe("impression_window", one(["1h", "2d"]), 2))
        | draw(maybe("accepts_impressions", one([True, True, False])))
        | draw(maybe("min_time", st.just("5s"), 3))
        | draw(maybe("promo_policy", one(["always", "if_involved", "if_winner"])))
    )


@composite
def times(draw: DrawFn, at: int) -> Thing:
    received = at + draw(one([0, 10, 10, 20, HOUR]))
    return {"occurred_at": reference.instant(at), "received_at": reference.instant(received)}


@composite
def touches(draw: DrawFn, catalog: Thing, sessions: list[str]) -> Thing:
    return (
        {"type": draw(one(["click", "click", "impression"])), "session_id": draw(one(sessions))}
        | draw(times(draw(one(SALES)) - draw(one(AGES))))
        | {"offer_id": draw(one([offer["id"] for offer in catalog["offers"]]))}
        | {"partner_id": draw(one([partner["id"] for partner in catalog["partners"]]))}
        | draw(maybe("click_id", one(["k1", "k2", "K3", "k4"])))
        | draw(maybe("country", one([*COUNTRIES, "de"])))
        | draw(maybe("invalid", one(["bot", "fraud"]), 5))
        | draw(maybe("sub1", one(["x", "y"]), 3))
    )


@composite
def conversions(draw: DrawFn, catalog: Thing, sessions: list[str]) -> Thing:
    advertiser = draw(one([a["id"] for a in catalog["advertisers"]]))
    programs = [advertiser] + [p["id"] for a in catalog["advertisers"] if a["id"] == advertiser for p in a["programs"]]
    offers = [offer["id"] for offer in catalog["offers"] if offer["advertiser_id"] == advertiser]
    codes = CODES + [code.swapcase() for code in CODES] + ["NOPE"]
    conversion = (
        {"type": "conversion", "advertiser_id": advertiser, "goal": draw(one(["sale", "sale", "lead"]))}
        | {"order_id": draw(one(["1", "2", "10"]))}
        | draw(times(draw(one(SALES))))
        | draw(st.one_of(*[maybe("session_id", one(sessions), 0)] * 4, st.just({})))
        | draw(maybe("click_id", one(["k1", "k2", "K3", "k4"]), 2))
        | draw(maybe("program_id", one(programs)))
        | draw(maybe("promo_code", one(codes)))
        | draw(maybe("amount", one(["100.00", "100.00", "19.99", "100", "0.125", "33.335"]), 0))
        | draw(maybe("currency", one([*CURRENCIES, "EUR"])))
        | draw(maybe("customer_id", one([f"buyer-{name}" for name in PARTNERS]), 2))
        | draw(maybe("country", one([*COUNTRIES, "at"])))
    )
    if offers:
        conversion |= draw(maybe("offer_id", one(offers), 2))
    return conversion


@composite
def histories(draw: DrawFn) -> tuple[str, list[str]]:
    """A catalog, and events in any order, some of them sent again: as they were, received later, or a little changed."""
    catalog = draw(catalogs())
    sessions = SESSIONS[: draw(st.integers(1, 3))]
    events: list[Thing] = draw(st.lists(touches(catalog, sessions), min_size=0, max_size=8))
    events += draw(st.lists(conversions(catalog, sessions), min_size=1, max_size=4))
    for _ in range(draw(st.integers(0, 4))):
        copy = dict(draw(one(events)))
        change = draw(one(["nothing", "received", "session", "amount", "moved"]))
        if change == "received":
            copy |= draw(times(reference.milliseconds(copy["occurred_at"])))
        elif change == "session":
            copy["session_id"] = draw(one(sessions))
        elif change == "amount" and copy["type"] == "conversion":
            copy["amount"] = draw(one(["100.00", "7"]))
        elif change == "moved":
            copy |= draw(times(draw(one(SALES))))
        events.append(copy)
    return json.dumps(catalog), [json.dumps(event) for event in draw(st.permutations(events))]


def credited(catalog_text: str, lines: list[str]) -> tuple[list[str], list[str]]:
    """The project's credits, and the order ids of its conflicts."""
    refused = io.BytesIO()
    source = io.BytesIO("".join(f"{line}\n" for line in lines).encode())
    catalog = load_catalog(catalog_text, refuse_overlaps=False)
    credits = list(credit_lines(catalog, read_lines(source), DeadLetters(refused)))
    letters = [json.loads(line) for line in refused.getvalue().splitlines()]
    unexpected = [letter for letter in letters if letter["reason"] != "CONFLICT"]
    assert not unexpected
    conflicts = sorted(json.loads(letter["original"])["order_id"] for letter in letters)
    return [json.dumps(credit, separators=(",", ":"), ensure_ascii=False) for credit in credits], conflicts


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
@given(histories())
def test_agrees_with_the_reference(history: tuple[str, list[str]]) -> None:
    catalog, lines = history
    credits, conflicts = credited(catalog, lines)
    assert credits == reference.credit(catalog, lines)
    assert conflicts == reference.refused(catalog, lines)
