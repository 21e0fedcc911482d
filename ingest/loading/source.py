"""A file as what it is: which form its name says, how large it is, how far it has been read."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Literal

from ingest.errors import FileUnreadable
from ingest.loading.mapping import ColumnMapping
from ingest.loading.progress import identity_of
from ingest.loading.rows import ParquetFile, Row, csv_rows, ndjson_rows, read_lines
from ingest.loading.streams import decompressed, name_within

Form = Literal["ndjson", "csv", "parquet"]
FORMS: dict[str, Form] = {".csv": "csv", ".tsv": "csv", ".parquet": "parquet", ".pq": "parquet"}
STDIN = Path("-")


@dataclass(frozen=True, slots=True)
class Source:
    """An open file. ``rows(after)`` begin behind a row's number; ``position(number)`` is out of ``total`` units."""

    form: Form
    rows: Callable[[int], Iterator[Row]]
    position: Callable[[int], int]
    total: int | None
    identity: Callable[[list[str]], str] | None
    """What it is known by when it is loaded again (``identity_of``); None for a stream."""


def form_of(path: Path) -> Form:
    """By the file's name; what says nothing else is NDJSON."""
    return FORMS.get(name_within(path), "ndjson")


@contextmanager
def opened(path: Path, form: Form | None, mapping: ColumnMapping) -> Iterator[Source]:
    """A file, or standard input for ``-``. FileUnreadable, at once or from its rows."""
    form = form or form_of(path)
    if path == STDIN:
        if form == "parquet":
            raise FileUnreadable("Parquet is read from its end: load it from a file, not from standard input")
        with decompressed(sys.stdin.buffer) as stream:
            yield Source(form, text_rows(stream, form, path, mapping), lambda number: number, None, None)
        return
    try:
        raw = path.open("rb")
    except OSError as error:
        raise FileUnreadable(str(error)) from None
    with raw:

        def identity(read_as: list[str]) -> str:
            return identity_of(raw, [*read_as, str(form)])

        if form == "parquet":
            file = ParquetFile(path)
            yield Source(form, file.rows, lambda number: number, file.count, identity)
            return
        size = path.stat().st_size
        with decompressed(raw) as stream:
            rows = text_rows(stream, form, path, mapping)
            yield Source(form, rows, lambda _: raw.tell(), size, identity)


def text_rows(stream: BinaryIO, form: Form, path: Path, mapping: ColumnMapping) -> Callable[[int], Iterator[Row]]:
    if form == "ndjson":
        return lambda after: ndjson_rows(read_lines(stream), after)
    delimiter = mapping.delimiter or ("\t" if name_within(path) == ".tsv" else ",")
    return lambda after: csv_rows(read_lines(stream), after, delimiter=delimiter, encoding=mapping.encoding)
