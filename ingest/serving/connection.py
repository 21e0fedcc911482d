"""One connection: httptools reads HTTP/1.1, this keeps order, limits and time.

Requests are served one after the other. A visit costs no task and no coroutine here: it is handed to the doors within
the call in which its last byte came, and its answer is written when its event is durable.
"""

from __future__ import annotations

import asyncio
from collections import deque
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, Protocol, cast

import structlog
from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from ingest.errors import Refusal
from ingest.http import HeaderList, problem
from ingest.serving.request import Headers, Request
from ingest.serving.sends import Sends

log = structlog.get_logger(__name__)

HEAD_BYTES: Final = 64 * 1024
HEADERS_LIMIT: Final = 128
PIPELINED: Final = 16
"""Requests that may wait on one connection before it is not read any more."""
HEAD_TIMEOUT_S: Final = 10.0
IDLE_S: Final = 75.0
"""How long a connection may stay open without a request, or an answer may lie unread."""
LINGER_S: Final = 2.0
"""How long what still comes is read and thrown away, so that a sender gets to see why it was refused."""
NEVER: Final = float("inf")
STATUS_LINES: Final = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}
NO_LENGTH: Final = frozenset({HTTPStatus.NO_CONTENT.value, HTTPStatus.NOT_MODIFIED.value})
OURS: Final = "this is our mistake, not yours; it is in our log"
CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
USUAL_HEADERS: Final = (
    "Host User-Agent Accept Accept-Language Accept-Encoding Referer Cookie Connection Content-Type Content-Length DNT "
    "Sec-GPC Sec-Fetch-Site Sec-Fetch-Mode Sec-Fetch-Dest Sec-Fetch-User Sec-CH-UA Sec-CH-UA-Mobile "
    "Sec-CH-UA-Platform Upgrade-Insecure-Requests Cache-Control Priority X-Forwarded-For X-Forwarded-Proto "
    "X-Forwarded-Host Authorization traceparent"
)
NAMES: Final = {spelt.encode(): name.lower() for name in USUAL_HEADERS.split() for spelt in (name, name.lower())}
"""As browsers spell them, and as we look for them."""
METHODS: Final = {name.encode(): name for name in ("GET", "HEAD", "POST", "PUT", "OPTIONS")}


class Server(Protocol):
    """What a connection knows of the process that it belongs to."""

    now: float
    """The loop's clock in seconds, of up to a second ago."""
    date: str
    """The ``date`` header's line."""
    stopping: bool
    sends: Sends
    connections: set[Connection]

    @property
    def full(self) -> bool: ...

    def serve(self, request: Request, /) -> None: ...


