"""Compressed bodies in both directions: gzip, deflate, lz4 (frames) and zstd, a piece at a time."""

import zlib
from collections.abc import Callable
from typing import Protocol, cast

import lz4.frame
import zstandard

from deploy.local.clickhouse.errors import ServerError, not_implemented

PREFERENCE = ("lz4", "zstd", "gzip", "deflate")
"""Of what a client accepts, the first of these is used: the cheapest first, since the client is on this machine."""


class Decoder(Protocol):
    """Turns a compressed body into a plain one; `finish` raises if the body ended too early."""

    def feed(self, data: bytes) -> bytes: ...
    def finish(self) -> None: ...


class Encoder(Protocol):
    """Compresses an answer; `feed` may hold back, `finish` gives the rest."""

    def feed(self, data: bytes) -> bytes: ...
    def finish(self) -> bytes: ...


class Plain:
    """No compression."""

    def feed(self, data: bytes) -> bytes:
        return data

    def finish(self) -> bytes:
        return b""


class _PlainDecoder:
    def feed(self, data: bytes) -> bytes:
        return data

    def finish(self) -> None:
        return None


class _Frames:
    """Frames or members one after the other, as lz4, zstd and gzip files may hold them."""

    def __init__(self, encoding: str) -> None:
        self._encoding = encoding
        self._current = _decompressor(encoding)
        self._fresh = True

    def feed(self, data: bytes) -> bytes:
        pieces = []
        while data:
            if self._current.eof:
                self._current = _decompressor(self._encoding)
            try:
                pieces.append(self._current.decompress(data))
            except (RuntimeError, EOFError, ValueError, zlib.error, zstandard.ZstdError) as error:
                raise _bad_body(self._encoding, str(error)) from error
            self._fresh = False
            data = (self._current.unused_data or b"") if self._current.eof else b""
        return b"".join(pieces)

    def finish(self) -> None:
        if not self._fresh and not self._current.eof:
            raise _bad_body(self._encoding, "the body ended in the middle of a frame")


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def unused_data(self) -> bytes | None: ...
    def decompress(self, data: bytes) -> bytes: ...


def _decompressor(encoding: str) -> _Decompressor:
    if encoding == "lz4":
        make: Callable[[], _Decompressor] = lz4.frame.LZ4FrameDecompressor
        return make()
    if encoding == "zstd":
        return cast(_Decompressor, zstandard.ZstdDecompressor().decompressobj())
    return cast(_Decompressor, zlib.decompressobj(zlib.MAX_WBITS | 32))


def _bad_body(encoding: str, reason: str) -> ServerError:
    return ServerError(354, "ZLIB_INFLATE_FAILED" if encoding != "lz4" else "LZ4_DECODER_FAILED", reason)


def decoder(content_encoding: str) -> Decoder:
    """For the Content-Encoding of a request. Raises `ServerError` for one that is not known."""
    name = content_encoding.strip().lower().removeprefix("x-")
    if name in ("", "identity"):
        return _PlainDecoder()
    if name in PREFERENCE:
        return _Frames(name)
    raise not_implemented(f"Unknown compression method {content_encoding}: use lz4, zstd, gzip or deflate")


class _Gzip:
    def __init__(self, wbits: int) -> None:
        self._deflate = zlib.compressobj(level=3, wbits=wbits)

    def feed(self, data: bytes) -> bytes:
        return self._deflate.compress(data)

    def finish(self) -> bytes:
        return self._deflate.flush()


class _Zstd:
    def __init__(self) -> None:
        self._compress = zstandard.ZstdCompressor(level=1).compressobj()

    def feed(self, data: bytes) -> bytes:
        return self._compress.compress(data)

    def finish(self) -> bytes:
        return self._compress.flush()


class _Lz4Compressor(Protocol):
    def begin(self) -> bytes: ...
    def compress(self, data: bytes) -> bytes: ...
    def flush(self) -> bytes: ...


class _Lz4:
    def __init__(self) -> None:
        make: Callable[[], _Lz4Compressor] = lz4.frame.LZ4FrameCompressor
        self._compress = make()
        self._begin = self._compress.begin()

    def feed(self, data: bytes) -> bytes:
        begin, self._begin = self._begin, b""
        return begin + self._compress.compress(data)

    def finish(self) -> bytes:
        return self._begin + self._compress.flush()


def chosen_encoding(accept_encoding: str) -> str:
    """The encoding for an answer out of an Accept-Encoding header; empty for none."""
    accepted = set()
    for part in accept_encoding.lower().split(","):
        name, _, weight = part.strip().partition(";")
        if weight.replace(" ", "") not in ("q=0", "q=0.0"):
            accepted.add(name.strip())
    return next((name for name in PREFERENCE if name in accepted), "")


def encoder(encoding: str) -> Encoder:
    """For an encoding out of `chosen_encoding`."""
    if encoding == "lz4":
        return _Lz4()
    if encoding == "zstd":
        return _Zstd()
    if encoding == "gzip":
        return _Gzip(zlib.MAX_WBITS | 16)
    if encoding == "deflate":
        return _Gzip(zlib.MAX_WBITS)
    return Plain()
