"""``/openapi.json`` and ``/docs``: made once per process, when somebody first asks."""

from __future__ import annotations

import hashlib
from functools import cache
from http import HTTPStatus

import orjson

from ingest.http import JSON, Answer, HeaderList, Scope
from ingest.openapi.document import specification
from ingest.openapi.page import POLICY, page

METHODS = ("GET", "HEAD")
HTML: HeaderList = [
    ("content-type", "text/html; charset=utf-8"),
    ("content-security-policy", POLICY),
    ("referrer-policy", "no-referrer"),
]


@cache
def document() -> tuple[bytes, str]:
    """The JSON, and its entity tag."""
    content = orjson.dumps(specification(), option=orjson.OPT_INDENT_2)
    return content, f'"{hashlib.sha256(content).hexdigest()[:16]}"'


@cache
def html() -> bytes:
    return page(specification()).encode()


async def openapi(scope: Scope) -> Answer:
    """The document, for any origin's tools."""
    content, tag = document()
    return answered(scope, tag, [JSON, ("access-control-allow-origin", "*")], content)


async def docs(scope: Scope) -> Answer:
    """The page."""
    return answered(scope, document()[1], HTML, html())


def answered(scope: Scope, tag: str, headers: HeaderList, content: bytes) -> Answer:
    kept = [("etag", tag), ("cache-control", "no-cache"), ("x-content-type-options", "nosniff")]
    if scope.headers.get("if-none-match") == tag:
        return Answer(HTTPStatus.NOT_MODIFIED, kept)
    return Answer(HTTPStatus.OK, [*headers, *kept], content if scope.method == "GET" else b"")
