"""What a process says of itself over HTTP: alive, ready, and if not, why."""

from __future__ import annotations

import json
from typing import NamedTuple
from urllib.error import HTTPError, URLError
from urllib.request import ProxyHandler, Request, build_opener

TIMEOUT_S = 2.0
DIRECT = build_opener(ProxyHandler({}))
"""Without the user's proxy: everything asked here is on this machine."""


class Health(NamedTuple):
    """``alive``: it answers. ``ready``: it does its work. ``reason``: what it says where it is not ready."""

    alive: bool
    ready: bool
    reason: str


def fetch(url: str, timeout_s: float = TIMEOUT_S) -> tuple[int, bytes]:
    """Status and body of a GET; OSError if nothing answers."""
    try:
        with DIRECT.open(Request(url, headers={"Accept": "*/*"}), timeout=timeout_s) as answer:
            return answer.status, answer.read()
    except HTTPError as error:
        return error.code, error.read()
    except URLError as error:
        raise OSError(str(error.reason)) from error


def health(url: str, timeout_s: float = TIMEOUT_S, ready_path: str = "/readyz") -> Health:
    """Ask a process for its health. Never raises."""
    try:
        status, body = fetch(url.rstrip("/") + ready_path, timeout_s)
    except OSError as error:
        return Health(False, False, f"does not answer: {error}")
    return Health(True, status == 200, "" if status == 200 else reason_of(body) or f"answers {status}")


def reason_of(body: bytes) -> str:
    """The reason in the body of a 503: its ``reason``, ``reasons`` or ``missing``, else ``detail``, else the text."""
    try:
        said = json.loads(body)
    except ValueError:
        return " ".join(body.decode(errors="replace").split())[:200]
    if not isinstance(said, dict):
        return str(said)[:200]
    for name in ("reason", "reasons", "missing", "detail"):
        if said.get(name):
            found = said[name]
            return ", ".join(map(str, found)) if isinstance(found, list) else str(found)
    return json.dumps(said)[:200]
