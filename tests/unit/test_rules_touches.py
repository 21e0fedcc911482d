"""RULES.md, the rows about touches, one test each."""

from __future__ import annotations

import pytest

from schemas.times import DAY, HOUR, MINUTE, SECOND, format_time
from tests.support.story import SALE_AT, WINDOW, Story, contract, sale, touch, view


def test_r01_the_group_decides_before_the_time() -> None:
    story = Story([contract("display", "non_preferred"), contract("email"), contract("affiliate", "default")])
    outcome = story.tell(touch("display", 3 * HOUR), touch("email", 2 * HOUR), touch("affiliate", HOUR), sale())
    assert outcome.partner == "email"
    assert outcome.credit["decided_by"] == "credit_group"
    assert [c["partner_id"] for c in outcome.credit["candidates"]] == ["email", "affiliate", "display"]
    assert [c["rank"] for c in outcome.credit["candidates"]] == [1, 2, 3]


def test_r02_default_goes_before_non_preferred() -> None:
    story = Story([contract("display", "non_preferred"), contract("affiliate", "default")])
    assert story.tell(touch("affiliate", 2 * HOUR), touch("display", HOUR), sale()).partner == "affiliate"
    assert story.tell(touch("display", 2 * HOUR), touch("affiliate", HOUR), sale()).partner == "affiliate"


def test_r03_the_last_click_inside_the_group() -> None:
    outcome = Story([contract("a"), contract("b")]).tell(touch("a", 2 * HOUR), touch("b", HOUR), sale())
    assert outcome.partner == "b"
    assert outcome.credit["decided_by"] == "time"


def test_r04_no_group_named_is_preferred_and_said() -> None:
    story = Story([contract("a", None), contract("b", "default")])
    outcome = story.tell(touch("a", 2 * HOUR), touch("b", HOUR), sale())
    assert outcome.partner == "a"
    assert outcome.credit["credit_group"] == "preferred"
    assert outcome.credit["notes"] == ["GROUP_DEFAULTED c-a"]


def test_r05_same_group_and_millisecond_the_greater_click_id() -> None:
    story = Story([contract("a"), contract("b")])
    outcome = story.tell(touch("a", HOUR, click_id="k2"), touch("b", HOUR, click_id="k1"), sale())
    assert outcome.partner == "a"
    assert outcome.credit["decided_by"] == "click_id"


def test_r06_three_clicks_one_credit_to_the_last_eligible() -> None:
    story = Story([contract("a")])
    outcome = story.tell(
        touch("a", 3 * HOUR), touch("a", 2 * HOUR), touch("a", HOUR), touch("a", MINUTE, invalid="bot"), sale()
    )
    assert outcome.partner == "a"
    ranked = [c for c in outcome.credit["candidates"] if c["rank"]]
    assert ranked[0]["occurred_at"] == format_time(SALE_AT - HOUR)
    assert len(ranked) == 3


def test_r07_a_touch_at_the_conversions_time_counts() -> None:
    assert Story([contract("a")]).tell(touch("a", 0), sale()).partner == "a"


def test_r08_a_touch_a_millisecond_later_does_not() -> None:
    outcome = Story([contract("a")]).tell(touch("a", -1), sale())
    assert outcome.partner is None
    assert outcome.reasons == {"a": "AFTER_CONVERSION"}
    assert outcome.credit["reason"] == "NONE_ELIGIBLE"


@pytest.mark.parametrize(
    ("terms", "offer", "window"),
    [({}, {}, WINDOW), ({}, {"window": "7d"}, 7 * DAY), ({"window": "3d"}, {"window": "7d"}, 3 * DAY)],
)
def test_r09_exactly_one_window_old_counts(terms: dict[str, str], offer: dict[str, str], window: int) -> None:
    story = Story([contract("a", **terms)], offer=offer)
    assert story.tell(touch("a", window), sale()).partner == "a"
    assert story.tell(touch("a", window + 1), sale()).reasons == {"a": "OUT_OF_WINDOW"}


