"""Compressed bodies, unpacked within bounds: of output, of members, of memory on the way.

A few bytes can claim gigabytes, and ten megabytes can be a million empty members, so input goes in by small pieces and
is never copied; large bodies are unpacked beside the event loop.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple, Protocol

import zstandard

from ingest.errors import Refusal

PIECE = 512
"""Bytes of zstd that go in at once: four of them can come out as 128 KiB."""
OUT = 64 * 1024
MEMBERS_LIMIT = 10_000
ASIDE = 16 * 1024
"""A body of more bytes is unpacked in a thread: its sender waits, not the others."""


class Step(NamedTuple):
    """What came out, how many bytes of the piece were used for it, and whether the member has ended."""

    out: bytes
    used: int
    ended: bool


class Member(Protocol):
    """One gzip member or zstd frame."""

    def __call__(self, piece: memoryview, /) -> Step: ...


def gzip_member() -> Member:
    inflater = zlib.decompressobj(zlib.MAX_WBITS | 16)

    def step(piece: memoryview) -> Step:
        out = inflater.decompress(piece, OUT)
        used = len(piece) - len(inflater.unconsumed_tail) - len(inflater.unused_data)
        return Step(out, used, inflater.eof)

    return step


def zstd_frame(limit: int) -> Member:
    inflater = zstandard.ZstdDecompressor(max_window_size=max(limit, 1024)).decompressobj()

    def step(piece: memoryview) -> Step:
        out = inflater.decompress(piece[:PIECE])
        return Step(out, len(piece[:PIECE]) - len(inflater.unused_data), inflater.eof)

    return step


async def decompressed(body: bytes, encoding: str | None, *, limit: int) -> bytes:
    """The body after its ``content-encoding``: gzip, zstd, or none. At most ``limit`` bytes come out.

    Refusal: 413 for more, 400 for what cannot be unpacked, 415 for another encoding.
    """
    name = (encoding or "identity").strip().lower()
    if name in ("identity", ""):
        return body
    begin: Callable[[], Member]
    if name in ("gzip", "x-gzip"):
        name, begin = "gzip", gzip_member
    elif name == "zstd":
        begin = lambda: zstd_frame(limit)  # noqa: E731
    else:
        detail = f"content-encoding {name[:40]!r} is not taken here; send gzip, zstd or none"
        raise Refusal(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "UNSUPPORTED_ENCODING",
            detail,
            headers=[("accept-encoding", "gzip, zstd, identity")],
        )
    if len(body) > ASIDE:
        return await asyncio.to_thread(unpack, body, name, begin, limit)
    return unpack(body, name, begin, limit)


def unpack(body: bytes, name: str, begin: Callable[[], Member], limit: int) -> bytes:
    """All members, one after the other."""
    view = memoryview(body)
    out: list[bytes] = []
    size = at = members = 0
    while at < len(view):
        members += 1
        if members > MEMBERS_LIMIT:
            raise undecodable(name, f"it has more than {MEMBERS_LIMIT} members")
        member, ended = begin(), False
        while not ended:
            piece = view[at : at + OUT]
            try:
                part, used, ended = member(piece)
            except (zlib.error, zstandard.ZstdError) as error:
                if "too much memory" in str(error):  # a frame whose window alone is beyond the limit
                    raise too_large(limit) from None
                raise undecodable(name, str(error)) from None
            at += used
            size += len(part)
            if size > limit:
                raise too_large(limit)
            out.append(part)
            if not piece and not part and not ended:
                raise undecodable(name, "it ends too early")
    return b"".join(out)


def too_large(limit: int) -> Refusal:
    detail = f"the body has more than {limit} bytes after decompression; send it in parts"
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "BODY_TOO_LARGE", detail)


def undecodable(encoding: str, why: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "UNDECODABLE_BODY", f"not {encoding}: {why[:200]}")
