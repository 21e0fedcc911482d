"""A file of the operator's that is read again when it is replaced."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from ingest.errors import ConfigInvalid

log = structlog.get_logger(__name__)

LOOK_EVERY_MS = 5_000
Content = TypeVar("Content")
Stamp = tuple[int, int, int]


class Watched(Generic[Content]):
    """``content`` is the file's as last read. A new file that cannot be used is logged, and the old one stays."""

    def __init__(self, path: Path, read: Callable[[Path], Content]) -> None:
        """``read`` raises ValueError or OSError for a file that cannot be used; here that is ConfigInvalid."""
        self._path = path
        self._read = read
        self._look_at = 0
        try:
            self._stamp = stamp(path)
            self.content = read(path)
        except (OSError, ValueError) as error:
            raise ConfigInvalid(f"{path}: {error}") from None

    def look(self, now: int) -> bool:
        """Read it again if it is another file than before; whether it was. Looks every five seconds at most."""
        if now < self._look_at:
            return False
        self._look_at = now + LOOK_EVERY_MS
        try:
            there = stamp(self._path)
            if there == self._stamp:
                return False
            self._stamp = there
            self.content = self._read(self._path)
        except (OSError, ValueError) as error:
            log.error("file_not_read_again", path=str(self._path), error=str(error))
            return False
        log.info("file_read_again", path=str(self._path))
        return True


def stamp(path: Path) -> Stamp:
    found = path.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino
