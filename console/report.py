"""`accredit report`: who got what."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from console.errors import ClickHouseUnreachable
from console.options import data_option, format_option, running
from console.settings import without_password
from schemas.times import DAY, parse_time

if TYPE_CHECKING:
    from sinks.clickhouse.reports import Report

ON_SCREEN = (
    "order_id",
    "goal",
    "status",
    "partner_id",
    "decided_by",
    "payout",
    "currency",
    "reason",
    "occurred_at",
    "amount",
    "promo_code",
    "duplicates",
)
"""The columns of a report by order that fit into a terminal; CSV and JSON have them all."""
BY = ("partner", "offer", "program", "advertiser", "day", "status", "goal", "order")


def time_of(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """``2026-05-01`` (its start, UTC) or an RFC 3339 time, to milliseconds."""
    if value is None:
        return None
    try:
        return parse_time(f"{value}T00:00:00Z" if len(value) == 10 else value)
    except ValueError as error:
        raise click.BadParameter(f"{error}; or give a day like 2026-05-01") from None


def end_of(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """As `time_of`; a day is taken with all its hours."""
    at = time_of(ctx, param, value)
    return at + DAY if at is not None and value is not None and len(value) == 10 else at


@click.command()
@data_option
@click.option("--by", multiple=True, type=click.Choice(BY), help="Rows; several times for more. [default: partner]")
@click.option("--from", "from_at", callback=time_of, metavar="TIME", help="From this day (UTC) or time on.")
@click.option("--to", "to_at", callback=end_of, metavar="TIME", help="Up to this day, all of it, or before this time.")
@click.option("--limit", type=click.IntRange(1), help="At most so many rows.")
@format_option("table", "json", "csv")
def report(
    data: Path | None, by: tuple[str, ...], from_at: int | None, to_at: int | None, limit: int | None, form: str
) -> None:
    """Who got what.

    \b
        accredit report                                   by partner
        accredit report --by day --by partner --from 2026-05-01 --to 2026-05-31
        accredit report --by order --format csv > orders.csv

    By order the terminal shows the first columns; csv and json have them all. Times are those of the conversions
    (occurred_at), days are UTC days. Money is summed per currency and never across.
    """
    from console.tables import print_rows

    address = running(data).server()
    found = read_report(address, by or ("partner",), from_at, to_at, limit)
    columns, rows = found.columns, found.rows
    if form == "table" and "order" in by:
        columns, rows = narrowed(columns, rows, ON_SCREEN)
    print_rows(columns, rows, form)


def narrowed(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], wanted: Sequence[str]
) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Those of the columns that are wanted, in their order."""
    kept = [i for i, name in enumerate(columns) if name in wanted]
    return tuple(columns[i] for i in kept), [tuple(row[i] for i in kept) for row in rows]


def read_report(
    address: str, by: tuple[str, ...], from_at: int | None = None, to_at: int | None = None, limit: int | None = None
) -> Report:
    """A report from ClickHouse at ``address``. ClickHouseUnreachable."""
    import clickhouse_connect
    from clickhouse_connect.driver.exceptions import OperationalError

    from sinks.clickhouse import reports

    try:
        client = clickhouse_connect.get_client(dsn=address)
        try:
            return reports.report(client, by=list(by), from_at=from_at, to_at=to_at, limit=limit)
        finally:
            client.close()
    except OperationalError as error:
        raise ClickHouseUnreachable(without_password(address), str(error).splitlines()[0]) from error
