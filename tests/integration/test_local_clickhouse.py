"""The local ClickHouse, for real: what clients of a server do works here, and a reader cannot write."""

import gzip
import io
import json
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import clickhouse_connect
import fastavro
import lz4.frame
import psutil
import pytest
import zstandard
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError

from tests.support.clickhouse_server import Answer, ClickHouseServer, ask

pytestmark = pytest.mark.integration

DEADLINE_S = 30.0


def client_of(url: str, **options: object) -> Client:
    host, _, port = url.removeprefix("http://").partition(":")
    return clickhouse_connect.get_client(host=host, port=int(port), **options)


@pytest.fixture
def database(clickhouse: str) -> Iterator[str]:
    name = f"t{time.monotonic_ns()}"
    assert ask(clickhouse, f"CREATE DATABASE {name}").status == 200
    yield name
    ask(clickhouse, f"DROP DATABASE {name}")


@pytest.fixture
def client(clickhouse: str, database: str) -> Iterator[Client]:
    made = client_of(clickhouse, database=database)
    yield made
    made.close()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[ClickHouseServer]:
    """A server that the test may kill."""
    server = ClickHouseServer(tmp_path / "dä ta+x & y%20")
    server.start()
    yield server
    server.stop()


def avro(rows: list[dict[str, object]]) -> bytes:
    schema = {
        "type": "record",
        "name": "row",
        "fields": [{"name": "id", "type": "long"}, {"name": "name", "type": "string"}],
    }
    file = io.BytesIO()
    fastavro.writer(file, fastavro.parse_schema(schema), rows)
    return file.getvalue()


# clickhouse-connect


def test_client_inserts_and_queries(client: Client) -> None:
    client.command(
        "CREATE TABLE t (id UInt64, name String, at DateTime64(3), tags Array(String)) ENGINE = MergeTree ORDER BY id"
    )
    summary = client.insert(
        "t", [[1, "a", 1_500_000_000_000, ["x"]], [2, "b'\n\\", 0, []]], column_names=["id", "name", "at", "tags"]
    )
    assert summary.written_rows == 2

    result = client.query("SELECT id, name, tags FROM t ORDER BY id")

    assert result.result_rows == [(1, "a", ["x"]), (2, "b'\n\\", [])]
    assert result.column_names == ("id", "name", "tags")
    assert client.command("SELECT count() FROM t") == 2


def test_client_inserts_avro_raw_compressed_and_streamed(client: Client) -> None:
    client.command("CREATE TABLE t (id Int64, name String) ENGINE = MergeTree ORDER BY id")
    data = avro([{"id": number, "name": f"n{number}"} for number in range(1000)])

    assert client.raw_insert("t", None, data, fmt="Avro").written_rows == 1000
    client.raw_insert("t", None, lz4.frame.compress(data), fmt="Avro", compression="lz4")
    client.raw_insert("t", None, zstandard.compress(data), fmt="Avro", compression="zstd")
    client.raw_insert("t", None, gzip.compress(data), fmt="Avro", compression="gzip")
    client.raw_insert("t", None, (data[at : at + 97] for at in range(0, len(data), 97)), fmt="Avro")

    assert client.query("SELECT count(), uniqExact(id), sum(id) FROM t").result_rows == [(5000, 1000, 5 * 499_500)]


def test_client_parameters_and_settings(client: Client) -> None:
    parameters = {"text": "it's\n\\ a\ttest", "list": ["a", "b'"]}
    result = client.query("SELECT {text:String}, {list:Array(String)}", parameters=parameters)
    assert result.result_rows == [("it's\n\\ a\ttest", ["a", "b'"])]

    assert client.query("SELECT getSetting('max_block_size')", settings={"max_block_size": 7}).result_rows == [(7,)]
    assert client.query("SELECT getSetting('max_block_size')").result_rows != [(7,)]


def test_client_sees_errors_of_a_server(client: Client) -> None:
    for statement, code in (
        ("SELECT * FROM nothing_there", "UNKNOWN_TABLE"),
        ("SELEC 1", "SYNTAX_ERROR"),
        ("SELECT nosuch(1)", "UNKNOWN_FUNCTION"),
        ("SELECT * FROM nodb.t", "UNKNOWN_DATABASE"),
    ):
        with pytest.raises(DatabaseError, match=code):
            client.query(statement)


