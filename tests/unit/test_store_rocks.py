"""RocksDB's own troubles: crashes, damage, other logs, locks, age."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import pytest
from rocksdict import Cache

from processors.errors import StoreDamaged, StoreFull, StoreInUse, StoreUnavailable
from processors.store import Applied, RocksTouchStore, rocks_table, row_key, set_aside
from processors.store.generations import Generations
from processors.store.rocks_table import options, told_apart

ONE = b"\x01" * 16


def open_store(path: Path, source: str = "log", ttl_s: int = 1_000) -> RocksTouchStore:
    return RocksTouchStore(path, ttl_s=ttl_s, memtable_bytes=4 << 20, cache=Cache(1 << 20), source=source)


def fill_and_die(path: Path) -> None:
    store = open_store(path)
    store.put_touches([(row_key(ONE, 1, b"flushed"), b"flushed")], 1)
    store.flush()
    store.put_touches([(row_key(ONE, 2, b"lost"), b"lost")], 2)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_crash_falls_back_to_the_last_flush_with_its_offset(tmp_path: Path) -> None:
    child = multiprocessing.get_context("spawn").Process(target=fill_and_die, args=(tmp_path / "p",))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    store = open_store(tmp_path / "p")
    assert store.applied() == Applied(1, None)
    assert store.touches(ONE) == [b"flushed"]
    store.close()


def closed_store(path: Path) -> None:
    store = open_store(path)
    store.put_touches([(row_key(ONE, n, b"%d" % n), b"%d" % n) for n in range(1_000)], 1_000)
    store.put_conversions([(row_key(ONE, 1, b"sale"), b"sale")], 1)
    store.close()


@pytest.mark.parametrize("pattern", ["touches/*/MANIFEST-*", "conversions/MANIFEST-*", "touches/*/*.sst"])
def test_damage_is_told_as_damage(tmp_path: Path, pattern: str) -> None:
    closed_store(tmp_path / "p")
    for path in (tmp_path / "p").glob(pattern):
        path.write_bytes(os.urandom(path.stat().st_size))
    with pytest.raises(StoreDamaged):
        open_store(tmp_path / "p").touches(ONE)


def test_a_missing_file_is_damage(tmp_path: Path) -> None:
    closed_store(tmp_path / "p")
    for path in (tmp_path / "p").glob("touches/*/*.sst"):
        path.unlink()
    with pytest.raises(StoreDamaged):
        open_store(tmp_path / "p").touches(ONE)


def test_a_store_of_another_log_is_not_taken(tmp_path: Path) -> None:
    open_store(tmp_path / "p", "one").close()
    with pytest.raises(StoreDamaged, match="another log"):
        open_store(tmp_path / "p", "other")
    aside = set_aside(tmp_path / "p", 5)
    assert aside.name == "p.aside-5"
    assert not (tmp_path / "p").exists()
    open_store(tmp_path / "p", "other").close()


def test_two_at_once_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rocks_table, "OPEN_PATIENCE_S", 0.0)
    first = open_store(tmp_path / "p")
    with pytest.raises(StoreInUse, match="state folder of its own"):
        open_store(tmp_path / "p")
    first.close()


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("IO error: No space left on device: While appending to file", StoreFull),
        ("IO error: While open a file: Permission denied", StoreUnavailable),
        ("IO error: Too many open files", StoreUnavailable),
        ("Corruption: block checksum mismatch", StoreDamaged),
    ],
)
def test_errors_are_told_apart(tmp_path: Path, text: str, kind: type[Exception]) -> None:
    with pytest.raises(kind), told_apart(tmp_path):
        raise Exception(text)


def test_a_store_of_an_earlier_version_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "p" / "touches").mkdir(parents=True)
    (tmp_path / "p" / "touches" / "CURRENT").write_text("MANIFEST-000004\n")
    with pytest.raises(StoreDamaged, match="earlier version"):
        open_store(tmp_path / "p")


TTL_MS = 1_000
TWO = b"\x02" * 16


class Clock:
    """Milliseconds, as the test says."""

    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        return self.now


def generations(path: Path, clock: Clock) -> Generations:
    return Generations(path, TTL_MS, lambda: options(1 << 20, Cache(1 << 20)), clock)


def row(session: bytes, at: int) -> tuple[bytes, bytes]:
    value = b"touch at %d" % at
    return row_key(session, at, value), value


def test_touches_stay_as_long_as_they_live_and_leave_after_twice_that(tmp_path: Path) -> None:
    clock = Clock()
    store = generations(tmp_path, clock)
    for step in range(8):
        store.put([row(ONE, step)], step + 1)
        clock.now += TTL_MS // 2
        kept = [int(value.rpartition(b" ")[2]) for value in store.values(ONE)]
        assert kept == list(range(kept[0], step + 1))
        assert kept[0] <= max(step - 1, 0)  # written a time to live ago, or less
        assert kept[0] >= step - 4
        assert store.offset == step + 1
    assert len(list(tmp_path.iterdir())) == 2
    store.close()


def test_generations_are_found_again_and_old_ones_deleted(tmp_path: Path) -> None:
    clock = Clock()
    store = generations(tmp_path, clock)
    store.put([row(ONE, 1)], 7)
    clock.now += TTL_MS
    store.put([row(ONE, 2), row(ONE, 1)], 9)
    store.close()
    store = generations(tmp_path, clock)
    assert store.values(ONE) == [b"touch at 1", b"touch at 2"]
    assert store.values(TWO) == []
    assert store.offset == 9
    store.close()
    clock.now += TTL_MS
    store = generations(tmp_path, clock)
    assert len(list(tmp_path.iterdir())) == 1
    assert store.offset == 9
    assert store.values(ONE) == [b"touch at 1", b"touch at 2"]  # the second delivery of the first is young enough
    clock.now += 50 * TTL_MS
    store.close()
    store = generations(tmp_path, clock)
    assert store.values(ONE) == [b"touch at 1", b"touch at 2"]  # nothing has come since: it is the youngest
    assert store.offset == 9
    store.close()


def generations_and_die(path: Path) -> None:
    clock = Clock()
    store = generations(path, clock)
    store.put([row(ONE, 1)], 1)
    clock.now += TTL_MS
    store.put([row(ONE, 2)], 2)
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_crash_after_a_new_generation_was_begun_loses_only_what_is_in_it(tmp_path: Path) -> None:
    child = multiprocessing.get_context("spawn").Process(target=generations_and_die, args=(tmp_path,))
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL
    store = generations(tmp_path, Clock())
    assert store.offset == 1
    assert store.values(ONE) == [b"touch at 1"]
    store.close()


def test_many_stores_in_one_process_keep_everything_through_compaction(tmp_path: Path) -> None:
    """With RocksDB's TTL, as rocksdict opens it, the second one and those after it lost all."""
    rounds, each = 6, 3_000
    for begun in range(0, rounds * each, each):
        stores = [open_store(tmp_path / f"p{number}", ttl_s=90 * 86_400) for number in range(4)]
        for store in stores:
            store.put_touches([row(n.to_bytes(16, "big"), n) for n in range(begun, begun + each)], begun + each)
            store.flush()  # four files at the top level start a compaction
        for store in stores:
            store.close()
    stores = [open_store(tmp_path / f"p{number}", ttl_s=90 * 86_400) for number in range(4)]
    for store in stores:
        assert sum(len(store.touches(n.to_bytes(16, "big"))) for n in range(rounds * each)) == rounds * each
        store.close()
