"""Wherever a process or the machine dies while the spool is written: what was answered is there, in order, once."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.envelope import Message
from ingest.spool import segments
from ingest.spool.backlog import Backlog
from ingest.spool.frame import encode_message
from ingest.spool.segments import SegmentWriter, Slot, segment_paths

SIZES = st.lists(st.lists(st.integers(0, 2_000), min_size=1, max_size=5), min_size=1, max_size=12)


class Crash(BaseException):
    """The end of the process, in the middle of a write."""


def message(number: int, size: int) -> Message:
    return Message("clicks", b"%d" % number, bytes(size), number, [("ce_id", b"%d" % number)])


def left(root: Path) -> tuple[list[int], int]:
    """The numbers of the messages that the next process finds, and how many files it puts aside."""

    async def story() -> list[int]:
        slot = Slot.claim(root)
        backlog = Backlog.found(slot)
        found: list[int] = []
        while (batch := await backlog.next()) is not None:
            found += [message.timestamp for message in batch.messages]
            backlog.sent(batch)
        assert backlog.bytes == 0
        assert segment_paths(slot.folder) == []
        slot.release()
        return found

    numbers = asyncio.run(story())
    return numbers, len(list(root.glob("*/*.damaged")))


def write(folder: Path, groups: Sequence[Sequence[int]], dies_at: int, segment_bytes: int) -> tuple[int, int]:
    """Write groups until byte ``dies_at`` of all that is written. Messages answered, and messages begun."""
    writer = SegmentWriter(folder, segment_bytes)
    written = answered = begun = 0

    def dying(file: int, data: memoryview) -> int:
        nonlocal written
        room = dies_at - written
        os.pwrite(file, data[:room], os.fstat(file).st_size)
        written += min(len(data), room)
        if len(data) > room:
            raise Crash
        return len(data)

    real = segments.write_all
    segments.write_all = lambda file, data: dying(file, memoryview(data)) and None  # type: ignore[assignment]
    try:
        for group in groups:
            messages = [message(begun + i, size) for i, size in enumerate(group)]
            begun += len(group)
            writer.append(b"".join(map(encode_message, messages)), len(messages), begun, 1)
            answered = begun
    except Crash:
        pass
    finally:
        segments.write_all = real
        writer.seal()
    return answered, begun


@settings(deadline=None)
@given(groups=SIZES, dies_at=st.integers(0, 30_000), segment_bytes=st.sampled_from([100, 3_000, 1 << 20]))
def test_any_crash_point_loses_nothing_answered(groups: list[list[int]], dies_at: int, segment_bytes: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        slot = Slot.claim(root)
        answered, begun = write(slot.folder, groups, dies_at, segment_bytes)
        slot.release()
        found, _ = left(root)
        assert found == list(range(len(found)))
        assert answered <= len(found) <= begun


@settings(deadline=None)
@given(groups=SIZES, cut=st.integers(0, 200), at=st.floats(0, 1), flipped=st.binary(min_size=1, max_size=8))
def test_any_damage_costs_only_where_it_is(groups: list[list[int]], cut: int, at: float, flipped: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        slot = Slot.claim(root)
        _, begun = write(slot.folder, groups, 1 << 40, 1 << 20)
        slot.release()
        (path,) = segment_paths(slot.folder)
        data = bytearray(path.read_bytes())
        place = 8 + int(at * (len(data) - 8))
        data[place : place + len(flipped)] = flipped[: len(data) - place]
        path.write_bytes(data[: max(len(data) - cut, 8)])
        found, aside = left(root)
        assert found == sorted(set(found))
        assert set(found) <= set(range(begun))
        assert len(found) == begun or aside == 1 or cut
