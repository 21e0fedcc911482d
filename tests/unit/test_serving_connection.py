"""HTTP/1.1 on one connection: what is asked, in which order it is answered, and what is not taken."""

from __future__ import annotations

import asyncio
import json

import pytest

from ingest.errors import Refusal
from ingest.serving.connection import HEAD_BYTES, HEAD_TIMEOUT_S, IDLE_S, LINGER_S, PIPELINED
from ingest.serving.request import BODY_WAITING, Request
from tests.support.connections import Wire, ok

GET = b"GET /a?b=c HTTP/1.1\r\nHost: go.example\r\n\r\n"
POST = b"POST /p HTTP/1.1\r\nContent-Length: 6\r\n\r\n"


def reason_of(body: bytes) -> str:
    reason: str = json.loads(body)["reason"]
    return reason


async def body_of(request: Request) -> bytes:
    return b"".join([chunk async for chunk in request])


def test_what_a_door_sees() -> None:
    wire = Wire()
    wire.feed(
        b"GET /c/%C3%A4%20b?x=%41 HTTP/1.1\r\nHost:  go.example \r\nUSER-Agent: me\r\nCookie: a=1\r\ncookie: b=2\r\n"
        b"X-Odd: \xff\r\nReferer: https://\xc3\xa4.example/\r\n\r\n"
    )
    (request,) = wire.requests
    assert (request.method, request.path, request.query_string) == ("GET", "/c/ä b", "x=%41")
    assert (request.scheme, request.client, request.authority) == ("http", "203.0.113.9:4711", None)
    assert request.headers.get("host") == "go.example"
    assert request.headers.get("user-agent") == "me"
    assert request.headers.get("x-odd") is None
    assert request.headers.get("referer") == "https://ä.example/"
    assert request.headers.get_all("cookie") == ["a=1", "b=2"]
    assert request.headers.get_all("host") == ["go.example"]
    assert request.headers.get_all("missing") == []


