"""The read-only user of the local ClickHouse: it reads everything, and writes or reaches nothing by any trick."""

from pathlib import Path

import pytest

from tests.support.clickhouse_server import Answer, ask, client_of

pytestmark = pytest.mark.integration


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
