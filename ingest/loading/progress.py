"""How far a load has come, durably: ``DATA/loads/<identity>.json``, gone when the file is through.

A file is known by its size, its modification time and its first 64 KiB, together with what it is read as and the Kafka
cluster it goes into: a file that was moved goes on, one that was written to begins anew.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import orjson

from ingest.errors import AlreadyLoading

HEAD_BYTES = 64 * 1024


@dataclass
class Progress:
    """What has been done of a file: rows up to ``number``, what they were, what was wrong."""

    number: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)


def identity_of(stream: BinaryIO, read_as: Sequence[str]) -> str:
    """32 hex digits for an open file; its position is kept. ``read_as``: mapping, cluster, whatever else matters."""
    at = stream.tell()
    head = stream.read(HEAD_BYTES)
    stream.seek(at)
    stat = os.fstat(stream.fileno())
    state = hashlib.blake2b(orjson.dumps([stat.st_size, stat.st_mtime_ns, *read_as]), digest_size=16)
    state.update(head)
    return state.hexdigest()


class ProgressFile:
    """One load's file. Held by one process at a time."""

    def __init__(self, folder: Path, identity: str) -> None:
        self._path = folder / f"{identity}.json"

    @contextmanager
    def held(self) -> Iterator[None]:
        """AlreadyLoading where another process loads the same file."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        lock_path = self._path.with_suffix(".lock")
        with lock_path.open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyLoading from None
            yield
            if not self._path.exists():
                lock_path.unlink(missing_ok=True)

    def read(self) -> Progress | None:
        """Where an earlier load stopped; None when there was none, or nothing can be read of it."""
        try:
            found = orjson.loads(self._path.read_bytes())
            return Progress(int(found["number"]), Counter(found["kinds"]), Counter(found["reasons"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, progress: Progress, file: str) -> None:
        """Durable when it returns. ``file`` is for who looks into the folder."""
        content = {"file": file, "number": progress.number, "kinds": progress.kinds, "reasons": progress.reasons}
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as out:
            out.write(orjson.dumps(content, option=orjson.OPT_INDENT_2))
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(self._path)

    def remove(self) -> None:
        """The file is through, or begins anew."""
        self._path.unlink(missing_ok=True)
