"""The sink's target on a real ClickHouse: the contract, and whose fault an error is."""

import dataclasses
from collections.abc import Callable, Iterator

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from schemas.times import DAY
from sinks.clickhouse import SinkSettings, migrate
from sinks.clickhouse.errors import Unavailable
from sinks.clickhouse.target import ClickHouse
from tests.support.sink_contract import TargetContract
from tests.support.sink_records import CLICKS, click, rows

pytestmark = pytest.mark.integration
DATABASE = "sink_contract"


@pytest.fixture(scope="module")
def client(clickhouse: str) -> Iterator[Client]:
    migrate(clickhouse, DATABASE)
    client = clickhouse_connect.get_client(dsn=clickhouse, database=DATABASE, autogenerate_session_id=False)
    yield client
    client.close()


@pytest.fixture
def settings(clickhouse: str) -> SinkSettings:
    return SinkSettings(kafka="", clickhouse_url=clickhouse, database=DATABASE)


@pytest.fixture
def target(client: Client, settings: SinkSettings) -> Iterator[ClickHouse]:
    client.command("TRUNCATE TABLE clicks")
    made = ClickHouse(settings)
    yield made
    made.close()


@pytest.fixture
def offsets(client: Client) -> Callable[[], list[int]]:
    return lambda: [row[0] for row in client.query("SELECT kafka_offset FROM clicks FINAL ORDER BY 1").result_rows]


class TestClickHouseTarget(TargetContract):
    """On the real engine."""


@pytest.mark.parametrize("compression", ["none", "lz4", "zstd"])
def test_every_compression_arrives(
    target: ClickHouse, settings: SinkSettings, offsets: Callable[[], list[int]], compression: str
) -> None:
    compressed = ClickHouse(dataclasses.replace(settings, compression=compression))  # type: ignore[arg-type]
    compressed.insert(CLICKS, rows([click(i) for i in range(3)]))
    compressed.close()
    assert offsets() == [0, 1, 2]


def test_rows_of_twenty_years_go_in_at_once(target: ClickHouse, offsets: Callable[[], list[int]]) -> None:
    target.insert(CLICKS, rows([click(i, received_at=i * 31 * DAY) for i in range(1, 240)]))
    assert len(offsets()) == 239


def test_a_missing_table_or_server_is_not_the_rows_fault(
    target: ClickHouse, settings: SinkSettings, client: Client
) -> None:
    client.command("RENAME TABLE clicks TO clicks_away")
    try:
        with pytest.raises(Unavailable):
            target.insert(CLICKS, rows([click(0)]))
    finally:
        client.command("RENAME TABLE clicks_away TO clicks")
    target.insert(CLICKS, rows([click(0)]))
    nobody = ClickHouse(dataclasses.replace(settings, clickhouse_url="http://127.0.0.1:1"))
    with pytest.raises(Unavailable):
        nobody.insert(CLICKS, rows([click(0)]))
