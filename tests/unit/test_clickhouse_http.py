"""The parts of the local ClickHouse that need neither engine nor socket: requests, users, formats, bodies, errors."""

import base64
import gzip
import json
from pathlib import Path

import lz4.frame
import pytest
import zstandard

from deploy.local.clickhouse import compression
from deploy.local.clickhouse.errors import ServerError, StartError, engine_error
from deploy.local.clickhouse.formats import content_type, header_cutter
from deploy.local.clickhouse.request import SessionAsk, read_request
from deploy.local.clickhouse.users import Access, Users

NONE: frozenset[str] = frozenset()


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def test_url_parameters_are_sorted_out() -> None:
    request = read_request(
        "POST",
        [("query", "SELECT 1"), ("param_x", "5"), ("max_threads", "1"), ("database", "d"), ("session_id", "s")],
        {},
    )

    assert (request.query, request.params, request.settings) == ("SELECT 1", {"x": "5"}, {"max_threads": "1"})
    assert (request.database, request.session) == ("d", SessionAsk("s", 60, False, False))


@pytest.mark.parametrize(
    ("params", "headers"),
    [
        ([("user", "u"), ("password", "p:w")], {}),
        ([], {"X-ClickHouse-User": "u", "X-ClickHouse-Key": "p:w"}),
        ([], basic("u", "p:w")),
    ],
)
def test_credentials_in_three_places(params: list[tuple[str, str]], headers: dict[str, str]) -> None:
    request = read_request("POST", params, headers)

    assert (request.user, request.password) == ("u", "p:w")


def test_credentials_in_two_places_are_refused() -> None:
    with pytest.raises(ServerError, match="simultaneously"):
        read_request("POST", [("user", "u")], basic("u", "p"))


@pytest.mark.parametrize("name", ["compress", "decompress"])
def test_native_block_compression_is_refused_clearly(name: str) -> None:
    with pytest.raises(ServerError, match="Content-Encoding") as caught:
        read_request("POST", [(name, "1")], {})

    assert caught.value.status == 501


def test_first_users_file_is_private_and_loads(tmp_path: Path) -> None:
    path = tmp_path / "clickhouse" / "users.json"

    users = Users.load(path)

    assert path.stat().st_mode & 0o777 == 0o600
    assert users.authenticate("default", "").access is Access.FULL
    assert users.authenticate("reader", "").access is Access.READ


def test_passwords_are_checked(tmp_path: Path) -> None:
    path = tmp_path / "users.json"
    path.write_text(json.dumps({"a": {"password": "p", "access": "read"}}))
    users = Users.load(path)

    assert users.authenticate("a", "p").name == "a"
    for name, password in (("a", ""), ("a", "P"), ("b", ""), ("b", "no such user"), ("", "")):
        with pytest.raises(ServerError) as caught:
            users.authenticate(name, password)
        assert (caught.value.code, caught.value.status) == (516, 403)


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"a": {}}', '{"a": {"access": "read", "password": 1}}'])
def test_bad_users_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "users.json"
    path.write_text(content)

    with pytest.raises(StartError, match=r"users\.json"):
        Users.load(path)


def test_open_users_only_on_loopback_and_not_from_web_pages(tmp_path: Path) -> None:
    users = Users.load(tmp_path / "users.json")
    default = users.authenticate("default", "")

    users.check_host("127.0.0.1")
    users.check_host("::1")
    with pytest.raises(StartError, match="password"):
        users.check_host("0.0.0.0")
    for host in ("127.0.0.1:8123", "localhost:8123", "localhost", "[::1]:8123", ""):
        users.check_browser(default, "", host)
    for origin, host in (("http://shop.example", "127.0.0.1:8123"), ("null", "localhost"), ("", "evil.example:8123")):
        with pytest.raises(ServerError, match="web page"):
            users.check_browser(default, origin, host)


@pytest.mark.parametrize(
    ("fmt", "block", "cut"),
    [
        ("Native", b"abc", 0),
        ("TSV", b"a\nb\n", 0),
        ("CSVWithNames", b'"a"\n1\n', 4),
        ("CSVWithNames", b'"a\nb"\n1\n', 6),
        ("TabSeparatedWithNamesAndTypes", b"a\nUInt8\n1\n", 8),
        ("RowBinaryWithNamesAndTypes", b"\x01\x01a\x05UInt8\x01\x02", 9),
        ("RowBinaryWithNames", b"\x02\x01a\x01b\x01\x02", 5),
    ],
)
def test_repeated_headers_are_cut(fmt: str, block: bytes, cut: int) -> None:
    cutter = header_cutter(fmt, NONE)

    assert cutter is not None
    assert cutter(block) == cut


def test_formats_that_are_made_whole() -> None:
    for fmt in ("JSON", "Parquet", "Arrow", "Avro", "PrettyCompact", "Values", "XML"):
        assert header_cutter(fmt, NONE) is None
    assert header_cutter("TSV", frozenset({"TOTALS"})) is None


def test_content_types() -> None:
    assert content_type("TabSeparated") == "text/tab-separated-values; charset=UTF-8"
    assert content_type("JSON") == "application/json; charset=UTF-8"
    assert content_type("Native") == "application/octet-stream"


@pytest.mark.parametrize("encoding", ["lz4", "zstd", "gzip", "deflate"])
def test_compression_both_ways_in_any_pieces(encoding: str) -> None:
    plain = b"accredit " * 10_000
    encode = compression.encoder(encoding)
    packed = encode.feed(plain[:50_000]) + encode.feed(plain[50_000:]) + encode.finish()
    for size in (1, 7, len(packed)):
        decode = compression.decoder(encoding)
        got = b"".join(decode.feed(packed[at : at + size]) for at in range(0, len(packed), size))
        decode.finish()
        assert got == plain


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b"x" * 100)),
        ("lz4", lz4.frame.compress(b"x" * 100)),
        ("zstd", zstandard.compress(b"x" * 100)),
    ],
)
def test_compressed_bodies_joined_cut_and_broken(encoding: str, packed: bytes) -> None:
    decode = compression.decoder(encoding)
    assert decode.feed(packed + packed) == b"x" * 200
    decode.finish()

    cut = compression.decoder(encoding)
    cut.feed(packed[:-3])
    with pytest.raises(ServerError):
        cut.finish()

    with pytest.raises(ServerError):
        compression.decoder(encoding).feed(b"this is not compressed at all")


def test_unknown_encoding() -> None:
    with pytest.raises(ServerError, match="snappy"):
        compression.decoder("snappy")
    assert compression.chosen_encoding("br, gzip;q=0.5, zstd") == "zstd"
    assert compression.chosen_encoding("br, lz4;q=0") == ""


@pytest.mark.parametrize(
    ("said", "code", "name", "message"),
    [
        ("Code: 60. DB::Exception: No t. (UNKNOWN_TABLE)", 60, "UNKNOWN_TABLE", "No t"),
        (
            "Streaming query failed: Code: 62. DB::Exception: Bad (x). (SYNTAX_ERROR) (version 1.2)",
            62,
            "SYNTAX_ERROR",
            "Bad (x)",
        ),
        ("Code: 164. DB::Exception: default: No. (READONLY)", 164, "READONLY", "reader: No"),
        ("what?", 1002, "UNKNOWN_EXCEPTION", "what?"),
    ],
)
def test_engine_errors_are_taken_apart(said: str, code: int, name: str, message: str) -> None:
    error = engine_error(RuntimeError(said), "reader")

    assert (error.code, error.name, error.message) == (code, name, message)
    assert error.text("26.9") == f"Code: {code}. DB::Exception: {message}. ({name}) (version 26.9)\n"
