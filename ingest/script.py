"""The shop's script: ``GET /js/accredit.js``, and under a path that names its content and so never changes."""

from __future__ import annotations

import gzip
import hashlib
from base64 import b64encode
from functools import cache
from http import HTTPStatus
from importlib import resources
from typing import NamedTuple

from ingest.errors import Refusal
from ingest.http import Answer, Scope

NAME = "accredit.js"
PATH = f"/js/{NAME}"
HOUR_S = 3_600
YEAR_S = 31_536_000
DIGEST_SHOWN = 16


class Script(NamedTuple):
    """The file, compressed too. ``path`` contains a digest of it; ``integrity`` is its Subresource Integrity value."""

    content: bytes
    compressed: bytes
    path: str
    integrity: str


@cache
def script() -> Script:
    """The script that this version serves."""
    content = (resources.files("ingest") / "js" / NAME).read_bytes()
    digest = hashlib.sha384(content).digest()
    path = f"/js/accredit.{digest.hex()[:DIGEST_SHOWN]}.js"
    return Script(content, gzip.compress(content, 9, mtime=0), path, f"sha384-{b64encode(digest).decode()}")


class ScriptDoor:
    """Serves it. A page may check it (SRI, ``crossorigin``), so any origin may read it."""

    methods = ("GET", "HEAD")

    async def __call__(self, scope: Scope) -> Answer:
        content, compressed, path, _ = script()
        if scope.path not in (PATH, path):
            detail = f"the script is at {PATH}, this version of it at {path}"
            raise Refusal(HTTPStatus.NOT_FOUND, "NO_SUCH_PATH", detail)
        etag = f'"{path[len("/js/accredit.") : -len(".js")]}"'
        age = f"max-age={YEAR_S}, immutable" if scope.path == path else f"max-age={HOUR_S}"
        headers = [
            ("content-type", "text/javascript; charset=utf-8"),
            ("cache-control", f"public, {age}"),
            ("etag", etag),
            ("access-control-allow-origin", "*"),
            ("cross-origin-resource-policy", "cross-origin"),
            ("x-content-type-options", "nosniff"),
            ("vary", "accept-encoding"),
        ]
        if scope.headers.get("if-none-match") == etag:
            return Answer(HTTPStatus.NOT_MODIFIED, headers)
        if "gzip" in (scope.headers.get("accept-encoding") or ""):
            headers.append(("content-encoding", "gzip"))
            content = compressed
        return Answer(HTTPStatus.OK, headers, b"" if scope.method == "HEAD" else content)
