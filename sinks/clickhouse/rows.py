"""What was read from the topics and is not inserted yet. Only frames are looked at: magic byte, schema id, topic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from schemas.codec import FRAME_BYTES, MAGIC, locked_schemas, schema_of
from schemas.errors import BadFrame
from schemas.topics import TOPICS

TABLES: Mapping[str, str] = {topic.name: f"{topic.schema}s" for topic in TOPICS}
"""Topic → table."""

Place = tuple[str, int]
"""Topic and partition."""


class Row(NamedTuple):
    """A record as it stands in its partition: ``value`` with its frame, empty for a tombstone; ``record_at`` in ms."""

    partition: int
    offset: int
    value: bytes
    key: bytes | None
    record_at: int | None


class Rejected(NamedTuple):
    """A record that cannot become a row, and why."""

    topic: str
    row: Row
    reason: str
    detail: str


@dataclass(frozen=True, slots=True)
class Shape:
    """Rows that one INSERT takes: of one topic, framed under one schema."""

    topic: str
    schema_id: int

    @property
    def table(self) -> str:
        """The table that the rows belong into."""
        return TABLES[self.topic]


def shapes() -> dict[tuple[str, bytes], Shape]:
    """Every frame that may stand in a topic."""
    schemas = locked_schemas().values()
    return {
        (topic.name, schema.frame): Shape(topic.name, schema.id)
        for topic in TOPICS
        for schema in schemas
        if schema.name == topic.schema
    }


class Batch:
    """Rows by shape, records without a valid frame, and the offsets behind the last record of each partition."""

    def __init__(self, known: Mapping[tuple[str, bytes], Shape]) -> None:
        self._known = known
        self.rows: dict[Shape, list[Row]] = {}
        self.rejected: list[Rejected] = []
        self.offsets: dict[Place, int] = {}
        self.count = 0
        self.size = 0

    def add(self, topic: str, row: Row) -> None:
        """Take the next record of its partition."""
        value = row.value
        shape = self._known.get((topic, value[:FRAME_BYTES]))
        if shape is None:
            self.rejected.append(Rejected(topic, row, *why_not(topic, value)))
        elif (rows := self.rows.get(shape)) is None:
            self.rows[shape] = [row]
        else:
            rows.append(row)
        self.offsets[topic, row.partition] = row.offset + 1
        self.count += 1
        self.size += len(value)

    def drop(self, places: Iterable[Place]) -> None:
        """Forget partitions that another sink reads now."""
        gone = set(places) & self.offsets.keys()
        if not gone:
            return
        for place in gone:
            del self.offsets[place]
        for shape, rows in list(self.rows.items()):
            kept = [row for row in rows if (shape.topic, row.partition) not in gone]
            if kept:
                self.rows[shape] = kept
            else:
                del self.rows[shape]
        self.rejected = [each for each in self.rejected if (each.topic, each.row.partition) not in gone]
        left = [*(row for rows in self.rows.values() for row in rows), *(each.row for each in self.rejected)]
        self.count, self.size = len(left), sum(len(row.value) for row in left)


def why_not(topic: str, value: bytes) -> tuple[str, str]:
    """Reason and detail of a value whose frame is none of its topic's."""
    if value[:1] != MAGIC:
        return (
            "BAD_FRAME",
            "no value" if not value else "the value does not start with the magic byte 0 and a schema id",
        )
    try:
        schema = schema_of(value)
    except BadFrame as error:
        return error.reason, error.detail
    return "WRONG_SCHEMA", f"schema {schema.id} is of a {schema.name}; topic {topic!r} holds none"
