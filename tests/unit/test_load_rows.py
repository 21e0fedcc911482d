"""Files as they come: NDJSON, CSV and Parquet, plain and compressed, whole and broken."""

from __future__ import annotations

import gzip
import io
import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, BinaryIO, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from ingest.errors import AlreadyLoading, FileUnreadable
from ingest.loading.mapping import ColumnMapping
from ingest.loading.progress import Progress, ProgressFile, identity_of
from ingest.loading.rows import LINE_LIMIT, ParquetFile, csv_rows, ndjson_rows, read_lines
from ingest.loading.source import form_of, opened
from ingest.loading.streams import ZstdStream

PLAIN = ColumnMapping()
TEXT = b"".join(b'{"n":%d}\n' % n for n in range(5_000))


def numbers(path: Path, after: int = 0, mapping: ColumnMapping = PLAIN) -> list[tuple[int, Any]]:
    with opened(path, None, mapping) as source:
        return [(row.number, row.fields) for row in source.rows(after)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("e.ndjson", TEXT),
        ("e.ndjson.gz", gzip.compress(TEXT)),
        ("e.gz", gzip.compress(TEXT[:999]) + gzip.compress(TEXT[999:])),
        ("e.zst", zstandard.compress(TEXT)),
        ("misnamed.ndjson", zstandard.compress(TEXT[:999]) + zstandard.compress(TEXT[999:])),
    ],
)
def test_compressed_or_not_the_rows_are_the_same(name: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert numbers(path) == [(n + 1, {"n": n}) for n in range(5_000)]
    assert numbers(path, after=4_990) == [(n + 1, {"n": n}) for n in range(4_990, 5_000)]


@pytest.mark.parametrize("packed", [gzip.compress(TEXT), zstandard.ZstdCompressor(write_checksum=True).compress(TEXT)])
def test_a_file_that_is_cut_off_is_not_taken_for_whole(packed: bytes, tmp_path: Path) -> None:
    path = tmp_path / "cut"
    path.write_bytes(packed[:-9])
    with pytest.raises(FileUnreadable, match="cut off"):
        numbers(path)
    path.write_bytes(packed[:200] + b"\0\0\0" + packed[203:])
    with pytest.raises(FileUnreadable, match="damaged"):
        numbers(path)


def test_zstd_in_small_reads() -> None:
    stream = ZstdStream(cast(BinaryIO, io.BytesIO(zstandard.compress(TEXT) * 2)))
    assert io.BufferedReader(stream, 7).read() == TEXT * 2


def test_forms_by_name() -> None:
    names = ["a.csv", "a.CSV.gz", "a.tsv", "a.parquet", "a.pq", "a.ndjson", "a.json.zst", "a", "-"]
    assert [form_of(Path(name)) for name in names] == ["csv"] * 3 + ["parquet"] * 2 + ["ndjson"] * 4


CSV = b'\xef\xbb\xbfid, name \r\n1,"a ""quoted""\r\nname"\r\n\r\n2\r\n3,x,y\r\n4,\xff\r\n5,last'


def test_csv_rows_have_the_lines_they_came_from() -> None:
    rows = list(csv_rows(iter(CSV.splitlines(keepends=True))))
    assert [(row.number, row.problem and row.problem.reason) for row in rows] == [
        (3, None),
        (5, "INVALID_CSV"),
        (6, "INVALID_CSV"),
        (7, "INVALID_TEXT"),
        (8, None),
    ]
    assert rows[0].fields == {"id": "1", "name": 'a "quoted"\r\nname'}
    assert rows[0].original == b'1,"a ""quoted""\r\nname"'
    assert [row.original for row in rows[1:]] == [b"2", b"3,x,y", b"4,\xff", b"5,last"]
    left = list(csv_rows(iter(CSV.splitlines(keepends=True)), after=6))
    assert [row[:3] for row in left] == [row[:3] for row in rows[3:]]


def test_csv_in_another_dress() -> None:
    rows = csv_rows(iter(["größe;b\n".encode("latin-1"), "ü;2\n".encode("latin-1")]), delimiter=";", encoding="latin-1")
    assert [row.fields for row in rows] == [{"größe": "ü", "b": "2"}]


@pytest.mark.parametrize("head", [b"", b"a,b,a\n", b"\xff\n"])
def test_a_header_that_cannot_be_used_stops_it(head: bytes) -> None:
    with pytest.raises(FileUnreadable):
        list(csv_rows(iter(head.splitlines(keepends=True))))


def test_a_quote_that_is_never_closed_takes_bounded_memory() -> None:
    lines = [b"a,b\n", b'1,"oops\n', *[b"x" * 999 + b"\n"] * 1_000, b"2,fine\n"]
    rows = list(csv_rows(iter(lines)))
    assert rows[0].problem is not None
    assert max(len(row.original) for row in rows) < 300_000
    assert rows[-1].fields == {"a": "2", "b": "fine"}


def test_lines_without_end() -> None:
    endless = io.BytesIO(b"a,b\n" + b"x" * (3 * LINE_LIMIT) + b"\n1,2\n")
    (bad, good) = csv_rows(read_lines(endless))
    assert bad.problem is not None
    assert (bad.problem.reason, good.fields) == ("EVENT_TOO_LARGE", {"a": "1", "b": "2"})
    assert [row.problem is None for row in ndjson_rows([b"{}\n", b"x" * (LINE_LIMIT + 1)])] == [True, False]


def test_parquet_by_row_groups(tmp_path: Path) -> None:
    path = tmp_path / "e.parquet"
    at = [datetime(2026, 5, 3, 11, 0, tzinfo=UTC)] * 2_500
    table = pa.table(
        {
            "n": list(range(2_500)),
            "at": pa.array(at, pa.timestamp("ns", "UTC")),
            "money": pa.array([Decimal("1.50")] * 2_500),
        }
    )
    pq.write_table(table, path, row_group_size=1_000)
    with opened(path, None, PLAIN) as source:
        rows = list(source.rows(0))
        assert (source.total, len(rows)) == (2_500, 2_500)
    assert rows[0].fields == {"n": 0, "at": at[0], "money": Decimal("1.50")}
    for after in (0, 999, 1_000, 1_001, 2_499, 2_500):
        left = [row.number for row in ParquetFile(path).rows(after)]
        assert left == list(range(after + 1, 2_501))


def test_parquet_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "e.parquet"
    path.write_bytes(b"PAR1 not really")
    with pytest.raises(FileUnreadable, match="no Parquet file"):
        numbers(path)


def test_progress_survives_and_belongs_to_the_file(tmp_path: Path) -> None:
    path = tmp_path / "e.ndjson"
    path.write_bytes(TEXT)
    with path.open("rb") as stream:
        identity = identity_of(stream, ["mapping"])
        assert stream.tell() == 0
        assert identity_of(stream, ["another"]) != identity
    kept = ProgressFile(tmp_path / "loads", identity)
    with kept.held():
        assert kept.read() is None
        progress = Progress(7)
        progress.kinds["click"] += 6
        progress.reasons["INVALID_JSON"] += 1
        kept.write(progress, str(path))
        assert ProgressFile(tmp_path / "loads", identity).read() == progress
        with pytest.raises(AlreadyLoading), ProgressFile(tmp_path / "loads", identity).held():
            pass
    with path.open("rb") as stream:
        os.utime(path, (1, 1))
        assert identity_of(stream, ["mapping"]) != identity
    with kept.held():
        kept.remove()
    assert list((tmp_path / "loads").iterdir()) == []