def test_r09_an_impressions_window_is_a_day_or_the_contracts() -> None:
    views = Story([contract("a", accepts_impressions=True, window="9d")])
    assert views.tell(view("a", DAY), sale()).partner == "a"
    assert views.tell(view("a", DAY + 1), sale()).reasons == {"a": "OUT_OF_WINDOW"}
    longer = Story([contract("a", accepts_impressions=True, impression_window="2d")])
    assert longer.tell(view("a", 2 * DAY), sale()).partner == "a"


def test_r18_the_contract_at_the_conversion_governs() -> None:
    turn = format_time(SALE_AT - HOUR)
    story = Story(
        [
            contract("a", "default", id="a1", until=turn),
            contract("a", "preferred", **{"id": "a2", "from": turn}),
            contract("b", "default"),
        ]
    )
    outcome = story.tell(touch("a", 3 * HOUR), touch("b", 2 * HOUR), sale())
    assert outcome.partner == "a"
    assert outcome.credit["contract_id"] == "a2"


def test_r19_an_ended_contract_falls_through() -> None:
    story = Story([contract("a", until=format_time(SALE_AT - 1)), contract("b", "default")])
    outcome = story.tell(touch("b", 2 * HOUR), touch("a", HOUR), sale())
    assert outcome.partner == "b"
    assert outcome.reasons == {"a": "NO_CONTRACT"}


def test_r20_intervals_are_half_open() -> None:
    at = format_time(SALE_AT)
    story = Story([contract("a", id="a1", until=at), contract("a", "default", **{"id": "a2", "from": at})])
    assert story.tell(touch("a", HOUR), sale()).credit["contract_id"] == "a2"


def test_r21_a_preferred_channel_takes_it_and_the_partner_sees_why() -> None:
    story = Story([contract("search", payout=[{"flat": "0"}]), contract("affiliate", "default")])
    outcome = story.tell(touch("search", 2 * HOUR), touch("affiliate", HOUR), sale())
    assert outcome.partner == "search"
    assert outcome.credit["payout"] == "0.00"
    assert outcome.credit["decided_by"] == "credit_group"
    assert outcome.credit["candidates"][1]["partner_id"] == "affiliate"


def test_r22_equals_go_by_time() -> None:
    story = Story([contract("affiliate"), contract("search")])
    assert story.tell(touch("affiliate", 2 * HOUR), touch("search", HOUR), sale()).partner == "search"
    assert story.tell(touch("search", 2 * HOUR), touch("affiliate", HOUR), sale()).partner == "affiliate"


def test_r23_a_click_goes_before_a_view_of_its_group() -> None:
    story = Story([contract("clicks", "default"), contract("views", "default", accepts_impressions=True)])
    outcome = story.tell(touch("clicks", 2 * HOUR), view("views", HOUR), sale())
    assert outcome.partner == "clicks"
    assert outcome.credit["decided_by"] == "touch_type"


def test_r23_a_preferred_view_wins_only_where_the_contract_takes_views() -> None:
    takes = Story([contract("clicks", "default"), contract("views", accepts_impressions=True)])
    assert takes.tell(touch("clicks", 2 * HOUR), view("views", HOUR), sale()).credit["method"] == "impression"
    refuses = Story([contract("clicks", "default"), contract("views")])
    outcome = refuses.tell(touch("clicks", 2 * HOUR), view("views", HOUR), sale())
    assert outcome.partner == "clicks"
    assert outcome.reasons == {"views": "TOUCH_NOT_ACCEPTED"}


def test_r24_a_bot_click_falls_through() -> None:
    outcome = Story([contract("a"), contract("b")]).tell(touch("a", 2 * HOUR), touch("b", HOUR, invalid="bot"), sale())
    assert outcome.partner == "a"
    assert outcome.reasons == {"b": "INVALID_TOUCH"}


def status(*changes: tuple[str, int]) -> dict[str, object]:
    return {"status": [{"value": value, "from": format_time(SALE_AT - before)} for value, before in changes]}


def test_r25_an_offer_paused_after_the_click() -> None:
    story = Story([contract("a")], offer=status(("active", DAY), ("paused", HOUR)))
    assert story.tell(touch("a", 2 * HOUR), sale()).partner == "a"


def test_r26_an_offer_paused_at_the_click() -> None:
    story = Story([contract("a")], offer=status(("active", DAY), ("paused", 2 * HOUR), ("active", HOUR)))
    assert story.tell(touch("a", 2 * HOUR), sale()).reasons == {"a": "OFFER_INACTIVE"}


