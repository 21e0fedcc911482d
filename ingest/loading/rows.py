"""The rows of a file, one by one, in bounded memory: NDJSON, CSV, Parquet. A bad row costs only itself."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import orjson

from ingest.errors import FileUnreadable
from schemas.errors import InvalidEvent

LINE_LIMIT = 1 << 20
BATCH_ROWS = 1_000
READ_BYTES = 1 << 20


class Row(NamedTuple):
    """One record. ``number`` from 1: its (last) line, or its row in Parquet.

    ``original``: its bytes; empty where it has none of its own (Parquet). Either ``fields`` or what is wrong with it.
    """

    number: int
    original: bytes
    fields: Any
    problem: InvalidEvent | None = None


def read_lines(stream: BinaryIO) -> Iterator[bytes]:
    """The lines of a stream, in bounded memory: of a line longer than a mebibyte the first mebibyte and a bit."""
    while line := stream.readline(LINE_LIMIT + 1):
        yield line
        while len(line) > LINE_LIMIT and not line.endswith(b"\n"):
            line = stream.readline(LINE_LIMIT + 1)


def ndjson_rows(lines: Iterable[bytes], after: int = 0) -> Iterator[Row]:
    """A JSON object a line; empty lines are none. Lines up to ``after`` are passed over."""
    for number, line in enumerate(lines, 1):
        if number <= after:
            continue
        text = line.strip() if number > 1 else line.removeprefix(b"\xef\xbb\xbf").strip()
        if not text:
            continue
        original = line.rstrip(b"\r\n")
        if len(text) > LINE_LIMIT:
            yield Row(number, original, None, too_long())
            continue
        try:
            yield Row(number, original, orjson.loads(text))
        except orjson.JSONDecodeError as error:
            yield Row(number, original, None, InvalidEvent("INVALID_JSON", None, f"not JSON: {error}"))


def too_long() -> InvalidEvent:
    return InvalidEvent("EVENT_TOO_LARGE", None, f"the line has more than {LINE_LIMIT} bytes")


class DecodedLines:
    """Lines as text for the csv module, which takes as many as a row needs; ``taken`` are those, as they were.

    An iterator that goes on after a line that it could not decode.
    """

    def __init__(self, lines: Iterator[bytes], encoding: str) -> None:
        self._lines = lines
        self._encoding = encoding
        self.count = 0
        self.taken: list[bytes] = []

    def __iter__(self) -> DecodedLines:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.count += 1
        self.taken.append(line)
        if len(line) > LINE_LIMIT:
            raise too_long()
        if self.count == 1:
            line = line.removeprefix(b"\xef\xbb\xbf")
        try:
            return line.decode(self._encoding)
        except UnicodeDecodeError as error:
            raise InvalidEvent("INVALID_TEXT", None, f"the line is not {self._encoding}: {error.reason}") from None


def csv_rows(lines: Iterator[bytes], after: int = 0, *, delimiter: str = ",", encoding: str = "utf-8") -> Iterator[Row]:
    """Rows under a header line, each a dict of text. FileUnreadable when the header cannot be used."""
    text = DecodedLines(lines, encoding)
    reader = csv.reader(text, delimiter=delimiter)
    try:
        header = [name.strip() for name in next(reader)]
    except (StopIteration, csv.Error, InvalidEvent) as error:
        raise FileUnreadable(f"the first line of a CSV file names its columns: {error or 'it is empty'}") from None
    if len(set(header)) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise FileUnreadable(f"the header names {twice!r} more than once; rename one of them")
    while True:
        text.taken.clear()
        problem = None
        values: list[str] = []
        try:
            values = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problem = InvalidEvent("INVALID_CSV", None, str(error))
        except InvalidEvent as error:
            problem = error
        if text.count <= after or (not values and problem is None):
            continue
        original = b"".join(text.taken).rstrip(b"\r\n")[: LINE_LIMIT + 1]
        if problem is None and len(values) != len(header):
            detail = f"{len(values)} values, the header has {len(header)}; is the delimiter {delimiter!r}?"
            problem = InvalidEvent("INVALID_CSV", None, detail)
        yield Row(text.count, original, None if problem else dict(zip(header, values, strict=True)), problem)


class ParquetFile:
    """A Parquet file. FileUnreadable when it is none."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            self._file = pq.ParquetFile(path, pre_buffer=False, buffer_size=READ_BYTES)
        except (pa.ArrowException, OSError) as error:
            raise FileUnreadable(f"{path} is no Parquet file: {error}") from None
        self._error = (pa.ArrowException, OSError)
        self.count: int = self._file.metadata.num_rows

    def rows(self, after: int = 0) -> Iterator[Row]:
        """Its rows from ``after`` on, each a dict. Row groups that lie before are not read."""
        groups = self._file.metadata.num_row_groups
        first = number = 0
        while first < groups and number + self._file.metadata.row_group(first).num_rows <= after:
            number += self._file.metadata.row_group(first).num_rows
            first += 1
        try:
            batches = self._file.iter_batches(BATCH_ROWS, row_groups=range(first, groups), use_threads=False)
            for batch in batches:
                for fields in in_milliseconds(batch).to_pylist():
                    number += 1
                    if number > after:
                        yield Row(number, b"", fields)
        except self._error as error:
            raise FileUnreadable(f"row {number + 1}: {error}") from None


def in_milliseconds(batch: Any) -> Any:
    """Nanoseconds, which Python's times cannot hold, cut off; as everywhere here."""
    import pyarrow as pa

    for place, column in enumerate(batch.schema):
        if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
            cut = batch.column(place).cast(pa.timestamp("ms", column.type.tz), safe=False)
            batch = batch.set_column(place, column.name, cut)
    return batch
