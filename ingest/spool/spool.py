"""The spool of one process, on its event loop: group commit into its slot's files, bounded in bytes.

While one fsync runs in the spool's thread, what comes in gathers for the next: one sync for all that wait, and one
wake-up of the thread and of the loop for each.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import structlog

from ingest.envelope import Message
from ingest.errors import NotAcknowledged, PublisherFull
from ingest.metrics import Metrics
from ingest.seldom import Seldom
from ingest.spool.backlog import Backlog
from ingest.spool.config import SpoolConfig
from ingest.spool.frame import encode_message
from ingest.spool.segments import SegmentWriter, Slot

log = structlog.get_logger(__name__)

GROUP_BYTES = 4 << 20
WAITING_BYTES = 16 << 20
"""What may wait in memory for the disk."""


class Entry:
    """Messages that go to the spool together; ``written`` is done when they are synced, or NotAcknowledged."""

    __slots__ = ("count", "first", "payload", "settled", "written")

    def __init__(self, payload: bytes, count: int, first: int, written: asyncio.Future[None], settled: set[int]):
        self.payload = payload
        self.count = count
        self.first = first
        self.written = written
        self.settled = settled

    def settle(self) -> None:
        """Kafka has these meanwhile: they need not be sent again."""
        self.settled.update(range(self.first, self.first + self.count))


class Spool:
    """Takes messages that are durable when they are synced; what is to be sent lies in ``backlog``."""

    def __init__(self, config: SpoolConfig, root: Path, loop: asyncio.AbstractEventLoop, metrics: Metrics) -> None:
        """Claims a slot under ``root`` and finds what an earlier process has left there. Blocks for that."""
        self._config = config
        self._root = root
        self._loop = loop
        self._metrics = metrics
        self._thread = ThreadPoolExecutor(1, "spool")
        self._waiting: deque[Entry] = deque()
        self._committing: asyncio.Task[None] | None = None
        self._next = 0
        self._slot: Slot | None = None
        self._writer: SegmentWriter | None = None
        self._failing = Seldom()
        self.waiting_bytes = 0
        self.settled: set[int] = set()
        self.backlog = Backlog(self.settled)
        try:
            self._claim()
        except OSError as error:
            log.error("spool_unusable", folder=str(root), error=str(error))

    @property
    def idle(self) -> bool:
        """Nothing waits for the disk."""
        return not self._waiting and self._committing is None

    @property
    def full(self) -> bool:
        """Whether an event of ordinary size would be refused."""
        return self.backlog.bytes + self.waiting_bytes >= self._config.limit_bytes

    def append(self, messages: Sequence[Message], *, rescue: bool = False) -> Entry:
        """Returns at once. PublisherFull when the spool is full, or too much waits in memory for the disk.

        ``rescue``: they are in memory already, so they may wait there.
        """
        payload = b"".join(map(encode_message, messages))
        held = self.backlog.bytes + self.waiting_bytes + len(payload)
        if held > self._config.limit_bytes or (self.waiting_bytes > WAITING_BYTES and not rescue):
            self._metrics.publisher_full.inc(len(messages))
            raise PublisherFull
        entry = Entry(payload, len(messages), self._next, self._loop.create_future(), self.settled)
        self._next += entry.count
        self._waiting.append(entry)
        self.waiting_bytes += len(payload)
        if self._committing is None:
            self._committing = self._loop.create_task(self._commit())
        return entry

    def rest(self) -> None:
        """All was sent: delete the last file. Only while ``idle``."""
        if self._writer is not None:
            self._writer.seal()
        self.backlog.seal()
        self.backlog.finish()
        self.settled.clear()

    def close(self) -> None:
        """End the thread and free the slot; what is not sent is found at the next start."""
        self._thread.shutdown()
        if self._writer is not None:
            self._writer.seal()
        if self._slot is not None:
            self._slot.release()

    def _claim(self) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        self._slot = self._slot or Slot.claim(self._root)
        found = Backlog.found(self._slot, self.settled)
        self._writer = SegmentWriter(self._slot.folder, self._config.segment_bytes)
        self.backlog = found
        if found.bytes:
            log.info("spool_found", folder=str(self._slot.folder), messages=found.unsent, bytes=found.bytes)

    async def _commit(self) -> None:
        while self._waiting:
            group = self._group()
            try:
                await self._write(group)
            except Exception as error:
                self._fail(group, error)
        self._committing = None

    def _group(self) -> list[Entry]:
        group = [self._waiting.popleft()]
        size = len(group[0].payload)
        while self._waiting and size + len(self._waiting[0].payload) <= GROUP_BYTES:
            group.append(self._waiting.popleft())
            size += len(group[-1].payload)
        return group

    async def _write(self, group: list[Entry]) -> None:
        if self._writer is None:
            await self._loop.run_in_executor(self._thread, self._claim)
        assert self._writer is not None
        payload = b"".join([entry.payload for entry in group])
        count = sum(entry.count for entry in group)
        at = time.time_ns() // 1_000_000
        append = self._writer.append
        written = await self._loop.run_in_executor(self._thread, append, payload, count, group[0].first, at)
        self.waiting_bytes -= len(payload)
        self.backlog.wrote(written, count, at)
        self._metrics.spool_written.inc(count)
        self._metrics.spool_synced.observe(count)
        for entry in group:
            entry.payload = b""
            if not entry.written.done():
                entry.written.set_result(None)

    def _fail(self, group: list[Entry], error: Exception) -> None:
        count = sum(entry.count for entry in group)
        self.waiting_bytes -= sum(len(entry.payload) for entry in group)
        self.backlog.seal()  # its writer does not use that file again
        self._metrics.spool_failed.inc(count)
        if times := self._failing.due():
            log.error("spool_not_writable", folder=str(self._root), error=str(error) or repr(error), times=times)
        for entry in group:
            if not entry.written.done():
                entry.written.set_exception(NotAcknowledged(f"the spool cannot be written: {error}"))
                entry.written.exception()  # whoever asked may be gone
