"""Reports, as far as they need no ClickHouse: money, rates, rows per currency, what cannot be asked."""

from decimal import Decimal
from typing import Any, cast

import pytest

from sinks.clickhouse.errors import ReportError
from sinks.clickhouse.reports import Period, group_rows, money, rate, report


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("1", "USD", "1.00"),
        ("0", "EUR", "0.00"),
        ("4.990000000", "EUR", "4.99"),
        ("0.125", "USD", "0.125"),
        ("100", "JPY", "100"),
        ("1.5", "KWD", "1.500"),
        ("-3.1", "EUR", "-3.10"),
        ("120000", "USD", "120000.00"),
    ],
)
def test_money_has_its_currencys_decimals(amount: str, currency: str, shown: str) -> None:
    found = money(Decimal(amount), currency)
    assert found is not None
    assert format(found, "f") == shown


def test_money_of_nobody_is_none() -> None:
    assert money(None, "EUR") is None


def test_the_rate_needs_clicks() -> None:
    assert rate(1, 3) == Decimal("0.3333")
    assert rate(1, 0) is None
    assert rate(1, None) is None


def test_currencies_are_rows_and_clicks_stand_once() -> None:
    credits = [("EUR", 3, 2, Decimal(5), Decimal(9)), ("JPY", 1, 1, Decimal(70), None)]
    assert group_rows(("anna",), (30, 1, 4), credits) == [
        ("anna", 30, 1, 4, 3, 2, 1, Decimal("0.1000"), "EUR", Decimal("5.00"), Decimal("9.00")),
        ("anna", None, None, None, 1, 1, 0, None, "JPY", Decimal("70"), None),
    ]
    assert group_rows(("bert",), (5, 0, 0), None) == [("bert", 5, 0, 0, 0, 0, 0, Decimal("0.0000"), None, None, None)]


@pytest.mark.parametrize("by", [[], ["colour"], ["order", "partner"]])
def test_what_cannot_be_asked_is_said(by: list[str]) -> None:
    with pytest.raises(ReportError):
        report(cast(Any, None), by)


def test_a_period_is_half_open_and_open_where_none_is_given() -> None:
    assert Period(None, None).where("at") == "1"
    both = Period(0, 1_000).where("at")
    assert "at >= {from_at" in both
    assert "at < {to_at" in both
    assert set(Period(0, 1_000).parameters) == {"from_at", "to_at"}
