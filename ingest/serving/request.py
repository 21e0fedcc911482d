"""One request as the doors see it: what was asked (``Scope``), its body, and the way back (``Exchange``)."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from httptools import parse_url

from ingest.errors import Refusal
from ingest.http import HeaderList

if TYPE_CHECKING:
    from ingest.serving.connection import Connection

BODY_WAITING: Final = 256 * 1024
"""Bytes of a body that nobody has taken yet, after which the sender is not read any more."""


class Headers(dict[str, str]):
    """Names are lower case; the first value of each. A header that is not UTF-8 is not there."""

    __slots__ = ("_more",)

    def __init__(self) -> None:
        self._more: list[tuple[str, str]] = []

    def add_more(self, name: str, value: str) -> None:
        """A header that was there already."""
        self._more.append((name, value))

    def count(self) -> int:
        """How many came."""
        return len(self) + len(self._more)

    def size(self) -> int:
        """Characters of all names and values."""
        return sum([len(name) + len(value) for name, value in (*self.items(), *self._more)])

    def get_all(self, name: str, /) -> list[str]:
        """All values of a header, in their order."""
        first = self.get(name)
        if first is None:
            return []
        return [first, *(value for other, value in self._more if other == name)] if self._more else [first]


class Request:
    """``path`` is percent-decoded, ``client`` is ``address:port``. ``complete``: its body has come to its end."""

    __slots__ = (
        "_chunks",
        "_connection",
        "_cut",
        "_size",
        "_waiter",
        "authority",
        "client",
        "complete",
        "headers",
        "keep_alive",
        "method",
        "path",
        "query_string",
        "scheme",
    )

    def __init__(
        self, connection: Connection, method: str, target: bytes, headers: Headers, client: str, keep_alive: bool
    ) -> None:
        """ValueError for a target that is no path and no URL."""
        self.method = method
        self.headers = headers
        self.client = client
        self.scheme = "http"
        self.authority: str | None = None
        if target[:1] != b"/":
            target = self._absolute(target)
        path, _, query = target.decode("ascii").partition("?")
        self.path = unquote(path, errors="replace") if "%" in path else path
        self.query_string = query
        self.keep_alive = keep_alive
        self.complete = False
        self._connection = connection
        self._chunks: deque[bytes] | None = None
        self._size = 0
        self._cut = False
        self._waiter: asyncio.Future[None] | None = None

    def _absolute(self, target: bytes) -> bytes:
        """The path of ``http://host/path``, as proxies ask for it, whose host goes before the header's."""
        if target == b"*" or self.method == "CONNECT":
            return b"/" + target.lstrip(b"/")
        parts = parse_url(target)
        if parts.host is not None:
            port = "" if parts.port is None else f":{parts.port}"
            self.authority = f"{parts.host.decode('ascii')}{port}"
        return (parts.path or b"/") + (b"?" + parts.query if parts.query else b"")

    def __aiter__(self) -> AsyncIterator[bytes]:
        """The body as it comes. Refusal 400 when it breaks off."""
        self._connection.body_wanted(self)
        return Body(self)

    async def chunk(self) -> bytes | None:
        """The next part of the body, None at its end. Refusal 400 when it breaks off."""
        while not self._chunks:
            if self.complete:
                return None
            if self._cut:
                raise Refusal(HTTPStatus.BAD_REQUEST, "BODY_CUT_OFF", "the body broke off before its end")
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        chunk = self._chunks.popleft()
        self._size -= len(chunk)
        if self._size < BODY_WAITING:
            self._connection.read_on()
        return chunk

    def respond(self, status: int, headers: HeaderList, body: bytes = b"") -> None:
        """The answer, once."""
        self._connection.answer(self, status, headers, body)

    # -- what the connection tells

    def take(self, chunk: bytes) -> bool:
        """A part of the body. False when so much waits that no more should come for now."""
        if self._chunks is None:
            self._chunks = deque()
        self._chunks.append(chunk)
        self._size += len(chunk)
        self._wake()
        return self._size < BODY_WAITING

    def end(self, *, cut: bool = False) -> None:
        """No more of the body comes. ``cut``: though it is not whole."""
        self.complete, self._cut = not cut, cut
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Body:
    """Iterates over a request's body."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def __aiter__(self) -> Body:
        return self

    async def __anext__(self) -> bytes:
        chunk = await self._request.chunk()
        if chunk is None:
            raise StopAsyncIteration
        return chunk