def test_client_streams_and_sees_a_failure_midway(client: Client) -> None:
    with client.query_rows_stream("SELECT number FROM numbers(300000)") as stream:
        assert sum(row[0] for row in stream) == 299_999 * 300_000 // 2
    with (
        pytest.raises(StreamFailureError, match="FUNCTION_THROW_IF"),
        client.query_rows_stream("SELECT throwIf(number = 9000000) FROM numbers(10000000)") as stream,
    ):
        for _ in stream:
            pass


def test_client_session_keeps_temporary_tables_and_settings(client: Client, clickhouse: str) -> None:
    client.command("CREATE TEMPORARY TABLE kept (a UInt8)")
    client.insert("kept", [[7]], column_names=["a"], database="")
    client.command("SET max_block_size = 11")

    assert client.query("SELECT a, getSetting('max_block_size') FROM kept").result_rows == [(7, 11)]
    override = client.query("SELECT getSetting('max_block_size')", settings={"max_block_size": 12})
    assert override.result_rows == [(12,)]
    assert client.query("SELECT getSetting('max_block_size')").result_rows == [(11,)]
    assert ask(clickhouse, "SELECT * FROM kept").code == 60


def test_four_clients_at_once(clickhouse: str, database: str) -> None:
    ask(clickhouse, "CREATE TABLE t (who UInt8, id UInt64) ENGINE = MergeTree ORDER BY id", database=database)

    def work(who: int) -> int:
        own = client_of(clickhouse, database=database)
        for batch in range(10):
            own.insert("t", [[who, batch * 100 + number] for number in range(100)], column_names=["who", "id"])
            own.query("SELECT sum(sipHash64(number)) FROM numbers(1000000)")
        found: int = own.query("SELECT count() FROM t WHERE who = {who:UInt8}", {"who": who}).first_row[0]
        own.close()
        return found

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [1000] * 4


def test_long_queries_do_not_keep_inserts_waiting(clickhouse: str, database: str) -> None:
    ask(clickhouse, "CREATE TABLE t (id UInt64) ENGINE = MergeTree ORDER BY id", database=database)
    with ThreadPoolExecutor(8) as pool:
        long = "SELECT sum(sipHash64(number)) FROM numbers(100000000000) SETTINGS max_threads = 1"
        queries = [pool.submit(ask, clickhouse, long, query_id=f"{database}{n}") for n in range(8)]
        assert ask(clickhouse, "INSERT INTO t VALUES (1)", database=database).status == 200
        for number in range(8):
            kill_when_running(clickhouse, f"{database}{number}")
        assert {query.result().code for query in queries} == {394}


def kill_when_running(url: str, query_id: str) -> None:
    """As an owner would, over HTTP, while all the places for queries are taken."""
    server_side = f"KILL QUERY WHERE Settings['log_comment'] = '{query_id}'"
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        if ask(url, server_side).text:
            return
    raise AssertionError(f"{query_id} never ran")


# HTTP


def test_health(clickhouse: str) -> None:
    for path in ("/", "/ping", "/replicas_status"):
        answer = ask(clickhouse + path)
        assert (answer.status, answer.text) == (200, "Ok.\n")
        assert ask(clickhouse + path, method="HEAD").status == 200
    assert ask(clickhouse + "/nothing").status == 404


def test_statement_in_every_place(clickhouse: str) -> None:
    for answer in (
        ask(clickhouse, query="SELECT 1 + 1"),
        ask(clickhouse, "SELECT 1 + 1"),
        ask(clickhouse, "+ 1", query="SELECT 1"),
        ask(clickhouse, b"", query="SELECT 1 + 1"),
        ask(clickhouse, gzip.compress(b"SELECT 1 + 1"), {"Content-Encoding": "gzip"}),
        ask(clickhouse, "SELECT {x:UInt8} + 1;\n-- done", param_x="1"),
    ):
        assert (answer.status, answer.text) == (200, "2\n")
    assert ask(clickhouse, "").code == 62


def test_headers_of_an_answer(clickhouse: str) -> None:
    answer = ask(clickhouse, "SELECT 1 AS a FORMAT JSON", query_id="mine")

    assert json.loads(answer.body)["data"] == [{"a": 1}]
    assert answer.headers["x-clickhouse-query-id"] == "mine"
    assert answer.headers["x-clickhouse-format"] == "JSON"
    assert answer.headers["x-clickhouse-timezone"] == "UTC"
    assert answer.headers["content-type"] == "application/json; charset=UTF-8"
    assert json.loads(answer.headers["x-clickhouse-summary"])["result_rows"] == "1"
    assert "x-clickhouse-server-display-name" in answer.headers


