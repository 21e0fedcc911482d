"""The sink process between a real Kafka and a real ClickHouse."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from confluent_kafka import ConsumerGroupTopicPartitions
from confluent_kafka.admin import AdminClient

from console.topics import create_topics
from deploy.local.kafka import Kafka
from schemas.codec import current_schema, encode
from schemas.records import CatalogVersion, Click
from schemas.topics import CATALOG, CLICKS, CONVERSIONS, CREDITS, DEAD_LETTERS
from sinks.clickhouse import migrate
from tests.support.clickhouse_server import ClickHouseServer
from tests.support.sink_process import Feed, SinkProcess, until
from tests.support.sink_records import START, click, conversion, credit

pytestmark = pytest.mark.integration
Query = Callable[[str], list[tuple[Any, ...]]]


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A broker of its own: the sink reads the product's topics whole."""
    kafka = Kafka(tmp_path_factory.mktemp("kafka"))
    kafka.start()
    create_topics(kafka.bootstrap, 4)
    yield kafka.bootstrap
    kafka.stop()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """Of this test's database and group."""
    return f"sink_{request.node.name.split('[')[0]}"[:60]


@pytest.fixture
def query(clickhouse: str, name: str) -> Iterator[Query]:
    migrate(clickhouse, name)
    client: Client = clickhouse_connect.get_client(dsn=clickhouse, autogenerate_session_id=False)
    yield lambda sql: [tuple(row) for row in client.query(sql.replace("FROM ", f"FROM {name}.")).result_rows]
    client.close()


@pytest.fixture
def sinks(broker: str, clickhouse: str, name: str, tmp_path: Path) -> Iterator[Callable[..., SinkProcess]]:
    """Makes sinks of this test's group, and ends them."""
    made: list[SinkProcess] = []

    def sink(**settings: Any) -> SinkProcess:
        told = {"kafka": broker, "clickhouse_url": clickhouse, "database": name, "group_id": name, **settings}
        made.append(SinkProcess(tmp_path, **told))
        made[-1].start()
        return made[-1]

    yield sink
    for each in made:
        each.kill()


def clicks_of(test: str, count: int) -> list[Click]:
    """Clicks of sessions all over the partitions, that no other test has."""
    return [click(i, click_id=f"{test}-{i}", session_id=str(uuid.uuid4())) for i in range(count)]


def committed(broker: str, group: str) -> dict[tuple[str, int], int]:
    admin = AdminClient({"bootstrap.servers": broker})  # it must outlive the future
    future = admin.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)])[group]
    return {(part.topic, part.partition): part.offset for part in future.result(30).topic_partitions or []}


def test_everything_in_the_topics_is_in_the_views(
    broker: str, sinks: Callable[..., SinkProcess], query: Query, name: str
) -> None:
    feed = Feed(broker)
    clicks = clicks_of("all", 2_000)
    feed.records(CLICKS, [*clicks, *clicks[:500]])
    feed.records(CONVERSIONS, [conversion("1"), conversion("2")])
    feed.records(CREDITS, [credit("1", version=2), credit("1", version=1, payout="0.00"), credit("2")])
    feed.records(CATALOG, [CatalogVersion(1, START, START, "ann", "d", "advertisers: []")])
    poison = encode(click(0, session_id="nonsense"))
    feed.raw(CLICKS, poison)
    feed.raw(CLICKS, None)
    feed.raw(CONVERSIONS, b'{"json": true}')
    feed.raw(CREDITS, current_schema("click").frame + b"rest")
    feed.flush()

    sink = sinks()
    until(lambda: sink.get("/readyz")[0] == 200, sink.log)
    ours = "startsWith(click_id, 'all-')"
    until(lambda: query(f"SELECT count() FROM v_clicks WHERE {ours}") == [(2_000,)], sink.log)
    assert query(f"SELECT uniqExact(kafka_partition, kafka_offset) FROM clicks WHERE {ours}") == [(2_500,)]
    until(lambda: len(query("SELECT 1 FROM v_dead_letters")) == 4, sink.log)
    letters = query("SELECT topic, reason, original FROM v_dead_letters ORDER BY topic, reason")
    assert [row[:2] for row in letters] == [
        ("clicks", "BAD_FRAME"),
        ("clicks", "REFUSED_BY_CLICKHOUSE"),
        ("conversions", "BAD_FRAME"),
        ("credits", "WRONG_SCHEMA"),
    ]
    assert query(f"SELECT count() FROM dead_letters WHERE original = unhex('{poison.hex()}')") == [(1,)]
    paid = query("SELECT order_id, toString(payout) FROM v_credits ORDER BY order_id")
    assert paid == [("1", "4.99"), ("2", "4.99")]
    assert query("SELECT author FROM v_catalog") == [("ann",)]
    assert 'accredit_sink_rows_total{table="clicks"}' in sink.get("/metrics")[1]
    until(lambda: committed(broker, name).get((CATALOG, 0)) == 1, sink.log)
    assert sum(at for (topic, _), at in committed(broker, name).items() if topic == DEAD_LETTERS) == 4
    assert sink.stop() == 0


