"""The touch store: what a worker remembers of its sessions. RocksDB, and a twin in memory for tests."""

from processors.store.claims import ClaimStore, MemoryClaimStore, RocksClaimStore, claim_row
from processors.store.memory import MemoryDisk, MemoryTouchStore
from processors.store.rocks import RocksTouchStore, set_aside
from processors.store.touch_store import Applied, LogStore, Row, TouchStore, row_key

__all__ = [
    "Applied",
    "ClaimStore",
    "LogStore",
    "MemoryClaimStore",
    "MemoryDisk",
    "MemoryTouchStore",
    "RocksClaimStore",
    "RocksTouchStore",
    "Row",
    "TouchStore",
    "claim_row",
    "row_key",
    "set_aside",
]