@pytest.mark.parametrize(
    ("statement", "params", "status", "code"),
    [
        ("SELECT * FROM nothing_there", {}, 404, 60),
        ("SELEC 1", {}, 400, 62),
        ("1 + 1", {}, 400, 62),
        ("SELECT 1; SELECT 2", {}, 400, 62),
        ("SELECT 1", {"nosuch": "1"}, 404, 115),
        ("SELECT 1", {"max_threads": "many"}, 400, 27),
        ("SELECT 1 FORMAT Nope", {}, 404, 73),
        ("SELECT 1", {"user": "nobody"}, 403, 516),
        ("SELECT 1", {"password": "wrong"}, 403, 516),
        ("SELECT 1", {"database": "nodb"}, 404, 81),
        ("SELECT {x:UInt8}", {}, 400, 456),
        ("INSERT INTO nothing_there FORMAT CSV\n1", {}, 404, 60),
        ("SELECT 1 INTO OUTFILE '/tmp/accredit-outfile'", {}, 500, 358),
        ("SELECT 1", {"session_id": "new", "session_check": "1"}, 500, 372),
        ("SELECT 1", {"compress": "1"}, 501, 48),
    ],
)
def test_errors_of_a_server(clickhouse: str, statement: str, params: dict[str, str], status: int, code: int) -> None:
    answer = ask(clickhouse, statement, **params)

    assert answer.code == code, answer.text
    assert answer.text.startswith(f"Code: {code}. DB::Exception: ")
    assert "(version " in answer.text
    if code != 456:  # its status is not in the server's list of bad requests either way
        assert answer.status == status


def test_get_is_read_only(clickhouse: str, database: str) -> None:
    for statement in ("CREATE TABLE x (a UInt8) ENGINE = Memory", "INSERT INTO x VALUES (1)", "DROP DATABASE default"):
        answer = ask(clickhouse, query=statement, database=database)
        assert (answer.code, answer.status) == (164, 500)
    assert ask(clickhouse, query="SELECT 1", max_threads="1").text == "1\n"
    assert ask(clickhouse, query="SELECT 1", readonly="0").code == 164


@pytest.mark.parametrize("encoding", ["lz4", "zstd", "gzip", "deflate"])
def test_compressed_answers(clickhouse: str, encoding: str) -> None:
    for rows in (10, 1_000_000):
        answer = ask(
            clickhouse,
            f"SELECT number FROM numbers({rows})",
            {"Accept-Encoding": encoding},
            enable_http_compression="1",
        )
        assert answer.headers["content-encoding"] == encoding
        plain = {
            "lz4": lz4.frame.decompress,
            "zstd": lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
            "gzip": gzip.decompress,
            "deflate": zlib.decompress,
        }[encoding](answer.body)
        assert plain.count(b"\n") == rows


@pytest.mark.parametrize(
    "fmt",
    ["TSV", "CSVWithNames", "TSVWithNamesAndTypes", "JSONEachRow", "RowBinaryWithNamesAndTypes", "JSON", "Parquet"],
)
@pytest.mark.parametrize("rows", [0, 1, 200_000])
def test_formats_are_those_of_one_piece(clickhouse: str, fmt: str, rows: int) -> None:
    statement = f"SELECT number AS n, toString(number) AS s FROM numbers({rows}) FORMAT {fmt}"

    streamed = ask(clickhouse, statement).body

    if fmt in ("TSV", "JSONEachRow"):
        assert streamed.count(b"\n") == rows
    elif fmt == "JSON":
        assert json.loads(streamed)["rows"] == rows
    elif fmt == "Parquet":
        assert streamed.startswith(b"PAR1")
        assert streamed.endswith(b"PAR1")
    elif fmt == "CSVWithNames":
        assert streamed.count(b"\n") == rows + 1
        assert streamed.count(b'"n"') == 1
    elif fmt == "TSVWithNamesAndTypes":
        assert streamed.count(b"UInt64") == 1
    else:
        assert streamed.count(b"\x06UInt64") == 1


def test_totals_and_extremes_are_not_lost(clickhouse: str) -> None:
    totals = ask(clickhouse, "SELECT number % 2 AS k, count() FROM numbers(10) GROUP BY k WITH TOTALS ORDER BY k")
    assert totals.text == "0\t5\n1\t5\n\n0\t10\n"
    assert ask(clickhouse, "SELECT 5", extremes="1").text == "5\n\n5\n5\n"


def test_wait_end_of_query_turns_a_late_error_into_a_status(clickhouse: str) -> None:
    statement = "SELECT throwIf(number = 2000000) FROM numbers(3000000)"

    assert ask(clickhouse, statement, wait_end_of_query="1").code == 395
    assert ask(clickhouse, "SELECT number FROM numbers(2000000)", wait_end_of_query="1").body.count(b"\n") == 2_000_000


