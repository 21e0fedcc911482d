"""The local ClickHouse, for real: what clients of a server do works here, and a reader cannot write."""

import gzip
import json
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import lz4.frame
import pytest
import zstandard
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError

from tests.support.clickhouse_server import ask, avro, client_of

pytestmark = pytest.mark.integration

DEADLINE_S = 30.0


@pytest.fixture
def client(clickhouse: str, database: str) -> Iterator[Client]:
    made = client_of(clickhouse, database=database)
    yield made
    made.close()


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
