"""RocksDB's own troubles: crashes, damage, other logs, locks, age."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path

import pytest
from rocksdict import AccessType, BottommostLevelCompaction, Cache, CompactOptions, Rdict

from processors.errors import StoreDamaged, StoreFull, StoreInUse, StoreUnavailable
from processors.store import Applied, RocksTouchStore, row_key, set_aside
from processors.store import rocks as rocks_module
from processors.store.rocks import told_apart

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


@pytest.mark.parametrize("pattern", ["touches/MANIFEST-*", "conversions/MANIFEST-*", "touches/*.sst"])
def test_damage_is_told_as_damage(tmp_path: Path, pattern: str) -> None:
    closed_store(tmp_path / "p")
    for path in (tmp_path / "p").glob(pattern):
        path.write_bytes(os.urandom(path.stat().st_size))
    with pytest.raises(StoreDamaged):
        open_store(tmp_path / "p").touches(ONE)


def test_a_missing_file_is_damage(tmp_path: Path) -> None:
    closed_store(tmp_path / "p")
    for path in (tmp_path / "p").glob("touches/*.sst"):
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
    monkeypatch.setattr(rocks_module, "OPEN_PATIENCE_S", 0.0)
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


def test_touches_leave_by_age_and_conversions_do_not(tmp_path: Path) -> None:
    """RocksDB compares whole seconds, so a time to live of 1 s is over when the clock has moved by two."""
    store = open_store(tmp_path / "p", ttl_s=1)
    store.put_touches([(row_key(ONE, 1, b"click"), b"click")], 1)
    store.put_conversions([(row_key(ONE, 1, b"sale"), b"sale")], 1)
    store.close()
    age_out(tmp_path / "p" / "touches")
    store = open_store(tmp_path / "p", ttl_s=1)
    assert store.touches(ONE) == []
    assert store.conversions(ONE) == [b"sale"]
    store.close()


def age_out(path: Path) -> None:
    """Compact until the touches are gone; each try takes a moment, and time passes."""
    for _ in range(400):
        database = Rdict(str(path), rocks_module.options(4 << 20, Cache(1 << 20)), access_type=AccessType.with_ttl(1))
        forced = CompactOptions()
        forced.set_bottommost_level_compaction(BottommostLevelCompaction.force())
        database.compact_range(None, None, forced)
        rows = database.iter()
        rows.seek(ONE)
        left = rows.valid() and rows.key()[:16] == ONE
        del rows
        database.close()
        if not left:
            return
    raise AssertionError("the touches did not leave")
