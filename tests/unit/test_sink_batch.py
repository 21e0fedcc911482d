"""What the sink holds between reading and inserting: frames, offsets, partitions that move away."""

import pytest

from schemas.codec import current_schema, encode
from schemas.records import CatalogVersion
from schemas.topics import TOPICS
from sinks.clickhouse.rows import TABLES, Batch, Row, Shape, shapes
from sinks.clickhouse.settings import FlushPolicy, RetryPolicy

CATALOG = Shape("catalog", current_schema("catalog_version").id)
VALUE = encode(CatalogVersion(1, 0, 0, "me", "d", "advertisers: []"))


def row(offset: int, value: bytes = VALUE, partition: int = 0) -> Row:
    return Row(partition, offset, value, b"key", 1_777_000_000_000)


def test_every_topic_has_a_table() -> None:
    assert set(TABLES) == {topic.name for topic in TOPICS}
    assert TABLES["dead-letters"] == "dead_letters"
    assert {shape.topic for shape in shapes().values()} == set(TABLES)


def test_rows_are_kept_by_shape_and_offsets_point_behind_them() -> None:
    batch = Batch(shapes())
    for offset in (4, 5):
        batch.add("catalog", row(offset))
    assert batch.rows == {CATALOG: [row(4), row(5)]}
    assert batch.offsets == {("catalog", 0): 6}
    assert (batch.count, batch.size) == (2, 2 * len(VALUE))


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"", "BAD_FRAME"),
        (b"\0\0", "BAD_FRAME"),
        (b'{"json":1}', "BAD_FRAME"),
        (b"\0\xff\xff\xff\xffrest", "UNKNOWN_SCHEMA"),
        (current_schema("click").frame + b"rest", "WRONG_SCHEMA"),
    ],
)
def test_a_bad_frame_is_rejected_and_its_offset_counts(value: bytes, reason: str) -> None:
    batch = Batch(shapes())
    batch.add("catalog", row(7, value))
    assert [(each.reason, each.row.offset) for each in batch.rejected] == [(reason, 7)]
    assert batch.rows == {}
    assert batch.offsets == {("catalog", 0): 8}


def test_a_partition_that_moves_away_takes_its_rows_and_offsets() -> None:
    batch = Batch(shapes())
    batch.add("catalog", row(1, partition=0))
    batch.add("catalog", row(1, partition=1))
    batch.add("catalog", row(2, b"bad", partition=1))
    batch.drop([("catalog", 1), ("clicks", 3)])
    assert batch.rows == {CATALOG: [row(1)]}
    assert batch.rejected == []
    assert batch.offsets == {("catalog", 0): 2}
    assert (batch.count, batch.size) == (1, len(VALUE))
    batch.drop([("catalog", 0)])
    assert (batch.rows, batch.count) == ({}, 0)


def test_flush_by_rows_bytes_or_age_and_never_empty() -> None:
    policy = FlushPolicy(rows=10, bytes=100, seconds=0.5)
    assert not policy.due(0, 0, 99)
    assert not policy.due(9, 99, 0.4)
    assert policy.due(10, 1, 0)
    assert policy.due(1, 100, 0)
    assert policy.due(1, 1, 0.5)


def test_pauses_grow_to_the_longest_and_stay_there() -> None:
    policy = RetryPolicy(first_s=0.1, factor=2, longest_s=1)
    assert [policy.pause_s(attempt) for attempt in (0, 1, 2, 3, 4, 10_000)] == [0.1, 0.2, 0.4, 0.8, 1, 1]
