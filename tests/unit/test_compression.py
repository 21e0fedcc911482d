"""Compressed bodies: whole, in members, cut off, and made to hurt."""

from __future__ import annotations

import asyncio
import gzip

import pytest
import zstandard

from ingest.compression import MEMBERS_LIMIT, decompressed
from ingest.errors import Refusal

TEXT = b"one event after the other\n" * 20_000
MEBIBYTE = 1 << 20


def unpacked(body: bytes, encoding: str | None, limit: int = MEBIBYTE) -> bytes:
    return asyncio.run(decompressed(body, encoding, limit=limit))


def refused(body: bytes, encoding: str, limit: int = MEBIBYTE) -> tuple[int, str]:
    with pytest.raises(Refusal) as caught:
        unpacked(body, encoding, limit)
    return caught.value.status, caught.value.detail


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("ZSTD", zstandard.compress)]
)
def test_whole_and_in_members(encoding: str, pack: type[bytes]) -> None:
    assert unpacked(pack(TEXT), encoding) == TEXT
    assert unpacked(pack(TEXT[:100]) + pack(b"") + pack(TEXT[100:]), encoding) == TEXT
    assert unpacked(b"", encoding) == b""
    assert refused(pack(TEXT)[:-5], encoding) == (400, f"not {encoding.lower().removeprefix('x-')}: it ends too early")
    assert refused(pack(TEXT) + b"more", encoding)[0] == 400


def test_as_it_is() -> None:
    assert unpacked(TEXT, None) == unpacked(TEXT, "identity") == TEXT
    assert refused(TEXT, "br")[0] == 415


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("zstd", zstandard.compress)])
def test_not_more_than_the_limit(encoding: str, pack: type[bytes]) -> None:
    bomb = pack(bytes(64 * MEBIBYTE))
    assert len(bomb) < 100_000
    assert refused(bomb, encoding)[0] == 413
    exact = pack(bytes(MEBIBYTE))
    assert len(unpacked(exact, encoding)) == MEBIBYTE
    assert refused(exact, encoding, MEBIBYTE - 1)[0] == 413


@pytest.mark.parametrize(("encoding", "pack"), [("gzip", gzip.compress), ("zstd", zstandard.compress)])
def test_not_more_members_than_anyone_needs(encoding: str, pack: type[bytes]) -> None:
    assert refused(pack(b"") * (MEMBERS_LIMIT + 1), encoding) == (
        400,
        f"not {encoding}: it has more than {MEMBERS_LIMIT} members",
    )
