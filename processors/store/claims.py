"""The store of settlement: of every claim the greatest version, by conversion. RocksDB, and its twin in memory."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from rocksdict import Cache
from xxhash import xxh3_128_digest

from processors.errors import StoreDamaged
from processors.store.rocks import SOURCE
from processors.store.rocks_table import Table, options
from processors.store.touch_store import LogStore, Row
from schemas.codec import encode
from schemas.records import Credit
from schemas.topics import CREDITS

CONVERSION_BYTES = 16


def conversion_prefix(conversion_id: str) -> bytes:
    """The 16 bytes under which a conversion's claims stand."""
    return xxh3_128_digest(conversion_id.encode())


def claim_row(claim: Credit, key: str) -> Row:
    """A claim under its own key (``core.settlement.claim_key``): a newer version replaces the older one."""
    return conversion_prefix(claim.conversion_id) + xxh3_128_digest(key.encode()), encode(claim)


class ClaimStore(LogStore, Protocol):
    """The claims of one partition of the credits."""

    def claims(self, conversion_id: str) -> list[bytes]:
        """The values of all claims of a conversion."""


class RocksClaimStore:
    """A ClaimStore in ``path``. ``source`` names the log that fills it: another log's store is set aside."""

    topics = (CREDITS,)
    size = 0

    def __init__(self, path: Path, memtable_bytes: int, cache: Cache, source: str = "") -> None:
        self._claims = Table(path / "claims", options(memtable_bytes, cache))
        stored = self._claims.note(SOURCE)
        if stored is None:
            self._claims.set_note(SOURCE, source.encode())
        elif stored != source.encode():
            self._claims.close()
            raise StoreDamaged(path, f"it was filled from another log ({stored.decode()}, now {source})")

    def put(self, topic: str, rows: Sequence[Row], next_offset: int) -> None:
        self._claims.put(rows, next_offset)

    def claims(self, conversion_id: str) -> list[bytes]:
        return self._claims.values(conversion_prefix(conversion_id))

    def applied(self) -> tuple[int | None, ...]:
        return (self._claims.offset,)

    def begin(self, complete_since: int, now: int) -> None:
        """Claims never leave, so nothing has to be noted."""

    def flush(self) -> None:
        self._claims.flush()

    def close(self) -> None:
        self._claims.close()


class MemoryClaimStore:
    """Its twin in memory. What is on ``disk`` survives a crash: hand it to the next store."""

    topics = (CREDITS,)

    def __init__(self, disk: dict[bytes, bytes], applied: list[int]) -> None:
        self._disk = disk
        self._disk_applied = applied
        self._rows = dict(disk)
        self._applied: int | None = applied[0] if applied else None

    @property
    def size(self) -> int:
        return 0

    def put(self, topic: str, rows: Sequence[Row], next_offset: int) -> None:
        self._rows.update(rows)
        self._applied = max(self._applied or 0, next_offset)

    def claims(self, conversion_id: str) -> list[bytes]:
        prefix = conversion_prefix(conversion_id)
        return [value for key, value in sorted(self._rows.items()) if key.startswith(prefix)]

    def applied(self) -> tuple[int | None, ...]:
        return (self._applied,)

    def begin(self, complete_since: int, now: int) -> None:
        """As in RocksDB: nothing."""

    def flush(self) -> None:
        self._disk.update(self._rows)
        if self._applied is not None:
            self._disk_applied[:] = [self._applied]

    def close(self) -> None:
        self.flush()
