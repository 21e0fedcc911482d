"""QR codes of short links: SVG to print, PNG to post."""

from __future__ import annotations

import asyncio
import io
from functools import lru_cache
from http import HTTPStatus

from ingest.errors import Refusal
from ingest.http import Answer, Scope, host_of
from schemas.urls import read_web_url

TYPES = {"svg": "image/svg+xml", "png": "image/png"}
SCALE = 12
"""Pixels of a PNG's module: about 400 for a short link, sharp on paper the size of a hand."""
BORDER = 4  # the quiet zone that the standard asks for


@lru_cache(maxsize=256)
def qr_code(text: str, kind: str) -> bytes:
    """The code's picture, ``svg`` or ``png``, at error correction M: 15 % of it may be dirty."""
    import segno

    out = io.BytesIO()
    code = segno.make(text, error="m", micro=False)
    if kind == "svg":
        code.save(out, kind="svg", border=BORDER, scale=8, svgns=True, xmldecl=True, title=text)
    else:
        code.save(out, kind="png", border=BORDER, scale=SCALE)
    return out.getvalue()


async def qr_answer(scope: Scope, base_url: str | None, slug: str, kind: str) -> Answer:
    """The picture of a short link's address. Refusal for another kind than SVG and PNG, and for a senseless host."""
    if kind not in TYPES:
        raise Refusal(HTTPStatus.NOT_FOUND, "NO_SUCH_PATH", f"a link's code comes as {slug}.svg and {slug}.png")
    base = read_web_url(base_url or f"{scope.scheme}://{host_of(scope)}")
    if base is None or base.rest:
        raise Refusal(HTTPStatus.BAD_REQUEST, "INVALID_FIELD", "is not a host name", field="host")
    body = await asyncio.to_thread(qr_code, f"{base.origin}/l/{slug}", kind)
    headers = [
        ("content-type", TYPES[kind]),
        ("cache-control", "max-age=3600"),
        ("content-security-policy", "default-src 'none'; style-src 'unsafe-inline'"),
        ("x-content-type-options", "nosniff"),
    ]
    return Answer(HTTPStatus.OK, headers, body)
