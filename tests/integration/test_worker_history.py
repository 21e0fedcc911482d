"""A conversion that is older than what the store holds is decided with ClickHouse's history of its session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import pytest
from confluent_kafka import TopicPartition

from bench.workload import catalog_text
from deploy.local.kafka import Kafka
from schemas.records import Click, Conversion
from schemas.times import DAY, parse_time
from schemas.topics import CLICKS
from tests.support.clickhouse_server import ClickHouseServer
from tests.support.sink_process import SinkProcess
from tests.support.worker_process import PATIENCE_S, Log, WorkerProcess, until

pytestmark = pytest.mark.integration

SESSION = "018f3c1e-0000-7000-8000-000000000001"
SOLD_AT = parse_time("2025-11-06T14:00:00Z")


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    broker = Kafka(tmp_path / "kafka")
    broker.start()
    found = Log(broker.bootstrap, 1)
    found.create()
    found.apply(catalog_text())
    yield found
    broker.stop()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ClickHouseServer]:
    found = ClickHouseServer(tmp_path / "clickhouse")
    found.start()
    yield found
    found.stop()


def click(name: str, partner: str, days_before: int) -> Click:
    at = SOLD_AT - days_before * DAY
    return Click(name, at, at + 2, "click", partner, "o1", None, "DE", SESSION)


def sale(order: str) -> Conversion:
    at, nothing = SOLD_AT, None
    return Conversion(
        order, at, at + 2, "shop", "sale", order, *[nothing] * 3, "100", *[nothing] * 4, session_id=SESSION
    )


def winner(log: Log, order: str) -> str | None:
    credit = log.credits().get((order, SESSION, "100"))
    return credit.partner_id if credit is not None else None


def test_store_and_clickhouse_together_decide_what_is_older_than_the_store(
    log: Log, server: ClickHouseServer, tmp_path: Path
) -> None:
    sink = SinkProcess(tmp_path, flush={"seconds": 0.1}, kafka=log.kafka, clickhouse_url=server.url, group_id="sink")
    worker = WorkerProcess(log.kafka, tmp_path, "w", clickhouse_url=server.url)
    client = None
    try:
        sink.start()
        until(lambda: sink.get("/readyz")[0] == 200, "the sink to be ready")
        client = clickhouse_connect.get_client(dsn=server.url, autogenerate_session_id=False)
        # p0 is preferred, p1 default: the oldest click wins, and only ClickHouse has it when the worker is born.
        log.send([click("c-old", "p0", 20), click("c-middle", "p1", 10)])
        until(lambda: client.command("SELECT count() FROM accredit.clicks") == 2, "both clicks in ClickHouse")
        for future in log.admin.delete_records([TopicPartition(CLICKS, 0, 2)]).values():
            future.result(30)
        # The same click again, in the store too, is one touch; a younger one is in the store alone at first.
        log.send([click("c-middle", "p1", 10), click("c-young", "p1", 1), sale("A-1")])
        worker.start()
        until(lambda: winner(log, "A-1") == "p0", "the credit of the click that only ClickHouse has")
        until(log.caught_up, "all offsets to be committed")
        assert worker.metric("accredit_worker_sessions_from_history_total") >= 1
        assert not log.differing()
        assert worker.stop() == 0

        # Touches that live a second: whatever the store still has of them, the decision is the same.
        worker.settings["touch_ttl_s"] = 1
        log.send([sale("A-2"), click("c-late", "p0", 2)])
        worker.start()
        until(lambda: winner(log, "A-2") == "p0", "the credit after the touches' time to live")
        until(log.caught_up, "all offsets to be committed again")
        assert worker.metric("accredit_worker_sessions_from_history_total") >= 1
        assert not log.differing()
        assert worker.stop() == 0
    finally:
        worker.kill()
        sink.kill()
        if client is not None:
            client.close()


def test_without_an_answer_from_clickhouse_it_stops_and_says_where_it_asked(
    log: Log, server: ClickHouseServer, tmp_path: Path
) -> None:
    server.kill()
    worker = WorkerProcess(log.kafka, tmp_path, "w", clickhouse_url=server.url, delivery_timeout_s=2)
    log.send([click("c-old", "p0", 20)])
    for future in log.admin.delete_records([TopicPartition(CLICKS, 0, 1)]).values():
        future.result(30)
    log.send([sale("A-1")])
    worker.start()
    try:
        assert worker.process is not None
        assert worker.process.wait(PATIENCE_S) == 1
        assert "STOPPED HistoryGone" in worker.log.read_text()
        assert server.url in worker.log.read_text()
    finally:
        worker.kill()
        server.start()