def test_insert_from_select_and_values(clickhouse: str, database: str) -> None:
    ask(clickhouse, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a", database=database)

    for statement in (
        "INSERT INTO t SELECT 5",
        "INSERT INTO t WITH 6 AS x SELECT x",
        "INSERT INTO t VALUES (7), (3 + 5)",
    ):
        answer = ask(clickhouse, statement, database=database)
        assert answer.status == 200, answer.text

    assert ask(clickhouse, "SELECT a FROM t ORDER BY a", database=database).text.split() == list("5678")


def test_broken_body_inserts_nothing(clickhouse: str, database: str) -> None:
    ask(clickhouse, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a", database=database)
    packed = gzip.compress(b"1\n" * 100_000)

    insert = "INSERT INTO t FORMAT CSV"
    cut = ask(clickhouse, packed[:-20], {"Content-Encoding": "gzip"}, query=insert, database=database)
    wrong = ask(clickhouse, "INSERT INTO t FORMAT CSV\n1\nx\n", database=database)

    assert cut.status >= 400
    assert wrong.code in (27, 117)
    assert ask(clickhouse, "SELECT count() FROM t", database=database).text == "0\n"


def test_sessions_over_http(clickhouse: str) -> None:
    assert ask(clickhouse, "SET max_block_size = 9", session_id="s1").status == 200
    assert ask(clickhouse, "SELECT getSetting('max_block_size')", session_id="s1").text == "9\n"
    assert ask(clickhouse, "SELECT getSetting('max_block_size')", session_id="s2").text != "9\n"
    assert ask(clickhouse, "SELECT 1", session_id="s1", close_session="1").status == 200
    assert ask(clickhouse, "SELECT 1", session_id="s1", session_check="1").code == 372


# the reader


def as_reader(url: str, statement: str, **params: str) -> Answer:
    return ask(url, statement, {"X-ClickHouse-User": "reader"}, **params)


@pytest.fixture
def treasure(clickhouse: str, database: str) -> str:
    ask(clickhouse, "CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a", database=database)
    ask(clickhouse, "INSERT INTO t VALUES (42)", database=database)
    return database


def test_reader_reads(clickhouse: str, treasure: str) -> None:
    for statement, text in (
        ("SELECT a FROM t", "42\n"),
        ("SHOW TABLES", "t\n"),
        ("EXISTS t", "1\n"),
        ("SELECT a FROM t SETTINGS max_threads = 1", "42\n"),
        ("WITH 1 AS x SELECT x", "1\n"),
        ("DESCRIBE t", "a\tUInt64\t\t\t\t\t\n"),
    ):
        answer = as_reader(clickhouse, statement, database=treasure, max_threads="1")
        assert (answer.status, answer.text) == (200, text)
    client = client_of(clickhouse, username="reader", password="", database=treasure)
    assert client.query("SELECT a FROM t", settings={"max_threads": 1}).result_rows == [(42,)]
    client.close()


ATTACKS = [
    "INSERT INTO t VALUES (1)",
    "INSERT INTO t SELECT 1",
    "INSERT INTO t SETTINGS readonly = 0 VALUES (1)",
    "INSERT INTO FUNCTION file('{folder}/stolen', CSV, 'a UInt8') VALUES (1)",
    "WITH 1 AS x INSERT INTO t SELECT x",
    "CREATE TABLE u (a UInt8) ENGINE = Memory",
    "CREATE TEMPORARY TABLE u (a UInt8)",
    "CREATE DATABASE u",
    "CREATE VIEW v AS SELECT 1",
    "CREATE FUNCTION f AS x -> x",
    "CREATE USER u",
    "GRANT ALL ON *.* TO default",
    "ALTER TABLE t DELETE WHERE 1",
    "ALTER TABLE t ADD COLUMN b UInt8",
    "DELETE FROM t WHERE 1",
    "UPDATE t SET a = 1 WHERE 1",
    "TRUNCATE TABLE t",
    "DROP TABLE t",
    "RENAME TABLE t TO u",
    "EXCHANGE TABLES t AND t",
    "DETACH TABLE t",
    "ATTACH TABLE u (a UInt8) ENGINE = Memory",
    "OPTIMIZE TABLE t FINAL",
    "SYSTEM SHUTDOWN",
    "SYSTEM STOP MERGES",
    "KILL QUERY WHERE 1",
    "BACKUP TABLE t TO File('{folder}/stolen')",
    "EXPLAIN SELECT 1; DROP TABLE t",
    "SET readonly = 0",
    "SET ROLE ALL",
    "SET ROLE accredit_owner",
    "SET/**/ROLE accredit_owner",
    "SET DEFAULT ROLE accredit_owner TO default",
    "SELECT 1 SETTINGS readonly = 0",
    "SELECT a FROM t; DROP TABLE t",
    "SELECT a FROM t;;DROP TABLE t",
    "SET ROLE accredit_owner; DROP TABLE t",
    "SELECT $a$ ' $a$; DROP TABLE t -- '",
    "SELECT \u2018'\u2019; DROP TABLE t",
    "SELECT 1 # '\n; DROP TABLE t -- '",
    "/* SELECT */ DROP TABLE t",
    "(SELECT 1) INTO OUTFILE '{folder}/stolen'",
    "SELECT 1 INTO OUTFILE '{folder}/stolen' TRUNCATE FORMAT CSV",
    "SELECT 1 INTO/* */OUTFILE '{folder}/stolen'",
    "SHOW TABLES INTO OUTFILE '{folder}/stolen'",
    "SELECT * FROM file('/etc/hostname', LineAsString)",
    "SELECT * FROM `file`('/etc/hostname', LineAsString)",
    "SELECT file('/etc/hostname')",
    "SELECT `file`('/etc/hostname')",
    "SELECT * APPLY file FROM (SELECT '/etc/hostname')",
    "SELECT * APPLY(file) FROM (SELECT '/etc/hostname')",
    "SELECT arrayMap(file, ['/etc/hostname'])",
    "SELECT * FROM url('http://127.0.0.1:1/', LineAsString)",
    "SELECT * FROM s3('http://127.0.0.1:1/b/k', CSV)",
    "SELECT * FROM remote('127.0.0.1', system.one)",
    "SELECT * FROM sqlite('{folder}/x', t)",
    "SELECT * FROM executable('cat /etc/hostname', LineAsString, 'a String')",
    "SELECT * FROM Python(sys)",
    "SELECT * FROM '/etc/hostname'",
    "SELECT * FROM `/etc/hostname`",
    "EXECUTE AS default DROP TABLE t",
    "SELECT 1 PARALLEL WITH DROP TABLE t",
    "BEGIN TRANSACTION",
    "USE nodb",
]


@pytest.mark.parametrize("attack", ATTACKS)
def test_reader_cannot_write_or_reach_the_machine(clickhouse: str, treasure: str, attack: str, tmp_path: Path) -> None:
    statement = attack.replace("{folder}", str(tmp_path))

    for answer in (
        as_reader(clickhouse, statement, database=treasure),
        as_reader(clickhouse, "", query=statement, database=treasure),
        as_reader(clickhouse, statement, database=treasure, session_id=f"attack{hash(attack)}"),
    ):
        assert answer.code != 0, answer.text

    assert ask(clickhouse, "SELECT a FROM t", database=treasure).text == "42\n"
    assert ask(clickhouse, "SHOW TABLES", database=treasure).text == "t\n"
    assert not (tmp_path / "stolen").exists()


@pytest.mark.parametrize(
    "params",
    [
        {"readonly": "0"},
        {"readonly": "1"},
        {"dialect": "prql"},
        {"role": "accredit_owner"},
        {"implicit_select": "1"},
        {"max_threads = 1, readonly": "0"},
        {"param_x'=1, readonly": "0"},
        {"user": "default"},
    ],
)
def test_reader_cannot_write_by_parameters(clickhouse: str, treasure: str, params: dict[str, str]) -> None:
    answer = as_reader(clickhouse, "INSERT INTO t VALUES (1)", database=treasure, **params)

    assert answer.code != 0
    assert ask(clickhouse, "SELECT count() FROM t", database=treasure).text == "1\n"


def test_a_role_does_not_stay_in_a_readers_session(clickhouse: str, treasure: str) -> None:
    as_reader(clickhouse, "SET max_block_size = 5", session_id="r")
    as_reader(clickhouse, "SET ROLE accredit_owner", session_id="r")

    assert as_reader(clickhouse, "SELECT currentRoles()", session_id="r").text == "['accredit_reading']\n"
    assert as_reader(clickhouse, "DROP TABLE t", session_id="r", database=treasure).code == 164


def test_web_pages_cannot_use_a_user_without_password(clickhouse: str) -> None:
    assert ask(clickhouse, "SELECT 1", {"Origin": "https://shop.example"}).code == 516
    assert ask(clickhouse, headers={"Host": "rebound.example"}, query="SELECT 1").code == 516


# the process


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
