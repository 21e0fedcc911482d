"""`accredit session`: what is known of one visitor, with the sealed fields opened."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from console.errors import ClickHouseUnreachable, ConsoleError
from console.options import data_option, format_option, running
from console.settings import without_password

if TYPE_CHECKING:
    from clickhouse_connect.driver.client import Client

    from schemas.sealing import Sealer

TOUCHES = """
SELECT occurred_at, type, partner_id, offer_id, click_id, invalid, country, device, os, browser, source,
       sub1, sub2, sub3, sub4, sub5, promo_code, referrer, user_agent, ip, params, door
FROM accredit.v_clicks WHERE session_id = {session:UUID} ORDER BY occurred_at, click_id
"""
CONVERSIONS = """
SELECT occurred_at, conversion_id, advertiser_id, goal, order_id, amount, currency, click_id, promo_code, customer_id,
       country, ip, user_agent, params, door
FROM accredit.conversions WHERE session_id = {session:UUID} ORDER BY occurred_at, received_at
"""
CREDITS = """
SELECT occurred_at, order_id, goal, status, partner_id, payout, currency, decided_by, reason
FROM accredit.v_credits WHERE session_id = {session:UUID} ORDER BY occurred_at
"""
ON_SCREEN = (
    "occurred_at",
    "type",
    "partner_id",
    "offer_id",
    "invalid",
    "country",
    "device",
    "ip",
    "referrer",
    "params",
)


class Found(NamedTuple):
    """Rows as dicts by column name, in order of time."""

    touches: list[dict[str, Any]]
    conversions: list[dict[str, Any]]
    credits: list[dict[str, Any]]


def session_id_of(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """A session, from itself or from a transaction id of it."""
    from schemas.errors import InvalidClickId
    from schemas.events import to_session
    from schemas.ids import CLICK_ID_LENGTH, read_click_id

    try:
        return read_click_id(value).session_id if len(value) == CLICK_ID_LENGTH else to_session(value.strip())
    except InvalidClickId as error:
        raise click.BadParameter(error.detail) from None
    except ValueError as error:
        raise click.BadParameter(f"{error}; or give a transaction id of {CLICK_ID_LENGTH} characters") from None


@click.command()
@data_option
@click.argument("session_id", metavar="ID", callback=session_id_of)
@format_option("table", "json")
def session(data: Path | None, session_id: str, form: str) -> None:
    """What is known of one visitor: touches, conversions, and who was credited.

    \b
        accredit session 018f3c1e-0000-7000-8000-000000000001
        accredit session AQGPPB4AAHAA…                        a transaction id of the visit
        accredit session ID --format json                     every field

    Addresses, user agents, referrers and most parameters (gclid, …) are sealed in Kafka and ClickHouse; they are opened
    here with the keys in DATA/privacy.json. After `accredit forget` nobody can open them.
    """
    import clickhouse_connect
    from clickhouse_connect.driver.exceptions import OperationalError

    installation = running(data)
    sealer = sealer_of(installation.data)
    address = installation.server()
    try:
        client = clickhouse_connect.get_client(dsn=address)
        try:
            found = read_session(client, session_id, sealer)
        finally:
            client.close()
    except OperationalError as error:
        raise ClickHouseUnreachable(without_password(address), str(error).splitlines()[0]) from error
    show(session_id, found, form)


def sealer_of(folder: Path) -> Sealer | None:
    """The installation's keys; None where it has none yet."""
    from ingest.privacy.key_file import FILE, read_key_file

    path = folder / FILE
    try:
        return read_key_file(path).sealer() if path.exists() else None
    except (OSError, ValueError) as error:
        raise ConsoleError(f"{path}: {error}") from None


def read_session(client: Client, session_id: str, sealer: Sealer | None) -> Found:
    """Everything that ClickHouse has of a session, opened."""

    def rows(statement: str) -> list[dict[str, Any]]:
        found = client.query(statement, parameters={"session": session_id}, settings={"log_queries": 0})
        return list(found.named_results())

    touches, conversions = (
        [opened(row, session_id, sealer) for row in rows(statement)] for statement in (TOUCHES, CONVERSIONS)
    )
    return Found(touches, conversions, rows(CREDITS))


def opened(row: Mapping[str, Any], session_id: str, sealer: Sealer | None) -> dict[str, Any]:
    """The row with its sealed fields in their places; one that cannot be opened says ``(forgotten)``."""
    from schemas.sealing import SEALED

    params = dict(row["params"])
    text = params.pop(SEALED, None)
    if text is None:
        return {**row, "params": params}
    fields = None if sealer is None else sealer.open(session_id, text)
    if fields is None:
        return {**row, "params": {**params, "(forgotten)": "its key is gone"}}
    params |= fields.pop("params", {})
    return {**row, **fields, "params": params}


def show(session_id: str, found: Found, form: str) -> None:
    from console.tables import plain, print_rows, to_json_text

    if form == "json":
        content = {name: [plain(row) for row in rows] for name, rows in found._asdict().items()}
        click.echo(to_json_text({"session_id": session_id, **content}))
        return
    if not found.touches and not found.conversions:
        raise ConsoleError(f"nothing is known of session {session_id}. What has just come in: see `accredit status`.")
    for name, rows, wanted in (
        ("Touches", found.touches, ON_SCREEN),
        ("Conversions", found.conversions, None),
        ("Credits", found.credits, None),
    ):
        if rows:
            columns = [column for column in rows[0] if wanted is None or column in wanted]
            print_rows(columns, cells(rows, columns), "table", name)


def cells(rows: Iterable[Mapping[str, Any]], columns: Iterable[str]) -> list[tuple[Any, ...]]:
    """Rows for a terminal; params as ``name=value``."""
    wanted = list(columns)
    return [
        tuple(
            " ".join(f"{key}={each}" for key, each in value.items()) if isinstance(value, dict) else value
            for value in (row[column] for column in wanted)
        )
        for row in rows
    ]
