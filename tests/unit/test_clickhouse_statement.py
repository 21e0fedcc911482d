"""What the local ClickHouse reads out of a statement: its kind, its format, where an INSERT's data begins."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from deploy.local.clickhouse.body import HEAD_BYTES, statement_and_data
from deploy.local.clickhouse.errors import ServerError
from deploy.local.clickhouse.statement import Kind, read_statement


@pytest.mark.parametrize(
    ("text", "kind", "fmt"),
    [
        (b"SELECT 1", Kind.SELECT, None),
        (b"select 1 format JSON", Kind.SELECT, "JSON"),
        (b"SELECT 1 FORMAT CSV SETTINGS max_threads = 1;", Kind.SELECT, "CSV"),
        (b"SELECT 'FORMAT JSON'", Kind.SELECT, None),
        (b"SELECT 1 -- FORMAT JSON", Kind.SELECT, None),
        (b"SELECT a FROM (SELECT 1 AS a) /* ; */ FORMAT\nNative", Kind.SELECT, "Native"),
        (b"SELECT format FROM t", Kind.SELECT, None),
        (b"SELECT * FROM format(CSV, '1')", Kind.SELECT, None),
        (b"WITH 1 AS x SELECT x", Kind.SELECT, None),
        (b"(SELECT 1)", Kind.SELECT, None),
        (b"/* hello */ -- there\n SELECT 1", Kind.SELECT, None),
        (b"SHOW TABLES FORMAT TSV", Kind.OTHER, "TSV"),
        (b"CREATE TABLE t (a Int8) ENGINE = Memory", Kind.OTHER, None),
        (b"CREATE TEMPORARY TABLE t (a Int8)", Kind.SESSION, None),
        (b"SET max_threads = 1", Kind.SESSION, None),
        (b"USE system", Kind.SESSION, None),
        (b"", Kind.EMPTY, None),
        (b"  -- nothing\n ; ", Kind.EMPTY, None),
        (b"SELECT $$a;b$$, $x$ ; $x$", Kind.SELECT, None),
        (b"SELECT 'it''s; \\' ;', `a;b`, \"c;d\"", Kind.SELECT, None),
    ],
)
def test_kind_and_format(text: bytes, kind: Kind, fmt: str | None) -> None:
    statement = read_statement(text)

    assert (statement.kind, statement.format) == (kind, fmt)


@pytest.mark.parametrize(
    ("text", "statement", "fmt", "data"),
    [
        (b"INSERT INTO t FORMAT CSV\n1,2\n", b"INSERT INTO t", "CSV", b"1,2\n"),
        (b"INSERT INTO t (a, b) FORMAT CSV\r\n1,2", b"INSERT INTO t (a, b)", "CSV", b"1,2"),
        (b"insert into t format Native \n\n\x00'\"`", b"insert into t", "Native", b"\n\x00'\"`"),
        (b"INSERT INTO t VALUES (1), (2)", b"INSERT INTO t", "Values", b" (1), (2)"),
        (b"INSERT INTO t (`values`, format) VALUES (1)", b"INSERT INTO t (`values`, format)", "Values", b" (1)"),
        (b"INSERT INTO db.format FORMAT TSV\n1", b"INSERT INTO db.format", "TSV", b"1"),
        (b"INSERT INTO format VALUES (1)", b"INSERT INTO format", "Values", b" (1)"),
        (b"INSERT INTO t SETTINGS a = 1 FORMAT Avro\nObj\x01", b"INSERT INTO t SETTINGS a = 1", "Avro", b"Obj\x01"),
        (b"INSERT INTO t /* FORMAT CSV */ FORMAT TSV\n1", b"INSERT INTO t /* FORMAT CSV */", "TSV", b"1"),
        (b"INSERT INTO t", b"INSERT INTO t", "Values", b""),
        (b"INSERT INTO FUNCTION null('a Int8') FORMAT CSV\n1", b"INSERT INTO FUNCTION null('a Int8')", "CSV", b"1"),
    ],
)
def test_insert_with_data(text: bytes, statement: bytes, fmt: str, data: bytes) -> None:
    read = read_statement(text)

    assert read.kind is Kind.INSERT_DATA
    assert (read.text, read.format, text[read.data_at :]) == (statement, fmt, data)


@pytest.mark.parametrize(
    "text",
    [
        b"INSERT INTO t SELECT 1",
        b"INSERT INTO t (a) SELECT 1 FORMAT Null",
        b"INSERT INTO t (SELECT 1)",
        b"INSERT INTO t WITH 1 AS x SELECT x",
    ],
)
def test_insert_from_select_has_no_data(text: bytes) -> None:
    assert read_statement(text).kind is Kind.OTHER


def test_insert_from_input_is_refused() -> None:
    with pytest.raises(ServerError, match="input"):
        read_statement(b"INSERT INTO t SELECT a + 1 FROM input('a Int8') FORMAT CSV\n1\n2\n")


@pytest.mark.parametrize(
    "text", [b"SELECT 1; SELECT 2", b"SELECT 1; DROP TABLE t;", b"SET a = 1; SELECT 1", b"DROP TABLE a; DROP TABLE b"]
)
def test_several_statements_are_refused(text: bytes) -> None:
    with pytest.raises(ServerError, match="Multi-statements") as caught:
        read_statement(text)

    assert (caught.value.code, caught.value.status) == (62, 400)


@pytest.mark.parametrize(
    "text",
    [b"SELECT 1 INTO OUTFILE '/tmp/x'", b"SELECT 1 into/**/outfile 'x' FORMAT CSV", b"SHOW TABLES INTO OUTFILE 'x'"],
)
def test_outfile_is_refused(text: bytes) -> None:
    with pytest.raises(ServerError, match="OUTFILE") as caught:
        read_statement(text)

    assert caught.value.code == 358


def test_infile_is_refused() -> None:
    with pytest.raises(ServerError, match="INFILE"):
        read_statement(b"INSERT INTO t FROM INFILE '/etc/passwd' FORMAT CSV")


def test_calls_are_found_however_they_are_written() -> None:
    for text in (b"SELECT file('x')", b"SELECT `file` ('x')", b"SELECT * APPLY file", b"SELECT * APPLY(FILE)"):
        assert "FILE" in read_statement(text).calls
    assert "FILE" not in read_statement(b"SELECT file, 'file(' FROM t").calls


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def read(query: str, *parts: bytes) -> tuple[bytes, str | None, bytes]:
    async def run() -> tuple[bytes, str | None, bytes]:
        statement, data = await statement_and_data(query, pieces(*parts))
        return statement.text, statement.format, b"".join([piece async for piece in data])

    return asyncio.run(run())


def test_statement_in_the_url_data_in_the_body() -> None:
    assert read("INSERT INTO t FORMAT CSV", b"1\n", b"2\n") == (b"INSERT INTO t", "CSV", b"1\n2\n")


def test_statement_begun_in_the_url_continues_in_the_body() -> None:
    assert read("SELECT 1", b"+ 1") == (b"SELECT 1\n+ 1", None, b"")


def test_statement_alone_in_either_place() -> None:
    assert read("SELECT 1") == (b"SELECT 1", None, b"")
    assert read("", b"SEL", b"ECT 1") == (b"SELECT 1", None, b"")


def test_statement_and_data_cut_anywhere() -> None:
    head, data = b"INSERT INTO t FORMAT RowBinary\n", bytes(range(256)) * (HEAD_BYTES // 64)
    for cut in (1, 5, len(head) - 3, len(head) - 1, len(head), len(head) + 1, HEAD_BYTES):
        whole = head + data
        assert read("", whole[:cut], whole[cut:]) == (b"INSERT INTO t", "RowBinary", data)


def test_long_statement_is_read_to_its_end() -> None:
    values = b", ".join(b"'a;b'" for _ in range(HEAD_BYTES))
    text = b"INSERT INTO t SELECT arrayJoin([" + values + b"])"

    assert read("", text[:100_000], text[100_000:]) == (text, None, b"")
