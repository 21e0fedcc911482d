"""RULES.md, the rows about promo codes, one test each."""

from __future__ import annotations

import pytest

from schemas.times import DAY, HOUR, format_time
from tests.support.story import SALE_AT, Outcome, Story, contract, sale, touch

ANNA = {"code": "SAVE10", "partner_id": "anna"}


def with_code(anna: dict[str, object], b_group: str | None = None, **more: object) -> Story:
    others = [contract("b", b_group)] if b_group else []
    return Story([contract("anna", **anna), *others], codes=[ANNA], **more)  # type: ignore[arg-type]


def buy(story: Story, *touches: dict[str, object], **more: object) -> Outcome:
    return story.tell(*touches, sale(promo_code="SAVE10", **more))


def test_r10_a_code_owner_is_outranked_by_group() -> None:
    outcome = buy(with_code({"group": "default"}, "preferred"), touch("b", HOUR))
    assert outcome.partner == "b"
    assert outcome.credit["candidates"][1]["type"] == "promo_code"


def test_r11_a_code_goes_before_a_touch_of_its_group() -> None:
    outcome = buy(with_code({}, "preferred"), touch("b", HOUR))
    assert outcome.partner == "anna"
    assert outcome.credit["decided_by"] == "promo_code"


def test_r12_always_needs_no_click() -> None:
    outcome = buy(with_code({}))
    assert outcome.partner == "anna"
    assert outcome.credit["method"] == "promo_code"
    assert outcome.credit["decided_by"] == "only_candidate"
    assert outcome.credit["candidates"][0]["occurred_at"] is None


def test_r13_owner_also_clicked_last_is_one_credit_by_code() -> None:
    outcome = buy(with_code({}, "preferred"), touch("b", 2 * HOUR), touch("anna", HOUR))
    assert outcome.credit["method"] == "promo_code"
    assert [(c["partner_id"], c["type"]) for c in outcome.credit["candidates"]] == [
        ("anna", "promo_code"),
        ("anna", "click"),
        ("b", "click"),
    ]


def test_r14_if_involved_needs_an_eligible_touch() -> None:
    story = with_code({"promo_policy": "if_involved", "window": "1d"}, "preferred")
    outcome = buy(story, touch("anna", DAY + 1), touch("b", HOUR))
    assert outcome.partner == "b"
    reasons = [(c["type"], c["reason"]) for c in outcome.credit["candidates"] if c["reason"]]
    assert reasons == [("click", "OUT_OF_WINDOW"), ("promo_code", "POLICY_NOT_MET")]
    assert buy(story, touch("anna", DAY), touch("b", HOUR)).partner == "anna"


def test_r15_if_winner_needs_the_win_on_touches() -> None:
    story = with_code({"promo_policy": "if_winner"}, "preferred")
    lost = buy(story, touch("anna", 2 * HOUR), touch("b", HOUR))
    assert (lost.partner, lost.credit["method"]) == ("b", "click")
    won = buy(story, touch("b", 2 * HOUR), touch("anna", HOUR))
    assert (won.partner, won.credit["method"]) == ("anna", "promo_code")


def test_r16_an_unknown_or_expired_code_is_named_and_ignored() -> None:
    story = Story([contract("anna"), contract("b", "default")], codes=[{**ANNA, "until": format_time(SALE_AT)}])
    outcome = story.tell(touch("b", HOUR), sale(promo_code="SAVE10"))
    assert outcome.partner == "b"
    assert outcome.credit["notes"] == ["UNKNOWN_CODE SAVE10"]
    assert len(outcome.credit["candidates"]) == 1
    assert story.tell(sale(promo_code="nope")).credit["reason"] == "NO_CANDIDATE"


@pytest.mark.parametrize("code", ["save10", "SAVE10", "Save10"])
def test_r17_a_code_in_another_case_is_the_same(code: str) -> None:
    assert with_code({}).tell(sale(promo_code=code)).partner == "anna"


def test_r47_foreign_code_invalid() -> None:
    strict = {"programs": [{"id": "shop", "foreign_code": "invalid"}]}
    anna = {"group": "default", "promo_policy": "if_involved"}
    outcome = buy(with_code(anna, "default", **strict), touch("b", HOUR))
    assert outcome.credit["status"] == "unattributed"
    assert outcome.credit["reason"] == "FOREIGN_CODE"
    assert outcome.credit["payout"] is None
    assert buy(with_code(anna, "preferred", **strict), touch("b", HOUR)).partner == "b"
    assert buy(with_code(anna, "default"), touch("b", HOUR)).partner == "b"


def test_r50_the_owner_of_the_code_at_the_conversion() -> None:
    turn = format_time(SALE_AT)
    codes = [{**ANNA, "until": turn}, {"code": "save10", "partner_id": "bert", "from": turn}]
    story = Story([contract("anna"), contract("bert")], codes=codes)
    assert story.tell(sale(promo_code="SAVE10")).partner == "bert"
    earlier = sale(promo_code="SAVE10", occurred_at=format_time(SALE_AT - 1))
    assert story.tell(earlier).partner == "anna"


def test_a_dropped_owner_says_why() -> None:
    ended = with_code({"until": format_time(SALE_AT)})
    assert buy(ended).reasons == {"anna": "NO_CONTRACT"}
    leads = with_code({"payout": [{"goal": "lead", "flat": "1"}]})
    assert buy(leads).reasons == {"anna": "GOAL_NOT_COVERED"}
    own = Story([contract("anna")], codes=[ANNA], buyers={"anna": ["c9"]})
    assert buy(own, customer_id="c9").reasons == {"anna": "SELF_REFERRAL"}


def test_a_code_takes_the_contract_on_the_conversions_offer_first() -> None:
    story = Story([contract("anna", id="o", offer_id="shoes"), contract("anna", id="p")], codes=[ANNA])
    assert buy(story, offer_id="shoes").credit["contract_id"] == "o"
    assert buy(story).credit["contract_id"] == "p"
