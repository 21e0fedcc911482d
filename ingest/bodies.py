"""Request bodies: read with a limit and a deadline, decompressed with a limit. What breaks them is a Refusal."""

from __future__ import annotations

import asyncio
import zlib
from http import HTTPStatus

import zstandard

from ingest.errors import Refusal
from ingest.http import Exchange, Scope

CHUNK = 64 * 1024


async def read_body(scope: Scope, exchange: Exchange, *, limit: int, timeout_s: float) -> bytes:
    """The body as it came. Refusal 413 beyond ``limit``, 408 after ``timeout_s``, 400 when it was cut off."""
    declared = scope.headers.get("content-length")
    if declared is not None and declared.isdecimal() and int(declared[:20]) > limit:
        raise too_large(limit)
    chunks: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(timeout_s):
            async for chunk in exchange:
                size += len(chunk)
                if size > limit:
                    raise too_large(limit)
                chunks.append(bytes(chunk))
    except TimeoutError:
        detail = f"the body did not arrive within {timeout_s:g} s"
        raise Refusal(HTTPStatus.REQUEST_TIMEOUT, "BODY_TIMEOUT", detail) from None
    if declared is not None and declared.isdecimal() and int(declared[:20]) != size:
        # granian ends a broken body as if it were whole
        detail = f"{size} bytes arrived, content-length says {declared[:20]}"
        raise Refusal(HTTPStatus.BAD_REQUEST, "BODY_CUT_OFF", detail)
    return b"".join(chunks)


def too_large(limit: int) -> Refusal:
    detail = f"the body has more than {limit} bytes; send it in parts, or with content-encoding: gzip"
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "BODY_TOO_LARGE", detail, headers=[("connection", "close")])


def decompress(body: bytes, encoding: str | None, *, limit: int) -> bytes:
    """The body after its ``content-encoding``: gzip, zstd, or none. At most ``limit`` bytes come out, else 413."""
    name = (encoding or "identity").strip().lower()
    if name in ("identity", ""):
        return body
    if name in ("gzip", "x-gzip"):
        return gunzip(body, limit)
    if name == "zstd":
        return unzstd(body, limit)
    detail = f"content-encoding {name[:40]!r} is not taken here; send gzip, zstd or none"
    raise Refusal(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "UNSUPPORTED_ENCODING", detail, headers=[accepted_encodings()])


def accepted_encodings() -> tuple[str, str]:
    return ("accept-encoding", "gzip, zstd, identity")


def gunzip(body: bytes, limit: int) -> bytes:
    """All members of a gzip body."""
    out: list[bytes] = []
    size = 0
    rest = body
    try:
        while rest:
            member = zlib.decompressobj(zlib.MAX_WBITS | 16)
            while not member.eof:
                part = member.decompress(rest, CHUNK)
                rest = member.unconsumed_tail
                size += len(part)
                if size > limit:
                    raise inflated_too_large(limit)
                out.append(part)
                if not part and not rest and not member.eof:
                    raise undecodable("gzip", "it ends too early")
            rest = member.unused_data
    except zlib.error as error:
        raise undecodable("gzip", str(error)) from None
    return b"".join(out)


def unzstd(body: bytes, limit: int) -> bytes:
    """All frames of a zstd body."""
    out: list[bytes] = []
    size = 0
    rest = body
    try:
        while rest:
            frame = zstandard.ZstdDecompressor(max_window_size=limit).decompressobj()
            for start in range(0, len(rest), CHUNK):
                part = frame.decompress(rest[start : start + CHUNK])
                size += len(part)
                if size > limit:
                    raise inflated_too_large(limit)
                out.append(part)
                if frame.eof:
                    rest = frame.unused_data + rest[start + CHUNK :]
                    break
            else:
                raise undecodable("zstd", "it ends too early")
    except zstandard.ZstdError as error:
        raise undecodable("zstd", str(error)) from None
    return b"".join(out)


def inflated_too_large(limit: int) -> Refusal:
    detail = f"the body has more than {limit} bytes after decompression; send it in parts"
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "BODY_TOO_LARGE", detail)


def undecodable(encoding: str, why: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, "UNDECODABLE_BODY", f"not {encoding}: {why[:200]}")
