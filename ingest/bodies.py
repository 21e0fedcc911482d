"""Request bodies: read with a limit and a deadline. What breaks them is a Refusal."""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from ingest.errors import Refusal
from ingest.http import Exchange, Scope


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
    return b"".join(chunks)


def too_large(limit: int) -> Refusal:
    detail = f"the body has more than {limit} bytes; send it in parts, or with content-encoding: gzip"
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "BODY_TOO_LARGE", detail)
