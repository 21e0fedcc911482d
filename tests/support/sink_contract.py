"""What every target of the sink's writer keeps to, and the in-memory target that keeps to it."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from schemas.codec import decode
from schemas.errors import BadFrame
from schemas.records import Click
from schemas.topics import CLICKS as CLICKS_TOPIC
from sinks.clickhouse.errors import Refused, Unavailable
from sinks.clickhouse.rows import Row, Shape
from sinks.clickhouse.target import Target
from sinks.clickhouse.writer import REFUSED, insert
from tests.support.sink_records import CLICKS, click, rows


class MemoryTarget:
    """Keeps rows in a dict. Refuses, as ClickHouse does, what does not decode and sessions that are no UUIDs."""

    def __init__(self) -> None:
        self.stored: dict[tuple[str, int, int], Row] = {}
        self.inserts = 0
        self.away = 0
        """So many of the next inserts find nobody."""

    def insert(self, shape: Shape, rows: Sequence[Row]) -> None:
        self.inserts += 1
        if self.away:
            self.away -= 1
            raise Unavailable("nobody there")
        for row in rows:
            try:
                record = decode(row.value)
            except BadFrame as error:
                raise Refused(748, str(error)) from error
            if isinstance(record, Click) and len(record.session_id) != 36:
                raise Refused(376, "cannot parse UUID")
        self.stored |= {(shape.table, row.partition, row.offset): row for row in rows}

    def close(self) -> None:
        """Nothing to let go of."""

    def offsets(self) -> list[int]:
        return sorted(offset for table, _, offset in self.stored if table == "clicks")


class TargetContract:
    """Mixin: a subclass brings the fixtures ``target`` (empty) and ``offsets`` (a callable: clicks that are there)."""

    def test_rows_are_there_when_insert_returns(self, target: Target, offsets) -> None:  # type: ignore[no-untyped-def]
        target.insert(CLICKS, rows([click(i) for i in range(5)]))
        assert offsets() == [0, 1, 2, 3, 4]

    def test_inserting_again_changes_nothing(self, target: Target, offsets) -> None:  # type: ignore[no-untyped-def]
        for _ in range(3):
            target.insert(CLICKS, rows([click(i) for i in range(5)]))
        assert offsets() == [0, 1, 2, 3, 4]

    def test_without_rows_nothing_happens(self, target: Target, offsets) -> None:  # type: ignore[no-untyped-def]
        target.insert(CLICKS, [])
        assert offsets() == []

    def test_of_refused_rows_none_is_there(self, target: Target, offsets) -> None:  # type: ignore[no-untyped-def]
        poisoned = rows([click(0), click(1, session_id="nonsense"), click(2)])
        with pytest.raises(Refused):
            target.insert(CLICKS, poisoned)
        assert offsets() == []

    @pytest.mark.parametrize("bad", [{0}, {6}, {3, 4}, {0, 2, 6}, set(range(7))])
    def test_refused_records_are_found_and_the_rest_is_there(self, target: Target, offsets, bad: set[int]) -> None:  # type: ignore[no-untyped-def]
        records = [click(i, session_id="nonsense") if i in bad else click(i) for i in range(7)]
        rejected = insert(target, CLICKS, rows(records))
        assert [(each.topic, each.row.offset, each.reason) for each in rejected] == [
            (CLICKS_TOPIC, offset, REFUSED) for offset in sorted(bad)
        ]
        assert offsets() == [i for i in range(7) if i not in bad]

    @pytest.mark.parametrize("cut", [1, 20, 60])
    def test_a_body_that_ends_early_is_found(self, target: Target, offsets, cut: int) -> None:  # type: ignore[no-untyped-def]
        whole = rows([click(i) for i in range(6)])
        whole[2] = whole[2]._replace(value=whole[2].value[:-cut])
        rejected = insert(target, CLICKS, whole)
        assert [(each.row.offset, each.reason) for each in rejected] == [(2, "UNDECODABLE")]
        assert offsets() == [0, 1, 3, 4, 5]
