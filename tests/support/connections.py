"""A connection without a socket: bytes in, bytes out, and an application that the test plays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from ingest.serving.connection import Connection
from ingest.serving.request import Request
from ingest.serving.sends import Direct


class FakeTransport(asyncio.Transport):
    """Keeps what is written; ``paused``: nothing is read."""

    def __init__(self) -> None:
        super().__init__({"peername": ("203.0.113.9", 4711), "socket": SimpleNamespace(fileno=lambda: -1)})
        self.sent = b""
        self.paused = self.closed = self.ended = self.aborted = False

    def write(self, data: Any) -> None:
        assert not self.closed
        self.sent += bytes(data)

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def can_write_eof(self) -> bool:
        return True

    def write_eof(self) -> None:
        self.ended = True

    def pause_reading(self) -> None:
        assert not self.paused
        self.paused = True

    def resume_reading(self) -> None:
        assert self.paused
        self.paused = False


class Wire:
    """One connection. ``requests``: what was asked, in order; ``answer`` is what the application does at once."""

    def __init__(self, answer: Callable[[Request], None] | None = None, full: bool = False) -> None:
        self.now = 100.0
        self.date = "date: Sun, 10 May 2026 12:00:00 GMT\r\n"
        self.stopping = False
        self.sends = Direct()
        self.full = full
        self.connections: set[Connection] = set()
        self.requests: list[Request] = []
        self._answer = answer
        self.transport = FakeTransport()
        self.connection = Connection(self)
        self.connection.connection_made(self.transport)

    def serve(self, request: Request) -> None:
        self.requests.append(request)
        if self._answer is not None:
            self._answer(request)

    def feed(self, data: bytes) -> None:
        """As the loop would: nothing arrives while reading is paused."""
        assert not self.transport.paused
        self.connection.data_received(data)

    @property
    def said(self) -> list[tuple[int, bytes]]:
        """Statuses and bodies of what was answered, in order."""
        found, rest = [], self.transport.sent
        while rest:
            head, _, rest = rest.partition(b"\r\n\r\n")
            length = [int(line[16:]) for line in head.split(b"\r\n") if line.startswith(b"content-length: ")]
            size = length[0] if length else 0
            found.append((int(head[9:12]), rest[:size]))
            rest = rest[size:]
        return found


def ok(request: Request) -> None:
    """Say what was asked."""
    request.respond(200, [], f"{request.method} {request.path}?{request.query_string}".encode())
