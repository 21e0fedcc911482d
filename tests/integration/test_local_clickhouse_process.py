"""The local ClickHouse as a process: bounded memory, kill -9, an orderly end, one per folder."""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.support.clickhouse_server import ClickHouseServer, ask, client_of

pytestmark = pytest.mark.integration

DEADLINE_S = 30.0


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ClickHouseServer]:
    """A server that the test may kill."""
    server = ClickHouseServer(tmp_path / "dä ta+x & y%20")
    server.start()
    yield server
    server.stop()


def test_large_answers_and_large_inserts_in_bounded_memory(own_server: ClickHouseServer) -> None:
    assert own_server.process is not None
    process = psutil.Process(own_server.process.pid)
    client = client_of(own_server.url)
    client.query("SELECT sum(number) FROM numbers(1000000)")
    before = process.memory_info().rss
    peak, done = [before], threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            peak.append(process.memory_info().rss)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        total = 0
        with client.raw_stream("SELECT number FROM numbers(50000000)", fmt="TSV") as stream:
            while data := stream.read(1 << 20):
                total += len(data)
        assert total == 438_888_890
        client.command("CREATE TABLE t (a UInt64, b String) ENGINE = Null")
        client.raw_insert("t", None, (b"1234567,abcdefgh\n" * 60_000 for _ in range(200)), fmt="CSV")
    finally:
        done.set()
        watcher.join()
    client.close()
    assert max(peak) - before < 300 << 20


def test_memory_limit_of_a_query(own_server: ClickHouseServer) -> None:
    answer = ask(own_server.url, "SELECT groupArray(number) FROM numbers(1000000000)", max_memory_usage="100000000")

    assert answer.code == 241
    assert ask(own_server.url, "SELECT 1").text == "1\n"


def test_acknowledged_inserts_survive_kill_and_stop(own_server: ClickHouseServer) -> None:
    url = own_server.url
    ask(url, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
    for number in range(20):
        assert ask(url, f"INSERT INTO t SELECT number FROM numbers({number * 10}, 10)").status == 200
    own_server.kill()
    own_server.start()
    assert ask(url, "SELECT count(), sum(a) FROM t").text == f"200\t{199 * 100}\n"

    assert ask(url, "INSERT INTO t VALUES (1000)").status == 200
    assert own_server.stop() == 0
    own_server.start()
    assert ask(url, "SELECT count() FROM t").text == "201\n"


def test_stop_lets_running_queries_finish(own_server: ClickHouseServer) -> None:
    with ThreadPoolExecutor(1) as pool:
        statement = "SELECT count() FROM numbers(30) WHERE sleepEachRow(0.05) = 0"
        running = pool.submit(ask, own_server.url, statement, max_block_size="1")
        deadline = time.monotonic() + DEADLINE_S
        while (
            "sleepEachRow"
            not in ask(own_server.url, "SELECT query FROM system.processes WHERE query NOT LIKE '%processes%'").text
        ):
            assert time.monotonic() < deadline
        assert own_server.stop() == 0
        assert running.result().text == "30\n"


def test_query_stops_when_its_client_goes_away(own_server: ClickHouseServer) -> None:
    client = client_of(own_server.url, send_receive_timeout=1, query_retries=0)
    with pytest.raises(Exception, match=r"(?i)timed out|timeout"):
        client.command("SELECT sum(sipHash64(number)) FROM numbers(100000000000) SETTINGS max_threads = 1")
    client.close()
    left = "SELECT count() FROM system.processes WHERE query LIKE '%sipHash64%' AND query NOT LIKE '%processes%'"
    deadline = time.monotonic() + DEADLINE_S
    while ask(own_server.url, left).text != "0\n":
        assert time.monotonic() < deadline


def test_second_process_on_a_folder_is_refused(own_server: ClickHouseServer) -> None:
    second = ClickHouseServer(own_server.data_dir)

    with pytest.raises(AssertionError, match="in use by another process"):
        second.start()
    assert ask(own_server.url, "SELECT 1").text == "1\n"
