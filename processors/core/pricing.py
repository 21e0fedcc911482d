"""Prices: the first rule that matches, top-down; Decimal, rounded once to the currency's minor unit (RULES 2.7)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from schemas.catalog import Rate
from schemas.money import EXACT, format_amount, round_money

ZERO = Decimal(0)
HUNDREDTH = Decimal("0.01")


def price(rates: Iterable[Rate], goal: str, country: str | None, amount: Decimal, currency: str) -> str:
    """What the first matching rate gives for ``amount``, as text in the currency's decimals; zero if none matches.

    A rate without goals or countries is for all; one with countries does not match an unknown country.
    """
    for rate in rates:
        if rate.goal and goal not in rate.goal:
            continue
        if rate.country and country not in rate.country:
            continue
        if rate.flat is not None:
            value = rate.flat
        else:
            assert rate.percent is not None
            value = EXACT.multiply(EXACT.multiply(amount, rate.percent), HUNDREDTH)
        return format_amount(round_money(value, currency))
    return format_amount(round_money(ZERO, currency))
