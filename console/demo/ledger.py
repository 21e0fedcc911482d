"""The credits that stand, read from ClickHouse as an analyst would."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

import clickhouse_connect

from schemas.money import format_amount, round_money

QUERY = """
SELECT order_id, status, partner_id, decided_by, method, toString(payout) AS payout, currency, reason, notes,
       duplicates, candidates.partner_id AS partners, candidates.type AS types, candidates.credit_group AS groups,
       candidates.rank AS ranks, candidates.reason AS reasons
FROM accredit.v_credits ORDER BY order_id
"""


class Contender(NamedTuple):
    """A candidate of a decision: ranked, or dropped for a reason."""

    partner_id: str
    type: str
    credit_group: str | None
    rank: int | None
    reason: str | None


class DemoCredit(NamedTuple):
    """What an order came to, and why."""

    order_id: str
    status: str
    partner_id: str | None = None
    decided_by: str | None = None
    method: str | None = None
    payout: str | None = None
    currency: str = ""
    reason: str | None = None
    notes: tuple[str, ...] = ()
    duplicates: int = 0
    candidates: tuple[Contender, ...] = ()


class ClickHouseLedger:
    """Reads through the view that is right under duplicates and corrections."""

    def __init__(self, address: str) -> None:
        self._client = clickhouse_connect.get_client(dsn=address)

    def credits(self) -> dict[str, DemoCredit]:
        """By order id."""
        found = (to_credit(row) for row in self._client.query(QUERY).named_results())
        return {credit.order_id: credit for credit in found}


def to_credit(row: dict[str, Any]) -> DemoCredit:
    """A row of ``QUERY``."""
    payout, currency = row["payout"], row["currency"]
    if payout is not None:
        payout = format_amount(round_money(Decimal(payout), currency))
    columns = (row["partners"], row["types"], row["groups"], row["ranks"], row["reasons"])
    return DemoCredit(
        order_id=row["order_id"],
        status=row["status"],
        partner_id=row["partner_id"],
        decided_by=row["decided_by"],
        method=row["method"],
        payout=payout,
        currency=currency,
        reason=row["reason"],
        notes=tuple(row["notes"]),
        duplicates=row["duplicates"],
        candidates=tuple(map(Contender, *columns)),
    )
