"""RULES.md, the rows about copies, conflicts and order: what is known is a set."""

from __future__ import annotations

import random

import orjson
from hypothesis import given
from hypothesis import strategies as st

from processors.core import CompiledLog, SessionTouches, Touch, decide_session
from processors.core.offline import Conflict
from schemas.catalog import CatalogLog
from schemas.events import parse_event
from schemas.records import CatalogVersion, Click, Conversion
from schemas.times import DAY, HOUR, MINUTE, format_time
from tests.support.story import LONG_AGO, SALE_AT, Story, contract, records, sale, tell, touch, view

OTHER = "018f3c1e-0000-7000-8000-000000000002"
THIRD = "018f3c1e-0000-7000-8000-000000000003"
AB = Story([contract("a"), contract("b", "default", accepts_impressions=True)])


def received(milliseconds_later: int) -> str:
    return format_time(SALE_AT + milliseconds_later)


def test_r29_the_same_order_again_is_one_conversion() -> None:
    outcome = AB.tell(touch("a", HOUR), sale(), sale(received_at=received(5), amount="100"))
    assert outcome.credit["notes"] == ["DUPLICATES 1"]
    assert outcome.conflicts == []


def test_r30_other_content_is_a_conflict_and_the_first_received_stands() -> None:
    later = sale(amount="70.00", received_at=received(5))
    for events in ((sale(), later), (later, sale())):
        outcome = AB.tell(touch("a", HOUR), *events)
        assert outcome.credit["payout"] == "10.00"
        assert [conflict.conversion.amount for conflict in outcome.conflicts] == ["70.00"]
    other_currency = AB.tell(sale(), sale(currency="USD", received_at=received(5)))
    assert len(other_currency.conflicts) == 1


def test_r31_another_goal_is_another_conversion() -> None:
    assert len(AB.tell(touch("a", HOUR), sale(), sale(goal="lead")).credits) == 2


def test_r32_a_year_later_it_is_still_a_duplicate() -> None:
    again = {"occurred_at": received(365 * DAY), "received_at": received(365 * DAY)}
    assert AB.tell(touch("a", HOUR), sale(), sale(**again)).credit["notes"] == ["DUPLICATES 1"]


def test_r33_the_click_that_comes_after_its_conversion_corrects_it() -> None:
    late = touch("a", HOUR, received_at=received(DAY))
    events = records([sale(), late])
    sales = [event for event in events if isinstance(event, Conversion)]
    first = tell(AB.catalog(), sales)
    assert first.credit["status"] == "unattributed"
    assert tell(AB.catalog(), [*sales, *events]).partner == "a"


STORY = [
    touch("a", 3 * HOUR, click_id="k1"),
    touch("a", 3 * HOUR, click_id="k1", received_at=received(9)),
    touch("b", 2 * HOUR),
    view("b", HOUR),
    touch("b", -MINUTE, invalid="bot"),
    touch("a", HOUR, session_id=OTHER),
    sale(),
    sale(received_at=received(5)),
    sale(amount="70.00", received_at=received(-5), session_id=THIRD),
    sale(order_id="2", amount="12.34", session_id=OTHER),
    sale(order_id="2", amount="12.34", session_id=THIRD, received_at=received(-1)),
]


@given(st.lists(st.sampled_from(range(len(STORY))), max_size=20), st.randoms(use_true_random=False))
def test_r34_any_shuffle_and_duplication_gives_the_same_to_the_byte(copies: list[int], rng: random.Random) -> None:
    catalog, events = AB.catalog(), records(STORY)
    expected = tell(catalog, events)
    shuffled = [*events, *(events[i] for i in copies)]
    rng.shuffle(shuffled)
    outcome = tell(catalog, shuffled)
    assert orjson.dumps(outcome.credits) == orjson.dumps(expected.credits)
    assert conflicting(outcome.conflicts) == conflicting(expected.conflicts)


def conflicting(conflicts: list[Conflict]) -> list[tuple[str, int]]:
    return sorted((conflict.conversion.session_id, conflict.conversion.received_at) for conflict in conflicts)


def test_r51_two_doors_one_order() -> None:
    pixel = sale()
    postback = sale(session_id=OTHER, received_at=received(-5))
    outcome = AB.tell(touch("a", HOUR), pixel, postback)
    assert outcome.partner == "a"  # a credited claim goes before an unattributed one that came first
    assert outcome.credit["notes"] == ["DUPLICATES 1"]
    both = AB.tell(touch("a", HOUR), touch("b", HOUR, session_id=OTHER), pixel, postback)
    assert both.partner == "b"  # of two credited claims the one received first
    tie = AB.tell(touch("a", HOUR), touch("b", HOUR, session_id=OTHER), pixel, sale(session_id=OTHER))
    assert tie.partner == "a"  # then the smaller session id


def test_r51_the_first_over_all_doors_fixes_the_content() -> None:
    outcome = AB.tell(
        touch("a", HOUR),
        sale(),
        sale(amount="70.00", received_at=received(2)),
        sale(amount="70.00", session_id=OTHER, received_at=received(-5)),
    )
    assert outcome.credit["payout"] == "7.00"
    assert [conflict.conversion.amount for conflict in outcome.conflicts] == ["100.00"]


def test_r53_a_contract_corrected_backwards_moves_nothing_that_was_received_before() -> None:
    turn = SALE_AT + HOUR
    log = CatalogLog.of(
        [
            CatalogVersion(1, SALE_AT, SALE_AT, "op", "", yaml_text("default")),
            CatalogVersion(2, turn, turn, "op", "", yaml_text("non_preferred")),
        ]
    )
    events = records([touch("b", 2 * HOUR), touch("a", HOUR), sale(), sale(order_id="2", received_at=received(HOUR))])
    touches = SessionTouches(Touch._make(e[: len(Touch._fields)]) for e in events if isinstance(e, Click))
    sales = [event for event in events if isinstance(event, Conversion)]
    credits = decide_session(sales[0].session_id, sales, touches, CompiledLog(log), "live").credits
    assert [(c.order_id, c.partner_id, c.catalog_version) for c in credits] == [("1", "a", 1), ("2", "b", 2)]


def yaml_text(group: str) -> str:
    return f"""
advertisers: [{{id: shop, currency: EUR}}]
offers: [{{id: shoes, advertiser_id: shop, landing_url: "https://shop.example/"}}]
partners: [{{id: a, type: publisher}}, {{id: b, type: publisher}}]
contracts:
  - {{id: ca, partner_id: a, program_id: shop, credit_group: {group}, from: {LONG_AGO}, payout: [{{flat: 1}}]}}
  - {{id: cb, partner_id: b, program_id: shop, credit_group: default, from: {LONG_AGO}, payout: [{{flat: 1}}]}}
"""


def test_the_first_catalog_has_always_been_in_effect() -> None:
    log = CatalogLog.of([CatalogVersion(1, SALE_AT, SALE_AT, "op", "", yaml_text("default"))])
    event = parse_event(sale(received_at=format_time(SALE_AT - 9 * DAY)), received_at=None, door="test")
    assert isinstance(event, Conversion)
    decision = decide_session(event.session_id, [event], SessionTouches(), CompiledLog(log), "live")
    assert decision.credits[0].catalog_version == 1
