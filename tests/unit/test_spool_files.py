"""The spool's files: frames, segments, slots, and what is left of them after a crash."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ingest.envelope import Message
from ingest.spool.frame import encode_frame, encode_message, messages_of, next_frame
from ingest.spool.segments import SegmentWriter, Slot, count_messages, read_portion, segment_paths

MESSAGES = [
    Message("clicks", b"k" * 16, b"value", 1_700_000_000_000, [("ce_id", "ü"), ("none", None), ("raw", b"\xff")]),
    Message("dead-letters", b"", b"", -1, []),
    Message("conversions", b"key", bytes(300_000), 0, [("empty", b"")]),
]


def payload(*messages: Message) -> bytes:
    return b"".join(map(encode_message, messages))


def read(path: Path, **how: int) -> tuple[list[Message], int]:
    """All messages of a file, and the bytes that were none."""
    found: list[Message] = []
    at = skipped = 0
    end = path.stat().st_size
    while at < end:
        portion = read_portion(path, at, end, **how)
        assert portion.end > at
        found += [message for _, messages in portion.frames for message in messages]
        at, skipped = portion.end, skipped + portion.skipped
    return found, skipped


def written(folder: Path, *frames: list[Message], segment_bytes: int = 1 << 30) -> Path:
    writer = SegmentWriter(folder, segment_bytes)
    for number, frame in enumerate(frames):
        writer.append(payload(*frame), len(frame), number, 5)
    writer.seal()
    return segment_paths(folder)[0]


def test_messages_come_back_as_kafka_gives_them() -> None:
    (one, *others) = messages_of(payload(*MESSAGES))
    assert one == MESSAGES[0]._replace(headers=[("ce_id", "ü".encode()), ("none", None), ("raw", b"\xff")])
    assert others == MESSAGES[1:]


@pytest.mark.parametrize("read_bytes", [1, 40, 100, 1_000, 1 << 20])
def test_portions_of_any_size_give_all_frames(tmp_path: Path, read_bytes: int) -> None:
    path = written(tmp_path, MESSAGES[:1], MESSAGES[:2], MESSAGES[2:], MESSAGES[:1])
    found, skipped = read(path, read_bytes=read_bytes)
    assert [message.value for message in found] == [m.value for m in (*MESSAGES[:1], *MESSAGES, MESSAGES[0])]
    assert skipped == 0
    assert count_messages(path) == (5, 5)


def test_torn_tail_is_no_frame(tmp_path: Path) -> None:
    path = written(tmp_path, MESSAGES[:1], MESSAGES[1:2])
    whole = path.stat().st_size
    for cut in range(1, 40):
        os.truncate(path, whole - cut)
        found, skipped = read(path)
        assert [message.topic for message in found] == ["clicks"]
        assert skipped > 0 or cut == whole - path.stat().st_size


def test_damage_costs_only_its_frame(tmp_path: Path) -> None:
    path = written(tmp_path, MESSAGES[:1], MESSAGES[1:2], MESSAGES[:1])
    data = bytearray(path.read_bytes())
    middle = data.index(b"dead-letters")
    data[middle] ^= 1
    path.write_bytes(data)
    for read_bytes in (10, 1_000):
        found, skipped = read(path, read_bytes=read_bytes)
        assert [message.topic for message in found] == ["clicks", "clicks"]
        assert skipped > 0


def test_frame_inside_an_event_is_not_read(tmp_path: Path) -> None:
    """A sender writes what looks like a frame into an event, and the frame around it is torn."""
    forged = encode_frame(payload(MESSAGES[0]), 1, 0, 0, seed=0)
    path = written(tmp_path, [MESSAGES[0]._replace(value=forged + bytes(100))])
    assert len(read(path, read_bytes=60)[0]) == 1
    os.truncate(path, path.stat().st_size - 50)
    assert read(path)[0] == []
    assert next_frame(forged, 0, 0)[0] is not None


def test_files_are_closed_at_their_size_and_numbered_on(tmp_path: Path) -> None:
    written(tmp_path, *[MESSAGES[:1]] * 4, segment_bytes=200)
    written(tmp_path, MESSAGES[:1])
    assert [path.name for path in segment_paths(tmp_path)] == [f"{number:012d}.spool" for number in (1, 2, 3)]


def test_what_could_not_be_written_does_not_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = SegmentWriter(tmp_path, 1 << 30)
    writer.append(payload(MESSAGES[0]), 1, 0, 5)

    def full(file: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(os, "fsync", full)
        for _ in range(3):
            with pytest.raises(OSError, match="No space"):
                writer.append(payload(MESSAGES[1]), 1, 1, 5)
    assert len(segment_paths(tmp_path)) == 1
    writer.append(payload(MESSAGES[2]), 1, 2, 5)
    writer.seal()
    found = [message.topic for path in segment_paths(tmp_path) for message in read(path)[0]]
    assert found == ["clicks", "conversions"]


def test_slots_are_the_first_free_and_locked_while_they_live(tmp_path: Path) -> None:
    first, second = Slot.claim(tmp_path), Slot.claim(tmp_path)
    assert [slot.folder.name for slot in (first, second)] == ["0", "1"]
    written(first.folder, MESSAGES[:1])
    written(second.folder, MESSAGES[:1])
    assert Slot.abandoned(tmp_path) == []
    second.release()
    (found,) = Slot.abandoned(tmp_path)
    assert found.folder == second.folder
    first.release()
    assert Slot.claim(tmp_path).folder == first.folder