class Connection(asyncio.Protocol):
    """Bytes to requests, answers to bytes. ``deadline``: when it is closed, by the loop's clock."""

    __slots__ = (
        "_active",
        "_client",
        "_closing",
        "_fault",
        "_file",
        "_headers",
        "_parser",
        "_paused",
        "_queue",
        "_receiving",
        "_server",
        "_starting",
        "_transport",
        "_unread",
        "_url",
        "_writable",
        "deadline",
    )

    def __init__(self, server: Server) -> None:
        self._server = server
        self._parser = HttpRequestParser(self)
        self._active: Request | None = None
        self._receiving: Request | None = None
        self._queue: deque[Request] = deque()
        self._headers = Headers()
        self._url = b""
        self._unread = 0
        self._starting = self._paused = self._closing = False
        self._writable = True
        self._fault: Refusal | None = None
        self._client = ""
        self._transport: asyncio.Transport | None = None
        self.deadline = server.now + HEAD_TIMEOUT_S

    # -- from the loop

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._file: int = transport.get_extra_info("socket").fileno()
        host, port = (transport.get_extra_info("peername") or ("", 0))[:2]
        self._client = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        if self._server.full:
            detail = "this process has as many connections as it takes; come again"
            self._fail(Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "TOO_MANY_CONNECTIONS", detail))
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._server.connections.discard(self)
        self._queue.clear()
        if self._receiving is not None:
            self._receiving.end(cut=True)

    def data_received(self, data: bytes) -> None:
        if self._closing or self._fault is not None:
            return  # it lingers
        if self._unread == 0 and not data.isascii():
            data = with_ascii_target(data)
        self._unread += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            self._hang_up_after_last()  # we stay with HTTP/1.1, and what came behind is lost
        except HttpParserError as error:
            self._fail(refusal_of(error))
        else:
            if self._unread > HEAD_BYTES:
                self._fail(head_too_large())
            elif self._receiving is not None and self._active is None:
                self._start(self._receiving)  # its body is still to come

    def eof_received(self) -> bool:
        """The sender has said all. What it asked for is still answered."""
        if self._receiving is not None:
            self._receiving.end(cut=True)
        self._hang_up_after_last()
        return self._active is not None and not self._closing

    def pause_writing(self) -> None:
        self._writable = False

    def resume_writing(self) -> None:
        self._writable = True
        self._next()

    # -- from the parser

    def on_message_begin(self) -> None:
        self._headers = Headers()
        self._url = b""
        self.deadline = self._server.now + HEAD_TIMEOUT_S

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._receiving is not None:
            return  # a trailer
        try:
            text = value.decode().rstrip(" \t")
        except UnicodeDecodeError:
            return
        headers, lower = self._headers, NAMES.get(name) or name.decode("latin-1").lower()
        if lower in headers:
            headers.add_more(lower, text)
        else:
            headers[lower] = text

    def on_headers_complete(self) -> None:
        parser, headers = self._parser, self._headers
        method = parser.get_method()
        if headers.count() > HEADERS_LIMIT or (
            self._unread > HEAD_BYTES and headers.size() + len(self._url) > HEAD_BYTES
        ):
            raise head_too_large()
        keep_alive = parser.should_keep_alive() and parser.get_http_version() == "1.1"
        self._unread = 0
        try:
            request = Request(
                self, METHODS.get(method) or method.decode("ascii"), self._url, headers, self._client, keep_alive
            )
        except (ValueError, HttpParserError):
            raise Refusal(HTTPStatus.BAD_REQUEST, "MALFORMED_REQUEST", "what is asked for is no path") from None
        self._receiving = request
        self.deadline = NEVER

    def on_body(self, body: bytes) -> None:
        self._unread = 0
        if self._receiving is not None and not self._receiving.take(body):
            self._pause()

    def on_message_complete(self) -> None:
        request, self._receiving = self._receiving, None
        self._unread = 0
        if request is None or self._closing:
            return
        request.end()
        if request is self._active:
            return
        if self._active is None and self._writable and not self._queue:
            self._start(request)
        else:
            self._queue.append(request)
            if len(self._queue) >= PIPELINED:
                self._pause()

    # -- from requests

    def body_wanted(self, request: Request) -> None:
        """A door begins to read the body."""
        if not request.complete and request.headers.get("expect", "").lower() == "100-continue":
            self._write(CONTINUE)

    def read_on(self) -> None:
        """There is room again."""
        if self._paused and self._transport is not None and len(self._queue) < PIPELINED:
            self._paused = False
            self._transport.resume_reading()

    def answer(self, request: Request, status: int, headers: HeaderList, body: bytes) -> None:
        """Write the answer to the active request, and go on."""
        self._active = None
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        lines = header_lines(headers)
        if lines is None:
            log.error("line_break_in_a_header", path=request.path[:200], headers=repr(headers)[:1_000])
            mistake = problem(Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", OURS))
            status, lines, body = mistake.status, header_lines(mistake.headers) or "", mistake.body
        goes_on = request.keep_alive and request.complete and not self._server.stopping
        end = "\r\n" if goes_on else "connection: close\r\n\r\n"
        length = f"content-length: {len(body)}\r\n" if body or has_length(request, status) else ""
        head = f"{STATUS_LINES[status]}{lines}{length}{self._server.date}{end}".encode("latin-1", "replace")
        data = head + body if body and request.method != "HEAD" else head
        if goes_on:
            self._server.sends.send(transport, self._file, data)
            self.deadline = self._server.now + IDLE_S
            if self._queue or self._paused or self._receiving is not None or self._fault is not None:
                self._next()
        else:
            self._write(data)
            self._hang_up(at_once=request.complete)

    def expire(self) -> None:
        """Its deadline has passed."""
        if self._transport is None:
            return
        if self._unread and not self._closing:
            detail = f"the request's head did not arrive within {HEAD_TIMEOUT_S:g} s"
            self._fail(Refusal(HTTPStatus.REQUEST_TIMEOUT, "HEAD_TIMEOUT", detail))
        else:
            self._transport.abort()

    def stop(self) -> bool:
        """The process ends: close when nothing is to be answered. Whether something is."""
        if self._active is None and self._receiving is None and self._transport is not None:
            self._server.sends.flush()
            self._transport.close()
        return self._active is not None or self._receiving is not None

    # -- its own

    def _write(self, data: bytes) -> None:
        """Now, behind what was answered before."""
        self._server.sends.flush()
        if self._transport is not None:
            self._transport.write(data)

    def _start(self, request: Request) -> None:
        self._active = request
        self.deadline = NEVER
        self._server.serve(request)

    def _next(self) -> None:
        """Serve what waits. An answer may come within the call, so this is a loop, and not entered twice."""
        if self._starting:
            return
        self._starting = True
        while self._queue and self._active is None and self._writable and not self._closing:
            self._start(self._queue.popleft())
        self._starting = False
        if self._active is not None or self._closing or not self._writable:
            return
        if self._receiving is not None:
            self._start(self._receiving)
        elif self._fault is not None:
            self._say(self._fault)
        self.read_on()

    def _pause(self) -> None:
        if not self._paused and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()

    def _fail(self, refusal: Refusal) -> None:
        """Nothing more can be read: a request whose body was coming is cut off, else say why, after what waits."""
        self._fault = refusal
        if self._receiving is not None:
            self._receiving.end(cut=True)
            if self._active is None:
                self._start(self._receiving)
        elif self._active is None and not self._queue:
            self._say(refusal)

    def _say(self, refusal: Refusal) -> None:
        if self._transport is None or self._closing:
            return
        answer = problem(refusal)
        end = f"content-length: {len(answer.body)}\r\n{self._server.date}connection: close\r\n\r\n"
        head = f"{STATUS_LINES[answer.status]}{header_lines(answer.headers)}{end}"
        self._write(head.encode() + answer.body)
        self._hang_up(at_once=False)

    def _hang_up_after_last(self) -> None:
        last = self._queue[-1] if self._queue else self._active
        if last is not None:
            last.keep_alive = False
        elif not self._closing:
            self._hang_up(at_once=True)

    def _hang_up(self, *, at_once: bool) -> None:
        """Close; unless ``at_once``, what still comes is read for a while: a reset would take our answer away."""
        self._closing = True
        transport = self._transport
        if transport is None:
            return
        self._server.sends.flush()
        if at_once:
            transport.close()
            self.deadline = self._server.now + IDLE_S  # an answer that nobody takes
            return
        if self._paused:
            self._paused = False
            transport.resume_reading()
        self.deadline = self._server.now + LINGER_S
        if transport.can_write_eof():
            transport.write_eof()


def header_lines(headers: HeaderList) -> str | None:
    """As they go out; None when one has a line break in it, which would be another header, or an answer of its own."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
    return lines if lines.count("\n") == len(headers) else None


def has_length(request: Request, status: int) -> bool:
    """Whether an answer without a body says so; to HEAD it would say something else than to GET."""
    return request.method != "HEAD" and status not in NO_LENGTH


def refusal_of(error: HttpParserError) -> Refusal:
    """What a sender is told of what the parser, or we in its midst, could not take."""
    cause = error.__context__
    if isinstance(cause, Refusal):
        return cause
    if cause is not None:
        log.error("request_failed", exc_info=cause)
        return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", OURS)
    return Refusal(HTTPStatus.BAD_REQUEST, "MALFORMED_REQUEST", f"this is no HTTP/1.1: {error}")


def head_too_large() -> Refusal:
    detail = f"the request's head has more than {HEAD_BYTES // 1024} KiB or {HEADERS_LIMIT} headers"
    return Refusal(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "HEAD_TOO_LARGE", detail)


def with_ascii_target(data: bytes) -> bytes:
    """A request whose first line has bytes beyond ASCII, as careless programs send them, percent-encoded there."""
    line, end, rest = data.partition(b"\r\n")
    if line.isascii():
        return data
    return b"".join([b"%%%02X" % byte if byte > 0x7F else bytes((byte,)) for byte in line]) + end + rest


def date_line() -> str:
    """The ``date`` header of this second."""
    return f"date: {formatdate(usegmt=True)}\r\n"
