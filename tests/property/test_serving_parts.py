"""However a connection's bytes are cut into parts, the same is asked and the same is answered."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ingest.serving.request import Request
from tests.support.connections import Wire

ASKED = st.sampled_from(
    [
        b"GET /c/shoes?partner=anna HTTP/1.1\r\nHost: go.example\r\nCookie: a=1\r\nCookie: b=2\r\n\r\n",
        b"HEAD /healthz HTTP/1.1\r\nUser-Agent: someone else\r\n\r\n",
        b"POST /pb HTTP/1.1\r\nContent-Length: 11\r\n\r\nhello world",
        b"POST /pb HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n6\r\n world\r\n0\r\nT: r\r\n\r\n",
        b"POST /pb HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
        b"GET http://other.example/x?y HTTP/1.1\r\n\r\n",
    ]
)


def look(request: Request) -> tuple[object, ...]:
    headers = [(name, request.headers.get_all(name)) for name in sorted(request.headers)]
    return request.method, request.path, request.query_string, request.authority, headers


def echo(request: Request) -> None:
    request.respond(200, [], repr(look(request)).encode())


def played(parts: list[bytes]) -> tuple[list[tuple[object, ...]], bytes]:
    """What was asked, and all that was answered; bodies are awaited before an answer."""
    wire = Wire()
    for part in parts:
        wire.feed(part)
        while wire.requests and wire.requests[-1].complete and wire.connection.deadline == float("inf"):
            before = len(wire.requests)
            echo(wire.requests[-1])
            if len(wire.requests) == before:
                break
    return [look(request) for request in wire.requests], wire.transport.sent


@given(st.lists(ASKED, min_size=1, max_size=4), st.data())
def test_cut_anywhere(asked: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(asked)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(stream) - 1), max_size=8)))
    parts = [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    requests, sent = played(parts)
    assert len(requests) == len(asked)
    assert (requests, sent) == played([stream])


@given(st.lists(st.binary(max_size=60) | ASKED, max_size=8))
def test_whatever_comes_is_answered_or_waited_for(parts: list[bytes]) -> None:
    wire = Wire(lambda request: request.respond(204, []))
    for part in parts:
        wire.feed(part)
    assert all(status in (204, 400, 408, 431) for status, _ in wire.said)