def test_killed_in_the_middle_and_started_again_every_row_is_there_once(
    broker: str, sinks: Callable[..., SinkProcess], query: Query
) -> None:
    Feed(broker).records(CLICKS, clicks_of("kill", 40_000))
    ours = "startsWith(click_id, 'kill-')"

    def rows() -> int:
        return int(query(f"SELECT count() FROM clicks WHERE {ours}")[0][0])

    small = {"rows": 1_000, "seconds": 0.05}
    sink, seen = sinks(flush=small, instance_id="one"), 0
    for _ in range(3):
        until(lambda before=seen: rows() > before, sink.log)  # type: ignore[misc]
        sink.kill()
        seen = rows()
        sink.start()
    until(lambda: query(f"SELECT count() FROM v_clicks WHERE {ours}") == [(40_000,)], sink.log)
    assert query(f"SELECT uniqExact(kafka_partition, kafka_offset) FROM clicks WHERE {ours}") == [(40_000,)]
    assert sink.stop() == 0


def test_two_sinks_share_the_partitions_and_one_takes_over(
    broker: str, sinks: Callable[..., SinkProcess], query: Query
) -> None:
    one, two = sinks(), sinks()
    for sink in (one, two):
        until(lambda s=sink: s.get("/readyz")[0] == 200, sink.log)  # type: ignore[misc]
    feed = Feed(broker)
    feed.records(CLICKS, clicks_of("first", 3_000))
    two.kill()
    feed.records(CLICKS, clicks_of("second", 3_000))
    found = "SELECT countIf(startsWith(click_id, 'first-')), countIf(startsWith(click_id, 'second-')) FROM v_clicks"
    until(lambda: query(found) == [(3_000, 3_000)], one.log)
    assert one.stop() == 0


def test_while_clickhouse_is_away_it_waits_and_says_so(
    broker: str, sinks: Callable[..., SinkProcess], tmp_path: Path
) -> None:
    server = ClickHouseServer(tmp_path / "clickhouse")
    server.start()
    try:
        sink = sinks(clickhouse_url=server.url, database="accredit")
        until(lambda: sink.get("/readyz")[0] == 200, sink.log)
        server.kill()
        Feed(broker).records(CLICKS, clicks_of("away", 1_000))
        until(lambda: sink.get("/readyz")[0] == 503, sink.log)
        assert "refused" in sink.get("/readyz")[1]
        assert sink.get("/healthz")[0] == 200
        server.start()
        client = clickhouse_connect.get_client(dsn=server.url, autogenerate_session_id=False)
        counted = "SELECT count() FROM accredit.v_clicks WHERE startsWith(click_id, 'away-')"
        until(lambda: client.command(counted) == 1_000, sink.log)
        client.close()
        until(lambda: sink.get("/readyz")[0] == 200, sink.log)
        server.kill()
        Feed(broker).records(CLICKS, clicks_of("never", 10))
        until(lambda: sink.get("/readyz")[0] == 503, sink.log)
        assert sink.stop() == 0
    finally:
        server.kill()
