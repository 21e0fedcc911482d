"""The files of one slot that are not in Kafka yet, in order: read at one end, growing at the other."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import structlog

from ingest.envelope import Message
from ingest.spool.segments import Slot, Written, count_messages, discard, read_portion, segment_paths

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Segment:
    """``end``: what is synced of it. ``left``: messages not sent. ``since``: when the oldest of them was written.

    ``keep``: something in it could not be read or sent; it is put aside in the end, not deleted.
    """

    path: Path
    end: int
    left: int
    since: int
    sealed: bool
    ours: bool
    keep: bool = False


class Batch(NamedTuple):
    """Messages to send next; ``amount`` is with those that Kafka has already."""

    messages: list[Message]
    amount: int
    end: int


class Backlog:
    """A queue on disk. ``settled``: numbers of our own messages that Kafka has acknowledged in the meantime."""

    def __init__(self, settled: Set[int] = frozenset()) -> None:
        self._segments: deque[Segment] = deque()
        self._settled = settled
        self._at = 0
        self.bytes = 0

    @classmethod
    def found(cls, slot: Slot, settled: Set[int] = frozenset()) -> Backlog:
        """What an earlier process has left in a slot. Blocks; OSError when it cannot be read."""
        backlog = cls(settled)
        for path in segment_paths(slot.folder):
            count, since = count_messages(path)
            size = path.stat().st_size
            backlog._segments.append(Segment(path, size, count, since, sealed=True, ours=False))
            backlog.bytes += size
        return backlog

    @property
    def unsent(self) -> int:
        """Messages; of found files that are damaged, roughly."""
        return sum(segment.left for segment in self._segments)

    @property
    def since(self) -> int | None:
        """When the oldest unsent message was written, in milliseconds since the epoch."""
        return next((segment.since for segment in self._segments if segment.left), None)

    def wrote(self, written: Written, count: int, at: int) -> None:
        """A frame was synced: in the newest file or a new one."""
        newest = self._segments[-1] if self._segments else None
        if newest is None or newest.path != written.path:
            newest = Segment(written.path, 0, 0, at, sealed=False, ours=True)
            self._segments.append(newest)
        self.bytes += written.end - newest.end
        newest.since = newest.since if newest.left else at
        newest.left += count
        newest.end = written.end
        newest.sealed = written.sealed

    def seal(self) -> None:
        """The newest file takes no more."""
        if self._segments:
            self._segments[-1].sealed = True

    async def next(self) -> Batch | None:
        """What follows on what was sent; None when all that is synced was."""
        while self._segments:
            segment = self._segments[0]
            if self._at < segment.end:
                return await self._read(segment)
            if not segment.sealed:
                return None
            await asyncio.to_thread(put_away, segment)
            self._drop()
        return None

    def sent(self, batch: Batch) -> None:
        """Kafka has acknowledged the batch that ``next`` gave last."""
        self._at = batch.end
        self._segments[0].left -= batch.amount

    def keep(self) -> None:
        """Do not delete the file that is being read."""
        self._segments[0].keep = True

    def finish(self) -> None:
        """Delete what was sent, when it was all. Blocks for moments."""
        if len(self._segments) == 1 and self._at >= self._segments[0].end:
            put_away(self._segments[0])
            self._drop()

    async def _read(self, segment: Segment) -> Batch:
        try:
            portion = await asyncio.to_thread(read_portion, segment.path, self._at, segment.end)
        except OSError as error:
            log.error("spool_file_unreadable", path=str(segment.path), error=str(error))
            segment.keep = True
            return Batch([], segment.left, segment.end)
        if portion.skipped:
            segment.keep = True
            put_aside = str(segment.path.with_suffix(".damaged"))
            log.error("spool_damaged", path=str(segment.path), bytes=portion.skipped, put_aside=put_aside)
        amount = 0
        messages: list[Message] = []
        for frame, content in portion.frames:
            amount += frame.amount
            numbered = enumerate(content, frame.first)
            messages += [m for number, m in numbered if not (segment.ours and number in self._settled)]
            segment.since = frame.written_at
        return Batch(messages, amount, portion.end)

    def _drop(self) -> None:
        self.bytes -= self._segments.popleft().end
        self._at = 0


def put_away(segment: Segment) -> None:
    """Delete a file that was sent, or rename it when something in it was not."""
    try:
        discard(segment.path, keep=segment.keep)
    except OSError as error:
        log.error("spool_file_stays", path=str(segment.path), error=str(error))
