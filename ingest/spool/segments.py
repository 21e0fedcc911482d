"""A spool's files on disk: written, synced, read, deleted. Everything here blocks; a thread calls it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import NamedTuple

from ingest.envelope import Message
from ingest.spool.frame import (
    FILE_HEAD,
    FILE_MARK,
    FRAME_HEAD,
    HEAD,
    MAGIC,
    SUMMED,
    Frame,
    encode_frame,
    frame_end,
    messages_of,
    next_frame,
)

SUFFIX = ".spool"
DAMAGED = ".damaged"
LOCK = "lock"
SLOTS = 4_096
READ_BYTES = 2 << 20


class Written(NamedTuple):
    """Where a frame lies. ``sealed``: its file takes no more."""

    path: Path
    end: int
    sealed: bool


class Portion(NamedTuple):
    """Frames read at once, with their messages. ``skipped``: bytes among them that are no frame."""

    frames: list[tuple[Frame, list[Message]]]
    end: int
    skipped: int


class Slot:
    """The folder of one process, locked for as long as it lives: ``ROOT/0``, ``ROOT/1``, … the first that is free."""

    def __init__(self, folder: Path, lock: int) -> None:
        self.folder = folder
        self._lock = lock

    @classmethod
    def claim(cls, root: Path) -> Slot:
        """OSError when the folder cannot be made or written to."""
        for number in range(SLOTS):
            slot = cls.lock(root / str(number))
            if slot is not None:
                return slot
        raise OSError(f"all {SLOTS} slots of {root} are taken")

    @classmethod
    def abandoned(cls, root: Path) -> list[Slot]:
        """Slots with events whose process is gone, now locked by us."""
        folders = [folder for folder in root.iterdir() if folder.name.isdigit()] if root.is_dir() else []
        slots = (cls.lock(folder) for folder in folders if segment_paths(folder))
        return [slot for slot in slots if slot is not None]

    @classmethod
    def lock(cls, folder: Path) -> Slot | None:
        """None when another process has it."""
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        return cls(folder, lock)

    def release(self) -> None:
        os.close(self._lock)


class SegmentWriter:
    """Appends frames to the files of a folder. What ``append`` has returned for is on the disk."""

    def __init__(self, folder: Path, segment_bytes: int) -> None:
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._number = max((int(path.stem) for path in folder.iterdir() if path.stem.isdigit()), default=0)
        self._file: int | None = None
        self._path = folder
        self._end = 0
        self._seed = 0

    def append(self, payload: bytes, count: int, first: int, written_at: int) -> Written:
        """Write and sync. OSError when that fails: nothing of the frame counts, and its file is not used any more."""
        file = self._file
        if file is None:
            file = self._open()
        frame = encode_frame(payload, count, first, written_at, self._seed)
        try:
            write_all(file, frame)
            os.fsync(file)
        except OSError:
            self._abandon()
            raise
        self._end += len(frame)
        written = Written(self._path, self._end, self._end >= self._segment_bytes)
        if written.sealed:
            self.seal()
        return written

    def seal(self) -> None:
        """Take no more into the current file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _abandon(self) -> None:
        """Take back what was written in part, or the whole file if it has no frame."""
        assert self._file is not None
        try:
            if self._end == FILE_HEAD.size:
                self._path.unlink()
            else:
                os.ftruncate(self._file, self._end)
        except OSError:
            pass  # reading tells by the checksum
        self.seal()

    def _open(self) -> int:
        self._number += 1
        self._path = self._folder / f"{self._number:012d}{SUFFIX}"
        self._seed = int.from_bytes(os.urandom(4))
        self._end = FILE_HEAD.size
        self._file = file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            write_all(file, FILE_HEAD.pack(FILE_MARK, self._seed))
            sync_folder(self._folder)
        except OSError:
            self._abandon()
            raise
        return file


def write_all(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]


def sync_folder(folder: Path) -> None:
    """A new file's name is on the disk after this."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def segment_paths(folder: Path) -> list[Path]:
    """The files with events, oldest first."""
    return sorted(path for path in folder.iterdir() if path.suffix == SUFFIX)


def read_portion(path: Path, start: int, end: int, read_bytes: int = READ_BYTES) -> Portion:
    """Frames from ``start`` on, some ``read_bytes`` of them and one at least, if there is any before ``end``."""
    with path.open("rb") as file:
        seed = seed_of(file.read(FILE_HEAD.size))
        if seed is None:
            return Portion([], end, end if end > FILE_HEAD.size else 0)
        start = max(start, FILE_HEAD.size)
        file.seek(start)
        data = file.read(min(read_bytes, end - start))
        if next_frame(data, 0, seed)[0] is None:
            data += file.read(end - start - len(data))  # one that is larger, or damage: all there is
    whole = start + len(data) >= end
    frames: list[tuple[Frame, list[Message]]] = []
    at = skipped = 0
    while at < len(data):
        if not whole and frame_end(data, at) > len(data):
            break  # the rest of it is for the next reading
        frame, before = next_frame(data, at, seed)
        if frame is None and not whole:
            break
        skipped += before
        if frame is None:
            at = len(data)
        else:
            frames.append((frame, list(messages_of(frame.payload))))
            at = frame.end
    return Portion(frames, start + at, skipped)


def seed_of(head: bytes) -> int | None:
    """The seed in a file's first bytes; None where they were not written."""
    if len(head) < FILE_HEAD.size:
        return None
    mark, seed = FILE_HEAD.unpack(head)
    return int(seed) if mark == FILE_MARK else None


def count_messages(path: Path) -> tuple[int, int]:
    """Roughly how many messages a file has (exactly if it is sound), and when its first frame was written."""
    count = since = 0
    at = FILE_HEAD.size
    with path.open("rb") as file:
        file.seek(at)
        while len(head := file.read(FRAME_HEAD)) == FRAME_HEAD:
            magic, size, _ = HEAD.unpack_from(head)
            if magic != MAGIC:
                break
            messages, _, written_at = SUMMED.unpack_from(head, HEAD.size)
            count += messages
            since = since or written_at
            at += FRAME_HEAD + size
            file.seek(at)
    return count, since


def discard(path: Path, *, keep: bool = False) -> None:
    """Delete a file that was sent; ``keep`` renames it: something in it could not be read or sent."""
    if keep:
        path.rename(path.with_suffix(DAMAGED))
    else:
        path.unlink(missing_ok=True)
