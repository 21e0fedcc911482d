"""The store on RocksDB: one folder per partition, two databases in it.

Touches leave by age since they were written, which RocksDB's TTL does in compaction for a whole database; conversions
never leave. So each topic has a database of its own, with its own offset in the same atomic write. There is no
write-ahead log: a crash falls back to the last flush of each database, which is a consistent older state, and the log
is read again from there (DESIGN 4).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Set
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from rocksdict import (
    AccessType,
    BlockBasedOptions,
    Cache,
    DBCompressionType,
    MemtableFactory,
    Options,
    Rdict,
    ReadOptions,
    SliceTransform,
    WriteBatch,
    WriteOptions,
)

from processors.errors import StoreDamaged, StoreFull, StoreInUse, StoreUnavailable
from processors.store.touch_store import KEY_BYTES, SESSION_BYTES, Applied, Row, complete_after
from schemas.topics import CLICKS, CONVERSIONS

TOUCHES = "touches"
# A note's key is shorter than a row's: a sender may use this session too, so the length tells them apart.
NOTE_SESSION = b"\xff" * SESSION_BYTES
OFFSET = NOTE_SESSION + b"offset"
BEGUN = NOTE_SESSION + b"begun"
SOURCE = NOTE_SESSION + b"source"

OPEN_PATIENCE_S = 10.0  # a partition that moves between two workers of one state folder is let go within this
OPEN_RETRY_S = 0.1
MEMTABLE_BUCKETS = 200_000
MEMTABLES = 3  # one being filled, two on their way to disk
REFUSALS = ("Permission denied", "Read-only file system", "Too many open files", "Input/output error")


@contextmanager
def told_apart(path: Path) -> Iterator[None]:
    """RocksDB says everything with one exception type and a text: make of it what the operator can act on."""
    try:
        yield
    except Exception as error:
        text = str(error)
        if "No space left" in text or "Disk quota exceeded" in text:
            raise StoreFull(path, text) from error
        if "lock hold by" in text or "While lock file" in text:
            raise StoreInUse(path) from error
        if any(refusal in text for refusal in REFUSALS):
            raise StoreUnavailable(path, text) from error
        raise StoreDamaged(path, text) from error


def options(memtable_bytes: int, cache: Cache) -> Options:
    """Settings of both databases. The memtable is hashed by session, which is what made the prototype fast."""
    table = BlockBasedOptions()
    table.set_block_cache(cache)
    table.set_bloom_filter(10, False)
    table.set_format_version(5)
    chosen = Options(raw_mode=True)
    chosen.create_if_missing(True)
    chosen.set_prefix_extractor(SliceTransform.create_fixed_prefix(SESSION_BYTES))
    hashed = MemtableFactory.hash_skip_list(MEMTABLE_BUCKETS, 4, 4)  # type: ignore[call-arg]  # its stub has none
    chosen.set_memtable_factory(hashed)
    chosen.set_allow_concurrent_memtable_write(False)
    chosen.set_write_buffer_size(memtable_bytes)
    chosen.set_max_write_buffer_number(MEMTABLES)
    chosen.set_block_based_table_factory(table)
    chosen.set_compression_type(DBCompressionType.lz4())
    chosen.set_max_background_jobs(2)
    chosen.set_level_compaction_dynamic_level_bytes(True)
    chosen.set_keep_log_file_num(2)
    chosen.set_max_log_file_size(1 << 20)
    chosen.set_stats_dump_period_sec(0)
    return chosen


def without_wal() -> WriteOptions:
    """The offsets are in the same write, so a lost write is read from Kafka's log again: it is our write-ahead log."""
    chosen = WriteOptions()
    setattr(chosen, "disable_wal", True)  # noqa: B010 (rocksdict's type stub takes the property for a method)
    return chosen


