"""The touch store: what a worker remembers of its sessions. RocksDB, and a twin in memory for tests."""

from processors.store.memory import MemoryDisk, MemoryTouchStore
from processors.store.rocks import RocksTouchStore, set_aside
from processors.store.touch_store import Applied, Row, TouchStore, row_key

__all__ = ["Applied", "MemoryDisk", "MemoryTouchStore", "RocksTouchStore", "Row", "TouchStore", "row_key", "set_aside"]
