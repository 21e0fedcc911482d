"""A stage as the worker process runs it, and the folder that holds its stores."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

from processors.runtime.agent import BatchAgent, now_ms
from processors.runtime.partitions import Partitions
from processors.settings import MIB, WorkerSettings
from processors.store import set_aside

SMALLEST_MEMTABLE = 4 * MIB
FEWEST_SHARES = 4


class Stage(NamedTuple):
    """The topics it reads, its partitions, its agent, and what it follows beside them, for ever."""

    topics: tuple[str, ...]
    partitions: Partitions[Any]
    agent: BatchAgent[Any]
    follow: Callable[[], Awaitable[None]] | None = None


class StateFolder:
    """The stores of a state folder: ``p0000``, ``p0001``, …"""

    def __init__(self, settings: WorkerSettings) -> None:
        self.settings = settings

    def path(self, partition: int) -> Path:
        """The folder of one partition's store."""
        return self.settings.state_dir / f"p{partition:04d}"

    def memtable_share(self, among: int) -> int:
        """Bytes of writes that one of ``among`` partitions may keep in memory."""
        return max(self.settings.memtable_bytes // max(among, FEWEST_SHARES), SMALLEST_MEMTABLE)

    def set_aside(self, partition: int) -> str:
        """Take a damaged store out of the way; returns its new name."""
        return set_aside(self.path(partition), now_ms()).name
