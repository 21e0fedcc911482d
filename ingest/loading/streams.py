"""A file's bytes, decompressed on the way: gzip and zstd by their first bytes. Memory is bounded for any size."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import zstandard

from ingest.errors import FileUnreadable

CHUNK = 1 << 18
WINDOW_LIMIT = 1 << 27
"""Bytes of memory that a zstd frame may ask for: what ``zstd --long`` uses."""
GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


class ZstdStream(io.RawIOBase):
    """All frames of a zstd file; EOFError where the last one is cut off, which zstandard's own reader does not tell."""

    def __init__(self, raw: BinaryIO) -> None:
        self._raw = raw
        self._frame = self._new_frame()
        self._begun = False
        self._rest = b""
        self._out = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        target = memoryview(buffer)  # type: ignore[arg-type]
        while not self._out:
            packed = self._rest or self._raw.read(CHUNK)
            if not packed:
                if self._begun:
                    raise EOFError("the last zstd frame ends too early")
                return 0
            self._begun = True
            self._out = memoryview(self._frame.decompress(packed))
            self._rest = b""
            if self._frame.eof:
                self._rest, self._begun = self._frame.unused_data, False
                self._frame = self._new_frame()
        size = min(len(target), len(self._out))
        target[:size] = self._out[:size]
        self._out = self._out[size:]
        return size

    @staticmethod
    def _new_frame() -> zstandard.ZstdDecompressionObj:
        return zstandard.ZstdDecompressor(max_window_size=WINDOW_LIMIT).decompressobj()


@contextmanager
def decompressed(raw: BinaryIO) -> Iterator[BinaryIO]:
    """The stream's content. FileUnreadable when it is cut off or damaged, from whichever read comes to it."""
    buffered = raw if isinstance(raw, io.BufferedReader) else io.BufferedReader(cast(io.RawIOBase, raw))
    magic = buffered.peek(4)[:4]
    try:
        if magic.startswith(GZIP_MAGIC):
            yield cast(BinaryIO, gzip.GzipFile(fileobj=buffered))
        elif magic == ZSTD_MAGIC:
            yield cast(BinaryIO, io.BufferedReader(ZstdStream(cast(BinaryIO, buffered)), CHUNK))
        else:
            yield cast(BinaryIO, buffered)
    except (EOFError, gzip.BadGzipFile, zlib.error, zstandard.ZstdError) as error:
        raise FileUnreadable(f"the compressed file is damaged or cut off: {error}") from None


def name_within(path: Path) -> str:
    """The file's ending without that of its compression: ``events.csv.gz`` is ``.csv``."""
    return Path(path.stem).suffix.lower() if path.suffix.lower() in (".gz", ".zst", ".zstd") else path.suffix.lower()
