"""Who got what: reports over the views, as columns and rows.

Clicks count by their own time, conversions by theirs; days are UTC days (those of a program's time zone come with
settlement, RULES R41). Money is summed per currency and never across: a group with several currencies has a row for
each, and its clicks stand in the first of these rows only, so that a column can be summed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from schemas.catalog import load_catalog
from schemas.money import EXACT, MINOR_UNITS
from sinks.clickhouse.errors import ReportError
from sinks.clickhouse.target import first_line

GROUPS: Final[Mapping[str, str]] = {
    "partner": "partner_id",
    "offer": "offer_id",
    "program": "program_id",
    "advertiser": "advertiser_id",
    "day": "day",
    "status": "status",
    "goal": "goal",
}
"""What a report can be by → its column. ``order`` is the other one: a row per conversion."""
BY = (*GROUPS, "order")

OF_CLICKS = frozenset(("partner", "offer", "program", "advertiser", "day"))
MEASURES = (
    "clicks",
    "invalid_clicks",
    "impressions",
    "conversions",
    "credited",
    "unattributed",
    "conversion_rate",
    "currency",
    "payout",
    "revenue",
)
ORDER_COLUMNS = (
    "order_id",
    "goal",
    "status",
    "partner_id",
    "decided_by",
    "payout",
    "currency",
    "reason",
    "conversion_id",
    "occurred_at",
    "amount",
    "revenue",
    "advertiser_id",
    "program_id",
    "offer_id",
    "contract_id",
    "credit_group",
    "method",
    "click_id",
    "touched_at",
    "promo_code",
    "notes",
    "duplicates",
    "conflicts",
    "catalog_version",
)
MONEY = ("payout", "amount", "revenue")
NOT_THERE = {60: "a table or view is missing", 81: "there is no database"}
RATE = Decimal("0.0001")

Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Report:
    """Columns and rows. Times are `datetime` in UTC, days `date`, money `Decimal` with its currency's decimals."""

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Period:
    """Half-open, in milliseconds; None is open."""

    from_at: int | None
    to_at: int | None

    def where(self, column: str) -> str:
        """A condition on a time column."""
        parts = []
        if self.from_at is not None:
            parts.append(f"{column} >= {{from_at:DateTime64(3, 'UTC')}}")
        if self.to_at is not None:
            parts.append(f"{column} < {{to_at:DateTime64(3, 'UTC')}}")
        return " AND ".join(parts) or "1"

    @property
    def parameters(self) -> dict[str, datetime]:
        """Values for `where`."""
        bounds = {"from_at": self.from_at, "to_at": self.to_at}
        return {name: datetime.fromtimestamp(at / 1000, UTC) for name, at in bounds.items() if at is not None}


def report(
    client: Client,
    by: Sequence[str] = ("partner",),
    from_at: int | None = None,
    to_at: int | None = None,
    limit: int | None = None,
    database: str = "accredit",
) -> Report:
    """A report of the conversions and clicks of ``[from_at, to_at)`` (milliseconds).

    ``by`` is words of `BY`; ``order`` stands alone and gives a row per conversion, by time, then order id. Other
    reports are sorted by day where days are asked for, else the most credited first. Raises ReportError for a word that
    is none, or when the database was never migrated; what the client raises when ClickHouse is away goes through.
    """
    unknown = [word for word in by if word not in BY]
    if unknown or not by:
        raise ReportError(f"cannot report by {', '.join(unknown) or 'nothing'}; there are {', '.join(BY)}")
    if "order" in by and len(by) > 1:
        raise ReportError("by order is a list of conversions already and is not combined with others")
    period = Period(from_at, to_at)
    try:
        if "order" in by:
            return by_order(client, period, limit, database)
        return by_group(client, list(dict.fromkeys(by)), period, limit, database)
    except DatabaseError as error:
        if error.code in NOT_THERE:
            raise ReportError(f"{NOT_THERE[error.code]} ({first_line(error)}): run a sink or `accredit up`") from error
        raise


def by_order(client: Client, period: Period, limit: int | None, database: str) -> Report:
    query = f"""
        SELECT {", ".join(f"c.{column}" for column in ORDER_COLUMNS)}
        FROM {database}.v_credits AS c
        WHERE {period.where("c.occurred_at")}
        ORDER BY c.occurred_at, ifNull(c.order_id, ''), c.conversion_id
        {f"LIMIT {int(limit)}" if limit is not None else ""}"""
    rows = []
    for row in client.query(query, parameters=period.parameters).result_rows:
        fields = dict(zip(ORDER_COLUMNS, row, strict=True))
        for name in MONEY:
            fields[name] = money(fields[name], fields["currency"])
        rows.append(tuple(fields.values()))
    return Report(ORDER_COLUMNS, rows)


def by_group(client: Client, by: list[str], period: Period, limit: int | None, database: str) -> Report:
    clicks = clicks_by(client, by, period, database)
    credits = credits_by(client, by, period, database)
    none = (0, 0, 0) if OF_CLICKS.issuperset(by) else (None, None, None)
    keys = clicks.keys() | credits.keys()
    rows = [row for key in keys for row in group_rows(key, clicks.get(key, none), credits.get(key))]
    width = len(by)
    if "day" in by:
        rows.sort(key=lambda row: sort_key(row[:width]))
    else:
        rows.sort(key=lambda row: (-row[width + 4], -(row[width] or 0), sort_key(row[:width])))
    return Report((*(GROUPS[word] for word in by), *MEASURES), rows[:limit])


