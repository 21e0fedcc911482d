"""v_review on the real engine: conversions flagged at the edge, and those whose click was made in another country."""

from __future__ import annotations

import clickhouse_connect
import pytest

from sinks.clickhouse import SinkSettings, migrate
from sinks.clickhouse.target import ClickHouse
from tests.support.sink_records import CLICKS, CONVERSIONS, click, conversion, rows

pytestmark = pytest.mark.integration


def test_conversions_to_look_at(clickhouse: str) -> None:
    database = "review_view"
    migrate(clickhouse, database)
    target = ClickHouse(SinkSettings(kafka="", clickhouse_url=clickhouse, database=database))
    sales = [
        conversion("plain", click_id="c-1", country="DE"),
        conversion("elsewhere", click_id="c-1", country="US"),
        conversion("elsewhere", click_id="c-1", country="US"),  # delivered twice
        conversion("fast", click_id="c-2", country="US", params={"accredit_review": "too_fast,impossible_country"}),
        conversion("unknown-click", click_id="c-9", country="DE"),
        conversion("no-click", params={"accredit_review": "impossible_country"}),
        conversion("nothing-said"),
    ]
    target.insert(CLICKS, rows([click(1), click(1), click(2)]))
    target.insert(CONVERSIONS, rows(sales))
    client = clickhouse_connect.get_client(dsn=clickhouse, database=database)
    try:
        found = client.query("SELECT order_id, flags, click_country FROM v_review ORDER BY order_id").result_rows
        assert [tuple(row) for row in found] == [
            ("elsewhere", ["other_country"], "DE"),
            ("fast", ["impossible_country", "too_fast", "other_country"], "DE"),
            ("no-click", ["impossible_country"], ""),
        ]
    finally:
        client.close()
        target.close()
