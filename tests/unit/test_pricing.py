"""RULES 2.7: the first rule that matches, rounded once, half-even, to the currency's minor unit."""

from __future__ import annotations

from decimal import Decimal

import pytest

from processors.core.pricing import price
from schemas.catalog import Rate
from schemas.times import HOUR
from tests.support.story import Story, contract, sale, touch

PERCENT = [Rate(percent="12")]


@pytest.mark.parametrize(
    ("amount", "currency", "paid"),
    [
        ("49.90", "EUR", "5.99"),
        ("0.125", "EUR", "0.02"),  # 0.015: half goes to the even neighbour
        ("0.375", "EUR", "0.04"),  # 0.045
        ("1004", "JPY", "120"),
        ("1.2345", "KWD", "0.148"),
        ("999999999999999999.99", "USD", "120000000000000000.00"),
    ],
)
def test_r40_rounded_to_the_currencys_own_minor_unit(amount: str, currency: str, paid: str) -> None:
    assert price(PERCENT, "sale", None, Decimal(amount), currency) == paid


def test_the_first_matching_rule_pays() -> None:
    rates = [
        Rate(goal="lead", flat="2"),
        Rate(goal="sale", country=["DE", "AT"], percent="9"),
        Rate(goal="sale", percent="8"),
    ]
    assert price(rates, "sale", "DE", Decimal(100), "EUR") == "9.00"
    assert price(rates, "sale", "FR", Decimal(100), "EUR") == "8.00"
    assert price(rates, "sale", None, Decimal(100), "EUR") == "8.00"
    assert price(rates, "lead", None, Decimal(100), "EUR") == "2.00"
    assert price(rates, "other", None, Decimal(100), "EUR") == "0.00"


def test_a_covered_goal_without_a_matching_rule_pays_zero() -> None:
    story = Story([contract("a", payout=[{"country": "DE", "percent": "10"}])])
    outcome = story.tell(touch("a", HOUR), sale(country="FR"))
    assert (outcome.partner, outcome.credit["payout"]) == ("a", "0.00")


def test_the_touchs_country_counts_where_the_conversion_has_none() -> None:
    story = Story([contract("a", payout=[{"country": "DE", "percent": "10"}])])
    assert story.tell(touch("a", HOUR, country="de"), sale()).credit["payout"] == "10.00"
    assert story.tell(touch("a", HOUR, country="DE"), sale(country="FR")).credit["payout"] == "0.00"


def test_revenue_by_the_conversions_offer_else_the_winning_touchs_else_null() -> None:
    hats = {"id": "hats", "advertiser_id": "shop", "landing_url": "https://shop.example", "revenue": [{"flat": "7"}]}
    story = Story(
        [contract("a")],
        offers=[hats],
        offer={"revenue": [{"percent": "20"}]},
        codes=[{"code": "X", "partner_id": "a"}],
    )
    assert story.tell(touch("a", HOUR), sale()).credit["revenue"] == "20.00"
    assert story.tell(touch("a", HOUR), sale(offer_id="hats")).credit["revenue"] == "7.00"
    assert story.tell(sale(promo_code="X")).credit["revenue"] is None
    assert story.tell(sale(promo_code="X", offer_id="hats")).credit["revenue"] == "7.00"


def test_a_conversion_without_currency_is_in_the_advertisers() -> None:
    events = sale()
    del events["currency"]
    credit = Story([contract("a")]).tell(touch("a", HOUR), events).credit
    assert (credit["currency"], credit["payout"]) == ("EUR", "10.00")


def test_a_conversion_without_amount_pays_no_percentage() -> None:
    event = sale()
    del event["amount"]
    assert Story([contract("a")]).tell(touch("a", HOUR), event).credit["payout"] == "0.00"