@pytest.mark.parametrize(
    ("target", "authority", "path", "query"),
    [
        (b"http://other.example:8080/x?y=1", "other.example:8080", "/x", "y=1"),
        (b"http://other.example", "other.example", "/", ""),
        (b"*", None, "/*", ""),
        (b"//evil.example/x", None, "//evil.example/x", ""),
        ("/ü?ü=ü".encode(), None, "/ü", "%C3%BC=%C3%BC"),
        (b"/\xff", None, "/\ufffd", ""),
    ],
)
def test_targets(target: bytes, authority: str | None, path: str, query: str) -> None:
    wire = Wire()
    wire.feed(b"OPTIONS " + target + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    (request,) = wire.requests
    assert (request.authority, request.path, request.query_string) == (authority, path, query)


def test_an_answer_has_length_date_and_stays_open() -> None:
    wire = Wire()
    wire.feed(GET)
    assert wire.transport.sent == b""
    wire.requests[0].respond(302, [("location", "https://shop.example/")])
    assert wire.transport.sent == (
        b"HTTP/1.1 302 Found\r\nlocation: https://shop.example/\r\ncontent-length: 0\r\n"
        b"date: Sun, 10 May 2026 12:00:00 GMT\r\n\r\n"
    )
    assert not wire.transport.closed
    assert wire.connection.deadline == wire.now + IDLE_S


def test_requests_that_come_together_are_answered_one_after_the_other() -> None:
    wire = Wire()
    wire.feed(b"GET /1 HTTP/1.1\r\n\r\nPOST /2 HTTP/1.1\r\nContent-Length: 2\r\n\r\nabGET /3 HTTP/1.1\r\n\r\nGET /4")
    assert [request.path for request in wire.requests] == ["/1"]
    for number in range(3):
        wire.requests[number].respond(200, [], str(number).encode())
    assert [request.path for request in wire.requests] == ["/1", "/2", "/3"]
    assert wire.said == [(200, b"0"), (200, b"1"), (200, b"2")]
    wire.feed(b" HTTP/1.1\r\n\r\n")
    assert wire.requests[3].path == "/4"


def test_thousands_together_answered_at_once_do_not_pile_up() -> None:
    wire = Wire(ok)
    wire.feed(GET * 3_000)
    assert len(wire.said) == 3_000
    assert not wire.transport.paused


def test_who_asks_ahead_is_not_read_for_a_while() -> None:
    wire = Wire()
    wire.feed(GET * (PIPELINED + 1))
    assert wire.transport.paused
    for number in range(PIPELINED + 1):
        wire.requests[number].respond(204, [])
    assert not wire.transport.paused
    assert wire.said == [(204, b"")] * (PIPELINED + 1)


def test_who_does_not_read_gets_nothing_more() -> None:
    wire = Wire(ok)
    wire.connection.pause_writing()
    wire.feed(GET)
    wire.feed(GET)
    assert wire.requests == []
    wire.connection.resume_writing()
    assert len(wire.said) == 2


@pytest.mark.parametrize(
    "request_line",
    [
        b"GET / HTTP/1.0\r\n",
        b"GET / HTTP/1.1\r\nConnection: close\r\n",
        b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n",
    ],
)
def test_connections_that_shall_close(request_line: bytes) -> None:
    wire = Wire(ok)
    wire.feed(request_line + b"\r\n")
    assert b"\r\nconnection: close\r\n" in wire.transport.sent
    assert wire.transport.closed


def test_an_upgrade_is_not_taken_up() -> None:
    wire = Wire()
    wire.feed(b"GET / HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AA\r\n\r\n")
    wire.requests[0].respond(200, [], b"still 1.1")
    assert wire.said == [(200, b"still 1.1")]
    assert wire.transport.closed


@pytest.mark.parametrize(("status", "length"), [(200, b"content-length: 3"), (304, b"date"), (204, b"date")])
def test_head_and_empty_answers(status: int, length: bytes) -> None:
    wire = Wire(lambda request: request.respond(status, [], b"abc" if status == 200 else b""))
    wire.feed(GET.replace(b"GET", b"HEAD"))
    assert wire.transport.sent.split(b"\r\n")[1].startswith(length)
    assert wire.transport.sent.endswith(b"\r\n\r\n")


def test_a_body_in_parts() -> None:
    async def play() -> None:
        wire = Wire()
        wire.feed(POST + b"ab")
        reading = asyncio.create_task(body_of(wire.requests[0]))
        for part in (b"c", b"def"):
            await asyncio.sleep(0)
            wire.feed(part)
        assert await reading == b"abcdef"
        wire.requests[0].respond(200, [])
        wire.feed(GET)
        assert wire.requests[1].path == "/a"

    asyncio.run(play())


def test_chunks_and_what_stands_behind_them() -> None:
    wire = Wire()
    wire.feed(b"POST /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Late: 1\r\n\r\n" + GET)
    assert asyncio.run(body_of(wire.requests[0])) == b"abc"
    assert wire.requests[0].headers.get("x-late") is None
    wire.requests[0].respond(200, [])
    assert wire.requests[1].path == "/a"


def test_a_large_body_waits_for_its_reader() -> None:
    async def play() -> None:
        wire = Wire()
        size = BODY_WAITING * 3
        wire.feed(b"POST /p HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % size)
        reading, sent = wire.requests[0].__aiter__(), 0
        while not wire.transport.paused:
            wire.feed(b"x" * 65_536)
            sent += 65_536
        assert sent <= BODY_WAITING + 65_536
        taken = len(await anext(reading))
        while wire.transport.paused:
            taken += len(await anext(reading))
        assert taken < sent

    asyncio.run(play())


def test_who_asks_whether_to_go_on_is_told() -> None:
    async def play() -> None:
        wire = Wire()
        wire.feed(POST.replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n"))
        assert wire.transport.sent == b""
        reading = asyncio.create_task(body_of(wire.requests[0]))
        await asyncio.sleep(0)
        assert wire.transport.sent == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.feed(b"abcdef")
        assert await reading == b"abcdef"

    asyncio.run(play())


def test_a_refusal_before_the_body_has_come_is_heard() -> None:
    wire = Wire(lambda request: request.respond(413, [], b"no"))
    wire.feed(POST + b"ab")
    assert wire.said == [(413, b"no")]
    assert wire.transport.ended  # and what still comes is thrown away, or a reset would take the answer with it
    wire.feed(b"cdef" + GET)
    assert len(wire.requests) == 1
    wire.now = wire.connection.deadline + 0.1
    assert wire.connection.deadline <= 100.0 + LINGER_S
    wire.connection.expire()
    assert wire.transport.aborted


@pytest.mark.parametrize("end", ["eof", "lost", "rubbish"])
def test_a_body_that_breaks_off(end: str) -> None:
    wire = Wire()
    wire.feed(b"POST /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    if end == "eof":
        assert wire.connection.eof_received()  # the answer can still be read
    elif end == "lost":
        wire.connection.connection_lost(None)
    else:
        wire.feed(b"rubbish\r\n")
    with pytest.raises(Refusal, match="broke off"):
        asyncio.run(body_of(wire.requests[0]))
    wire.requests[0].respond(400, [], b"cut")
    assert wire.said == ([] if end == "lost" else [(400, b"cut")])


def test_who_has_said_all_is_still_answered() -> None:
    wire = Wire()
    wire.feed(GET)
    assert wire.connection.eof_received()
    wire.requests[0].respond(200, [], b"late")
    assert wire.said == [(200, b"late")]
    assert wire.transport.closed
    assert not Wire().connection.eof_received()


@pytest.mark.parametrize(
    ("data", "status", "reason"),
    [
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "MALFORMED_REQUEST"),
        (b"\x16\x03\x01\x02\x00\x01\x00", 400, "MALFORMED_REQUEST"),
        (b"GET /\x00 HTTP/1.1\r\n\r\n", 400, "MALFORMED_REQUEST"),
        (b"GET / HTTP/1.1\r\nA\rB: c\r\n\r\n", 400, "MALFORMED_REQUEST"),
        (b"GET http://[::1/ HTTP/1.1\r\n\r\n", 400, "MALFORMED_REQUEST"),
        (b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400, "MALFORMED_REQUEST"),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", 400, "MALFORMED_REQUEST"),
        (b"GET /" + b"a" * HEAD_BYTES, 431, "HEAD_TOO_LARGE"),
        (b"GET /" + b"a" * HEAD_BYTES + b" HTTP/1.1\r\n\r\n", 431, "HEAD_TOO_LARGE"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * HEAD_BYTES, 431, "HEAD_TOO_LARGE"),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * HEAD_BYTES + b"\r\n\r\n", 431, "HEAD_TOO_LARGE"),
        (b"GET / HTTP/1.1\r\n" + b"X: 1\r\n" * 500 + b"\r\n", 431, "HEAD_TOO_LARGE"),
        (b"GET / HTTP/1.1\r\n" + b"".join(b"X%d: 1\r\n" % n for n in range(500)) + b"\r\n", 431, "HEAD_TOO_LARGE"),
    ],
)
def test_what_is_no_request(data: bytes, status: int, reason: str) -> None:
    wire = Wire(ok)
    wire.feed(data)
    ((said, body),) = wire.said
    assert (said, reason_of(body)) == (status, reason)
    assert b"content-type: application/problem+json" in wire.transport.sent
    assert wire.transport.ended
    wire.feed(GET)
    assert wire.requests == []


def test_trailers_without_end_are_not_kept() -> None:
    wire = Wire()
    wire.feed(b"POST /p HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: ")
    for _ in range(HEAD_BYTES // 4_096 + 1):
        wire.feed(b"a" * 4_096)
    with pytest.raises(Refusal, match="broke off"):
        asyncio.run(body_of(wire.requests[0]))


def test_rubbish_behind_a_request_is_answered_after_it() -> None:
    wire = Wire()
    wire.feed(GET + b"rubbish\r\n\r\n")
    assert wire.said == []
    wire.requests[0].respond(200, [], b"first")
    assert [status for status, _ in wire.said] == [200, 400]
    assert wire.transport.ended


def test_time_runs_out_for_a_head_and_for_silence() -> None:
    slow = Wire()
    slow.feed(b"GET / HT")
    assert slow.connection.deadline == slow.now + HEAD_TIMEOUT_S
    slow.connection.expire()
    assert [(status, reason_of(body)) for status, body in slow.said] == [(408, "HEAD_TIMEOUT")]
    silent = Wire()
    silent.connection.expire()
    assert (silent.said, silent.transport.aborted) == ([], True)


def test_no_time_runs_out_while_an_answer_is_awaited() -> None:
    wire = Wire()
    wire.feed(GET)
    assert wire.connection.deadline == float("inf")


def test_a_process_that_is_full_says_so() -> None:
    wire = Wire(ok, full=True)
    assert [(status, reason_of(body)) for status, body in wire.said] == [(503, "TOO_MANY_CONNECTIONS")]


def test_a_process_that_stops_finishes_what_it_began() -> None:
    idle, busy = Wire(), Wire()
    busy.feed(GET)
    assert (idle.connection.stop(), busy.connection.stop()) == (False, True)
    assert idle.transport.closed
    busy.stopping = True
    busy.requests[0].respond(200, [])
    assert b"connection: close" in busy.transport.sent
    assert busy.transport.closed


def test_no_header_has_a_line_break() -> None:
    wire = Wire()
    wire.feed(GET)
    wire.requests[0].respond(302, [("location", "https://shop.example/\r\nset-cookie: x=y")])
    ((status, body),) = wire.said
    assert (status, reason_of(body)) == (500, "INTERNAL_ERROR")
    assert b"x=y" not in wire.transport.sent
