"""Reports on the real engine."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from schemas.records import CatalogVersion
from schemas.times import DAY
from sinks.clickhouse import SinkSettings, migrate
from sinks.clickhouse.errors import ReportError
from sinks.clickhouse.reports import ORDER_COLUMNS, report
from sinks.clickhouse.target import ClickHouse
from tests.support.sink_records import CATALOG, CLICKS, CREDITS, SESSION, START, click, credit, rows

pytestmark = pytest.mark.integration
DATABASE = "report_queries"
DOCUMENT = """
advertisers: [{id: shop, name: Shop, currency: EUR, timezone: UTC, programs: [{id: holiday}]}]
offers:
  - {id: decor, advertiser_id: shop, program_id: holiday, landing_url: "https://shop.example/"}
  - {id: lamps, advertiser_id: shop, landing_url: "https://shop.example/"}
"""


@pytest.fixture(scope="module")
def client(clickhouse: str) -> Iterator[Client]:
    """A day's clicks and conversions, some delivered twice."""
    migrate(clickhouse, DATABASE)
    target = ClickHouse(SinkSettings(kafka="", clickhouse_url=clickhouse, database=DATABASE))
    anna = [click(i) for i in range(4)]
    bert = [click(10 + i, partner_id="bert", offer_id="lamps", occurred_at=START + DAY) for i in range(2)]
    more = [click(20, invalid="bot"), click(21, type="impression")]
    target.insert(CLICKS, rows([*anna, *bert, *more]))
    target.insert(CLICKS, rows([*anna, *more], first=100))
    unattributed = {"status": "unattributed", "partner_id": None, "payout": None, "decided_by": None, "offer_id": None}
    records = [
        credit("a", revenue="6.00"),
        credit("b", currency="JPY", payout="70", amount="1000", occurred_at=START + 1),
        credit("c", occurred_at=START + DAY, payout="0.01"),
        credit("d", reason="NO_CANDIDATE", candidates=(), notes=(), **unattributed),
        credit("d", version=0),
    ]
    target.insert(CREDITS, rows(records))
    target.insert(CATALOG, rows([CatalogVersion(1, START, START, "ann", "d", DOCUMENT)]))
    target.close()
    client = clickhouse_connect.get_client(dsn=clickhouse, autogenerate_session_id=False)
    yield client
    client.close()


def told(client: Client, *by: str, **more: Any) -> list[tuple[Any, ...]]:
    """The report's rows with text in place of money, for reading."""
    found = report(client, by, database=DATABASE, **more).rows
    return [tuple(str(value) if isinstance(value, Decimal) else value for value in row) for row in found]


def test_by_partner(client: Client) -> None:
    assert report(client, database=DATABASE).columns[:5] == (
        "partner_id",
        "clicks",
        "invalid_clicks",
        "impressions",
        "conversions",
    )
    assert told(client, "partner") == [
        ("anna", 4, 1, 1, 2, 2, 0, "0.7500", "EUR", "5.00", "6.00"),
        ("anna", None, None, None, 1, 1, 0, None, "JPY", "70", None),
        ("bert", 2, 0, 0, 0, 0, 0, "0.0000", None, None, None),
        (None, 0, 0, 0, 1, 0, 1, None, "EUR", None, None),
    ]


def test_by_day_and_partner_within_a_period(client: Client) -> None:
    day = datetime.fromtimestamp(START / 1000, UTC).date()
    midnight = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp() * 1000)
    found = told(client, "day", "partner", from_at=midnight, to_at=midnight + DAY)
    assert [row[:3] for row in found] == [(day, "anna", 4), (day, "anna", None), (day, None, 0)]
    after = told(client, "day", from_at=midnight + DAY)
    assert after == [(date.fromordinal(day.toordinal() + 1), 2, 0, 0, 1, 1, 0, "0.5000", "EUR", "0.01", None)]


def test_programs_and_advertisers_of_clicks_come_from_the_catalog(client: Client) -> None:
    assert [row[:2] for row in told(client, "program")] == [("holiday", 4), ("holiday", None), ("shop", 2)]
    assert [row[:2] for row in told(client, "advertiser")] == [("shop", 6), ("shop", None)]


def test_by_status_and_goal_has_no_clicks(client: Client) -> None:
    assert [row[:6] for row in told(client, "status", "goal", limit=1)] == [("credited", "sale", None, None, None, 2)]


def test_by_order_is_a_row_per_conversion_in_time(client: Client) -> None:
    found = report(client, ["order"], database=DATABASE)
    assert found.columns == ORDER_COLUMNS
    assert found.columns[:7] == ("order_id", "goal", "status", "partner_id", "decided_by", "payout", "currency")
    assert [tuple(map(str, row[:7])) for row in found.rows] == [
        ("b", "sale", "credited", "anna", "only_candidate", "70", "JPY"),
        ("a", "sale", "credited", "anna", "only_candidate", "4.99", "EUR"),
        ("d", "sale", "unattributed", "None", "None", "None", "EUR"),
        ("c", "sale", "credited", "anna", "only_candidate", "0.01", "EUR"),
    ]
    assert len(report(client, ["order"], limit=2, database=DATABASE).rows) == 2


def test_a_database_without_tables_is_said(client: Client) -> None:
    with pytest.raises(ReportError, match="accredit up"):
        report(client, database="nowhere")


def test_a_reader_reports_too(clickhouse: str, client: Client) -> None:
    reader = clickhouse_connect.get_client(
        dsn=clickhouse.replace("http://", "http://reader@"), autogenerate_session_id=False
    )
    assert report(reader, ["offer"], database=DATABASE).rows == report(client, ["offer"], database=DATABASE).rows
    assert reader.command(f"SELECT count() FROM {DATABASE}.v_clicks WHERE session_id = '{SESSION}'") == 8
    reader.close()
