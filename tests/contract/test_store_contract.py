"""Both touch stores do the same: RocksDB and its twin in memory."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rocksdict import Cache

from processors.store import Applied, MemoryDisk, MemoryTouchStore, RocksTouchStore, TouchStore, row_key

ONE, OTHER = b"\x01" * 16, b"\x02" * 16
HIGHEST = b"\xff" * 16
TTL_S = 90 * 86_400
Open = Callable[[], TouchStore]


def rocks(folder: Path) -> RocksTouchStore:
    return RocksTouchStore(folder, ttl_s=TTL_S, memtable_bytes=4 << 20, cache=Cache(1 << 20))


@pytest.fixture(params=["rocks", "memory"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the same store again each time; the one before must be closed."""
    if request.param == "rocks":
        yield lambda: rocks(tmp_path / "p0000")
    else:
        disk = MemoryDisk()
        yield lambda: MemoryTouchStore(disk, TTL_S * 1_000)


def row(session: bytes, at: int, value: bytes) -> tuple[bytes, bytes]:
    return row_key(session, at, value), value


def test_a_new_store_is_empty(open_store: Open) -> None:
    store = open_store()
    assert store.applied() == Applied(None, None)
    assert store.touches(ONE) == []
    assert store.conversions(ONE) == []
    assert not store.converted
    store.close()


def test_rows_come_back_by_session_and_time(open_store: Open) -> None:
    store = open_store()
    store.put_touches([row(ONE, 30, b"late"), row(OTHER, 20, b"other"), row(ONE, 10, b"early")], 3)
    store.put_conversions([row(ONE, 40, b"sale")], 1)
    assert store.touches(ONE) == [b"early", b"late"]
    assert store.touches(OTHER) == [b"other"]
    assert store.conversions(ONE) == [b"sale"]
    assert store.conversions(OTHER) == []
    assert store.converted == {ONE}
    assert store.applied() == Applied(3, 1)
    store.close()


def test_the_same_bytes_twice_are_one_row_and_other_bytes_another(open_store: Open) -> None:
    store = open_store()
    store.put_touches([row(ONE, 10, b"a"), row(ONE, 10, b"a"), row(ONE, 10, b"b")], 3)
    store.put_touches([row(ONE, 10, b"b")], 4)
    assert sorted(store.touches(ONE)) == [b"a", b"b"]
    store.close()


def test_offsets_never_move_back(open_store: Open) -> None:
    store = open_store()
    store.put_touches([row(ONE, 1, b"a")], 10)
    store.put_touches([row(ONE, 2, b"b")], 5)
    assert store.applied() == Applied(10, None)
    store.close()


def test_an_offset_without_rows_is_kept(open_store: Open) -> None:
    store = open_store()
    store.put_conversions([], 7)
    store.close()
    store = open_store()
    assert store.applied() == Applied(None, 7)
    store.close()


def test_all_is_there_after_closing(open_store: Open) -> None:
    store = open_store()
    store.begin(5, now=0)
    store.put_touches([row(ONE, 10, b"click")], 1)
    store.put_conversions([row(OTHER, 10, b"sale")], 2)
    store.close()
    store = open_store()
    assert store.applied() == Applied(1, 2)
    assert store.touches(ONE) == [b"click"]
    assert store.converted == {OTHER}
    assert store.complete_since(now=TTL_S * 1_000) == 5
    store.close()


def test_it_is_complete_since_its_beginning_or_the_time_to_live(open_store: Open) -> None:
    store = open_store()
    store.begin(1_000, now=1_000)
    assert store.complete_since(now=1_000 + TTL_S * 1_000) == 1_000
    assert store.complete_since(now=1_001 + TTL_S * 1_000) == 1_001
    store.close()


def test_the_session_that_notes_stand_under_is_a_session_like_others(open_store: Open) -> None:
    store = open_store()
    assert HIGHEST not in store.converted
    store.put_touches([row(HIGHEST, 10, b"click")], 1)
    store.put_conversions([row(HIGHEST, 10, b"sale")], 1)
    assert store.touches(HIGHEST) == [b"click"]
    assert store.conversions(HIGHEST) == [b"sale"]
    store.close()
    store = open_store()
    assert store.converted == {HIGHEST}
    store.close()


def test_times_before_1970_and_neighbouring_sessions(open_store: Open) -> None:
    store = open_store()
    neighbours = [bytes(15) + bytes([n]) for n in range(4)]
    for number, (session, at) in enumerate(itertools.product(neighbours, (-1, 0, 1)), 1):
        store.put_touches([row(session, at, b"%d" % at)], number)
    assert all(sorted(store.touches(session)) == [b"-1", b"0", b"1"] for session in neighbours)
    store.close()


def test_rows_are_found_in_memory_and_on_disk_together(open_store: Open) -> None:
    store = open_store()
    store.put_touches([row(ONE, 1, b"a")], 1)
    store.flush()
    store.put_touches([row(ONE, 2, b"b")], 2)
    store.flush()
    store.put_touches([row(ONE, 3, b"c")], 3)
    assert store.touches(ONE) == [b"a", b"b", b"c"]
    store.close()
