"""The store on RocksDB: one folder per partition, a database for conversions and generations of them for touches.

Touches leave by age since they were written, conversions never. Each topic has its own offset beside its rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from pathlib import Path

from rocksdict import Cache

from processors.errors import StoreDamaged
from processors.store.generations import Generations
from processors.store.rocks_table import NOTE_SESSION, Table, options, told_apart
from processors.store.touch_store import SESSION_BYTES, Applied, Row, complete_after
from schemas.topics import CLICKS, CONVERSIONS

TOUCHES = "touches"
BEGUN = NOTE_SESSION + b"begun"
SOURCE = NOTE_SESSION + b"source"


class RocksTouchStore:
    """A TouchStore in ``path``. ``source`` names the log that fills it: another log's store is set aside."""

    def __init__(self, path: Path, *, ttl_s: int, memtable_bytes: int, cache: Cache, source: str = "") -> None:
        self.path = path
        self._ttl_ms = ttl_s * 1_000
        few = max(memtable_bytes // 4, 1 << 20)
        self._conversions = Table(path / CONVERSIONS, options(few, cache))
        try:
            stored = self._conversions.note(SOURCE)
            if stored is None:
                self._conversions.set_note(SOURCE, source.encode())
            elif stored != source.encode():
                raise StoreDamaged(path, f"it was filled from another log ({stored.decode()}, now {source})")
            self._touches = Generations(path / TOUCHES, self._ttl_ms, lambda: options(memtable_bytes, cache))
        except BaseException:
            self._conversions.close()
            raise
        self._converted = self._conversions.sessions()

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