def test_r27_a_click_on_another_program_is_no_candidate() -> None:
    hats = {"id": "hats", "advertiser_id": "shop", "program_id": "vip", "landing_url": "https://shop.example/hats"}
    story = Story([contract("a"), contract("b", program_id="vip")], offers=[hats], programs=[{"id": "vip"}])
    outcome = story.tell(touch("a", 2 * HOUR), touch("b", HOUR, offer_id="hats"), sale())
    assert [c["partner_id"] for c in outcome.credit["candidates"]] == ["a"]


def test_r28_nothing_is_unattributed() -> None:
    outcome = Story([contract("a")]).tell(sale())
    assert outcome.credit["status"] == "unattributed"
    assert outcome.credit["reason"] == "NO_CANDIDATE"
    assert outcome.credit["payout"] is None


def test_r48_the_contract_on_the_offer_goes_before_the_programs() -> None:
    story = Story(
        [contract("a", "non_preferred", id="o", offer_id="shoes"), contract("a", id="p"), contract("b", "default")]
    )
    outcome = story.tell(touch("b", 2 * HOUR), touch("a", HOUR), sale())
    assert outcome.partner == "b"
    assert outcome.credit["candidates"][1]["contract_id"] == "o"


def test_r49_a_click_id_alone_finds_session_and_program() -> None:
    hats = {"id": "hats", "advertiser_id": "shop", "program_id": "vip", "landing_url": "https://shop.example/hats"}
    story = Story([contract("a", program_id="vip")], offers=[hats], programs=[{"id": "vip"}])
    conversion = sale(click_id="k1")
    del conversion["session_id"]
    outcome = story.tell(touch("a", HOUR, offer_id="hats", click_id="k1"), conversion)
    assert outcome.partner == "a"


def test_r52_very_many_touches_are_all_weighed_and_200_listed() -> None:
    story = Story([contract("a"), contract("late", "default", window="1s")])
    touches = [touch("a", HOUR + i) for i in range(250)] + [touch("late", MINUTE + i) for i in range(30)]
    outcome = story.tell(*touches, touch("a", SECOND), sale())
    credit = outcome.credit
    assert len(credit["candidates"]) == 200
    assert credit["candidates"][0]["occurred_at"] == format_time(SALE_AT - SECOND)
    assert credit["omitted"] == {"OUT_OF_WINDOW": 30, "ELIGIBLE": 51}


def test_minimum_time_and_self_referral_drop_a_touch() -> None:
    quick = Story([contract("a", min_time="5s")])
    assert quick.tell(touch("a", 5 * SECOND - 1), sale()).reasons == {"a": "UNDER_MIN_TIME"}
    assert quick.tell(touch("a", 5 * SECOND), sale()).partner == "a"
    own = Story([contract("a")], buyers={"a": ["c9"]})
    assert own.tell(touch("a", HOUR), sale(customer_id="c9")).reasons == {"a": "SELF_REFERRAL"}
    assert own.tell(touch("a", HOUR), sale(customer_id="c8")).partner == "a"


def test_a_goal_that_no_payout_rule_names_is_not_covered() -> None:
    leads = Story([contract("a", payout=[{"goal": "lead", "flat": "1"}])])
    assert leads.tell(touch("a", HOUR), sale()).reasons == {"a": "GOAL_NOT_COVERED"}


def test_of_two_reasons_the_first_of_the_list_is_given() -> None:
    story = Story([contract("a", window="1s")])
    assert story.tell(touch("a", -1, invalid="bot"), sale()).reasons == {"a": "AFTER_CONVERSION"}
    assert story.tell(touch("a", HOUR, invalid="bot"), sale()).reasons == {"a": "INVALID_TOUCH"}


def test_a_copy_of_a_click_that_says_invalid_makes_it_invalid() -> None:
    flagged = touch("a", HOUR, click_id="k", invalid="fraud", received_at=format_time(SALE_AT + DAY))
    outcome = Story([contract("a")]).tell(touch("a", HOUR, click_id="k"), sale(), flagged)
    assert outcome.reasons == {"a": "INVALID_TOUCH"}