class Table:
    """One database: rows under a session, and a few notes."""

    def __init__(self, path: Path, settings: Options, access: AccessType) -> None:
        self.path = path
        with told_apart(path):
            path.mkdir(parents=True, exist_ok=True)
            self._db = self._open(settings, access)
        self._no_wal = without_wal()
        self._by_session = ReadOptions()
        self._by_session.set_prefix_same_as_start(True)
        stored = self.note(OFFSET)
        self.offset = None if stored is None else int.from_bytes(stored, "big")

    def _open(self, settings: Options, access: AccessType) -> Rdict:
        deadline = time.monotonic() + OPEN_PATIENCE_S
        while True:
            try:
                return Rdict(str(self.path), settings, access_type=access)
            except Exception as error:
                if "lock" not in str(error) or time.monotonic() > deadline:
                    raise
            time.sleep(OPEN_RETRY_S)

    def put(self, rows: Iterable[Row], next_offset: int) -> None:
        """Rows and offset in one atomic write."""
        self.offset = next_offset if self.offset is None else max(self.offset, next_offset)
        batch = WriteBatch(raw_mode=True)
        put = batch.put
        for key, value in rows:
            put(key, value)
        put(OFFSET, self.offset.to_bytes(8, "big"))
        with told_apart(self.path):
            self._db.write(batch, self._no_wal)

    def values(self, session: bytes) -> list[bytes]:
        found = []
        with told_apart(self.path):
            rows = self._db.iter(self._by_session)
            rows.seek(session)
            while rows.valid():
                key = rows.key()
                if not key.startswith(session):
                    break
                if len(key) == KEY_BYTES:
                    found.append(rows.value())
                rows.next()
            rows.status()
        return found

    def sessions(self) -> set[bytes]:
        everything = ReadOptions()
        everything.set_total_order_seek(True)
        with told_apart(self.path):
            keys = cast(Iterator[bytes], self._db.keys(read_opt=everything))
            return {key[:SESSION_BYTES] for key in keys if len(key) == KEY_BYTES}

    def note(self, name: bytes) -> bytes | None:
        with told_apart(self.path):
            found: bytes | None = self._db.get(name)
            return found

    def set_note(self, name: bytes, value: bytes) -> None:
        with told_apart(self.path):
            self._db.put(name, value, self._no_wal)

    def flush(self) -> None:
        with told_apart(self.path):
            self._db.flush()

    def close(self) -> None:
        with told_apart(self.path):
            self._db.flush()
            self._db.close()


class RocksTouchStore:
    """A TouchStore in ``path``. ``source`` names the log that fills it: another log's store is set aside."""

    def __init__(self, path: Path, *, ttl_s: int, memtable_bytes: int, cache: Cache, source: str = "") -> None:
        self.path = path
        self._ttl_ms = ttl_s * 1_000
        few = max(memtable_bytes // 4, 1 << 20)
        self._conversions = Table(path / CONVERSIONS, options(few, cache), AccessType.read_write())
        try:
            stored = self._conversions.note(SOURCE)
            if stored is None:
                self._conversions.set_note(SOURCE, source.encode())
            elif stored != source.encode():
                raise StoreDamaged(path, f"it was filled from another log ({stored.decode()}, now {source})")
            self._touches = Table(path / TOUCHES, options(memtable_bytes, cache), AccessType.with_ttl(ttl_s))
        except BaseException:
            self._conversions.close()
            raise
        self._converted = self._conversions.sessions()
        if self._touches.offset is not None:
            self._touches.set_note(OFFSET, self._touches.offset.to_bytes(8, "big"))  # its own age starts anew

    topics = (CLICKS, CONVERSIONS)

    @property
    def converted(self) -> Set[bytes]:
        return self._converted

    @property
    def size(self) -> int:
        return len(self._converted)

    def put(self, topic: str, rows: Iterable[Row], next_offset: int) -> None:
        if topic == CONVERSIONS:
            self.put_conversions(rows, next_offset)
        else:
            self.put_touches(rows, next_offset)

    def put_touches(self, rows: Iterable[Row], next_offset: int) -> None:
        self._touches.put(rows, next_offset)

    def put_conversions(self, rows: Iterable[Row], next_offset: int) -> None:
        rows = list(rows)
        self._conversions.put(rows, next_offset)
        self._converted.update(key[:SESSION_BYTES] for key, _ in rows)

    def touches(self, session: bytes) -> list[bytes]:
        return self._touches.values(session)

    def conversions(self, session: bytes) -> list[bytes]:
        return self._conversions.values(session)

    def applied(self) -> Applied:
        return Applied(self._touches.offset, self._conversions.offset)

    def begin(self, complete_since: int, now: int) -> None:
        self._conversions.set_note(BEGUN, complete_since.to_bytes(8, "big") + now.to_bytes(8, "big"))

    def complete_since(self, now: int) -> int:
        note = self._conversions.note(BEGUN) or b""
        begun_at, born_at = int.from_bytes(note[:8], "big"), int.from_bytes(note[8:], "big")
        return complete_after(begun_at, born_at, self._ttl_ms, now)

    def flush(self) -> None:
        self._touches.flush()
        self._conversions.flush()

    def close(self) -> None:
        self._touches.close()
        self._conversions.close()


def set_aside(path: Path, now: int) -> Path:
    """Rename a damaged store's folder so that a new one can be filled; returns where it went."""
    target = path.with_name(f"{path.name}.aside-{now}")
    with told_apart(path):
        path.rename(target)
    return target
