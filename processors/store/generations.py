"""Touches that leave by age: whole generations of them, not one by one.

A generation takes what is written for as long as a touch lives, and is deleted when the next one is that old. So a
touch stays for its time to live at least, and for twice that at most, and what leaves costs nothing. RocksDB's own TTL
is not used: as rocksdict opens it, compaction deleted whole stores that were minutes old (seen with 0.3.29 and several
databases in one process; ``bench/history.py`` found it).
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from rocksdict import Options

from processors.errors import StoreDamaged
from processors.store.rocks_table import Table, told_apart
from processors.store.touch_store import Row


def wall_clock_ms() -> int:
    return time.time_ns() // 1_000_000


class Generations:
    """A folder for each generation under ``path``, named by the millisecond of its birth. As a Table to its users.

    Rows and offset go into the youngest generation in one write. Before another is begun it is flushed, so a crash can
    only lose the newest writes of the youngest.
    """

    def __init__(
        self, path: Path, ttl_ms: int, settings: Callable[[], Options], clock: Callable[[], int] = wall_clock_ms
    ) -> None:
        self._path = path
        self._ttl_ms = ttl_ms
        self._settings = settings
        self._clock = clock
        with told_apart(path):
            path.mkdir(parents=True, exist_ok=True)
            if (path / "CURRENT").exists():
                raise StoreDamaged(path, "it was written by an earlier version")
            births = sorted(int(found.name) for found in path.iterdir() if found.name.isdecimal())
        now = clock()
        last_gone = max((i for i in range(1, len(births)) if births[i] + ttl_ms <= now), default=0)
        for birth in births[:last_gone]:
            self._delete(birth)
        self._tables: dict[int, Table] = {}
        try:
            for birth in births[last_gone:] or [now]:
                self._tables[birth] = self._open(birth)
        except BaseException:
            self.close()
            raise
        self._born_at = max(self._tables)
        self._youngest = self._tables[self._born_at]

    @property
    def offset(self) -> int | None:
        """The offset behind the last record, of whichever generation."""
        return max((table.offset for table in self._tables.values() if table.offset is not None), default=None)

    def put(self, rows: Iterable[Row], next_offset: int) -> None:
        """Rows and offset in one atomic write."""
        now = self._clock()
        if now - self._born_at >= self._ttl_ms:
            self._begin(now)
        self._youngest.put(rows, next_offset)

    def values(self, session: bytes) -> list[bytes]:
        """The values of a session, by time; what is in two generations once."""
        if len(self._tables) == 1:
            return self._youngest.values(session)
        rows = {key: value for table in self._tables.values() for key, value in table.rows(session)}
        return [rows[key] for key in sorted(rows)]

    def flush(self) -> None:
        for table in self._tables.values():
            table.flush()

    def close(self) -> None:
        for table in self._tables.values():
            table.close()

    def _begin(self, now: int) -> None:
        """A new generation. Of the others only the last one has touches that are young enough."""
        offset = self.offset
        self._youngest.flush()
        for birth in [birth for birth in self._tables if birth != self._born_at]:
            self._tables.pop(birth).close()
            self._delete(birth)
        self._youngest = self._tables[now] = self._open(now)
        self._born_at = now
        if offset is not None:
            self._youngest.put((), offset)

    def _open(self, birth: int) -> Table:
        return Table(self._path / str(birth), self._settings())

    def _delete(self, birth: int) -> None:
        with told_apart(self._path):
            shutil.rmtree(self._path / str(birth))
