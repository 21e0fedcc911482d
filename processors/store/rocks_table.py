"""One RocksDB database: rows under a session, a few notes, and the offset in the same atomic write.

There is no write-ahead log: a crash falls back to the last flush, which is a consistent older state, and Kafka's log is
read again from there (DESIGN 4).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from rocksdict import (
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
from processors.store.touch_store import KEY_BYTES, SESSION_BYTES, Row

# A note's key is shorter than a row's: a sender may use this session too, so the length tells them apart.
NOTE_SESSION = b"\xff" * SESSION_BYTES
OFFSET = NOTE_SESSION + b"offset"

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

    def __init__(self, path: Path, settings: Options) -> None:
        self.path = path
        with told_apart(path):
            path.mkdir(parents=True, exist_ok=True)
            self._db = self._open(settings)
        self._no_wal = without_wal()
        self._by_session = ReadOptions()
        self._by_session.set_prefix_same_as_start(True)
        stored = self.note(OFFSET)
        self.offset = None if stored is None else int.from_bytes(stored, "big")

    def _open(self, settings: Options) -> Rdict:
        deadline = time.monotonic() + OPEN_PATIENCE_S
        while True:
            try:
                return Rdict(str(self.path), settings)
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
        """The values of a session's rows, in the order of their keys."""
        return [value for _, value in self.rows(session)]

    def rows(self, session: bytes) -> list[Row]:
        """Keys and values of a session's rows, in the order of their keys."""
        found = []
        with told_apart(self.path):
            rows = self._db.iter(self._by_session)
            rows.seek(session)
            while rows.valid():
                key = rows.key()
                if not key.startswith(session):
                    break
                if len(key) == KEY_BYTES:
                    found.append((key, rows.value()))
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