def sort_key(key: Key) -> list[tuple[bool, str]]:
    """Nobody (None) comes after everybody."""
    return [(part is None, str(part)) for part in key]


def group_rows(key: Key, clicks: Key, credits: list[Key] | None) -> list[tuple[Any, ...]]:
    """The rows of a group, one for each of its currencies; clicks and the rate of the whole group in the first."""
    if not credits:
        return [(*key, *clicks, 0, 0, 0, rate(0, clicks[0]), None, None, None)]
    whole = sum(credited for _, _, credited, _, _ in credits)
    rows = []
    for place, (currency, conversions, credited, payout, revenue) in enumerate(credits):
        first = place == 0
        rows.append(
            (
                *key,
                *(clicks if first else (None, None, None)),
                conversions,
                credited,
                conversions - credited,
                rate(whole, clicks[0]) if first else None,
                currency,
                money(payout, currency),
                money(revenue, currency),
            )
        )
    return rows


def rate(credited: int, clicks: int | None) -> Decimal | None:
    """Credited conversions per valid click, four decimals; None where there are no clicks to divide by."""
    return (Decimal(credited) / clicks).quantize(RATE) if clicks else None


def credits_by(client: Client, by: list[str], period: Period, database: str) -> dict[Key, list[Key]]:
    """Per group its currencies: currency, conversions, credited, payout, revenue; the currency most used first."""
    columns = ["toDate(c.occurred_at, 'UTC') AS day" if word == "day" else f"c.{GROUPS[word]}" for word in by]
    query = f"""
        SELECT {", ".join(columns)}, c.currency, count() AS conversions, countIf(c.status = 'credited'),
            sum(c.payout), sum(c.revenue)
        FROM {database}.v_credits AS c
        WHERE {period.where("c.occurred_at")}
        GROUP BY {", ".join(GROUPS[word] if word == "day" else f"c.{GROUPS[word]}" for word in by)}, c.currency
        ORDER BY conversions DESC, c.currency"""
    found: dict[Key, list[Key]] = {}
    for row in client.query(query, parameters=period.parameters).result_rows:
        found.setdefault(tuple(row[: len(by)]), []).append(tuple(row[len(by) :]))
    return found


def clicks_by(client: Client, by: list[str], period: Period, database: str) -> dict[Key, Key]:
    """Per group: valid clicks, invalid clicks, impressions. Empty for what a click does not have, as a goal."""
    if not OF_CLICKS.issuperset(by):
        return {}
    columns, parameters = [], dict[str, Any](period.parameters)
    if {"program", "advertiser"} & set(by):
        parameters |= offers(client, database)
    for word in by:
        if word == "day":
            columns.append("toDate(c.occurred_at, 'UTC')")
        elif word in ("partner", "offer"):
            columns.append(f"toNullable(c.{GROUPS[word]})")
        else:
            pairs = f"{{offers:Array(String)}}, {{{word}s:Array(String)}}, ''"
            columns.append(f"nullIf(transform(c.offer_id, {pairs}), '')")
    names = [f"g{place}" for place in range(len(by))]
    query = f"""
        SELECT {", ".join(f"{column} AS {name}" for column, name in zip(columns, names, strict=True))},
            countIf(c.type = 'click' AND c.invalid IS NULL),
            countIf(c.type = 'click' AND c.invalid IS NOT NULL),
            countIf(c.type = 'impression')
        FROM {database}.v_clicks AS c
        WHERE {period.where("c.occurred_at")}
        GROUP BY {", ".join(names)}"""
    rows = client.query(query, parameters=parameters).result_rows
    return {tuple(row[: len(by)]): tuple(row[len(by) :]) for row in rows}


def offers(client: Client, database: str) -> dict[str, list[str]]:
    """Which program and advertiser each offer belongs to, by the newest catalog; parameters of `clicks_by`."""
    newest = client.query(f"SELECT document FROM {database}.v_catalog ORDER BY version DESC LIMIT 1").result_rows
    if not newest:
        return {"offers": [""], "programs": [""], "advertisers": [""]}
    catalog = load_catalog(newest[0][0], "the newest catalog", refuse_overlaps=False)
    return {
        "offers": ["", *(offer.id for offer in catalog.offers)],
        "programs": ["", *(offer.program for offer in catalog.offers)],
        "advertisers": ["", *(offer.advertiser_id for offer in catalog.offers)],
    }


def money(amount: Decimal | None, currency: str | None) -> Decimal | None:
    """An amount with at least its currency's decimals: 1 USD is 1.00, 0.125 stays."""
    if amount is None or currency is None:
        return None
    plain = amount.normalize(EXACT)
    digits = max(MINOR_UNITS.get(currency, 0), -int(plain.as_tuple().exponent))
    return plain.quantize(Decimal(1).scaleb(-digits), context=EXACT)
