"""The first rows of a file as the events that they would be, checked without a catalog: ``accredit load --dry-run``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any, NamedTuple

from ingest.loading.mapping import ColumnMapping
from ingest.loading.rows import Row
from schemas.errors import InvalidEvent
from schemas.events import parse_event

FIRST_ROWS = 20


class Previewed(NamedTuple):
    """A row, the public event that it maps to, and what is wrong with that, if anything."""

    number: int
    fields: Mapping[str, Any]
    problem: InvalidEvent | None


def preview(rows: Iterable[Row], mapping: ColumnMapping | None, first: int = FIRST_ROWS) -> list[Previewed]:
    """The first ``first`` rows. Nothing is asked of the catalog or of signatures: nothing needs to run."""
    return [one(row, mapping) for row in islice(rows, first)]


def one(row: Row, mapping: ColumnMapping | None) -> Previewed:
    fields: Any = {}
    try:
        if row.problem is not None:
            raise row.problem
        fields = row.fields if mapping is None else mapping.event(row.fields)
        parse_event(fields, received_at=None, door="load")
    except InvalidEvent as error:
        return Previewed(row.number, fields if isinstance(fields, Mapping) else {}, error)
    return Previewed(row.number, fields, None)
