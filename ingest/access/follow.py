"""The access file, followed by a thread: keys come and go without a restart, and no request looks at the disk."""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from ingest.access.book import AccessBook, ApiKey, PostbackAuth, read_book
from ingest.access.sender import Sender
from ingest.errors import AccessInvalid

log = structlog.get_logger(__name__)

POLL_S = 1.0


@dataclass(frozen=True, slots=True)
class Access:
    """A book as the gate asks it. ``senders``: key id → who it speaks for."""

    keys: Mapping[str, ApiKey] = field(default_factory=dict)
    senders: Mapping[str, Sender] = field(default_factory=dict)
    advertisers: Mapping[str, PostbackAuth] = field(default_factory=dict)

    @classmethod
    def of(cls, book: AccessBook) -> Access:
        keys = {key.id: key for key in book.keys}
        return cls(keys, {key.id: key.sender for key in book.keys}, book.advertisers)


class AccessFollower:
    """``current`` is the newest book that could be read. A damaged or vanished file changes nothing but the log."""

    def __init__(self, path: Path) -> None:
        """Reads it once. AccessInvalid."""
        self._path = path
        self._seen = self._state()
        self.current = Access.of(read_book(path))
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="access-follow", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        """Stop following."""
        self._stopped.set()
        self._thread.join(timeout=2 * POLL_S)

    def look(self) -> None:
        """Read the file again if it is another one than last time."""
        state = self._state()
        if state == self._seen:
            return
        self._seen = state
        if state is None:
            log.error("access_file_gone", path=str(self._path))  # deleting a file must not open the door
            return
        try:
            self.current = Access.of(read_book(self._path))
        except AccessInvalid as error:
            log.error("access_file_unusable", error=str(error))
        else:
            log.info("access_read", keys=len(self.current.keys), advertisers=len(self.current.advertisers))

    def _follow(self) -> None:
        while not self._stopped.wait(POLL_S):
            self.look()

    def _state(self) -> tuple[int, int, int] | None:
        """What changes when the file is replaced: its inode, time and mode."""
        try:
            found = os.stat(self._path)
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_mode
