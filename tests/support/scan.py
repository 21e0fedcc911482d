"""Sending whatever one likes to a server and seeing what comes back: status lines, hangs, nothing else."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from tests.support.malformed import Request

ANSWER_S = 20.0
FRAGMENT_S = 0.25
"""How long an answer to what is not whole is waited for; many get none."""


@dataclass
class Seen:
    """What came back. ``failures``: a request with the answer of a 5xx, or none where one was due."""

    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[tuple[str, bytes]] = field(default_factory=list)


async def send_all(port: int, requests: Iterable[Request], connections: int = 16) -> Seen:
    """Send every request, on a few connections at once."""
    seen = Seen()
    source = iter(requests)
    await asyncio.gather(*(send_some(port, source, seen) for _ in range(connections)))
    return seen


async def send_some(port: int, source: Iterator[Request], seen: Seen) -> None:
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
    for request in source:
        said = None
        if streams is not None and request.whole:
            said = await answer(*streams, request)
        if said is None:  # a fresh connection; the last one may have been closed after an answer to an unread body
            if streams is not None:
                streams[1].close()
            streams = await asyncio.open_connection("127.0.0.1", port)
            said = await answer(*streams, request)
        assert streams is not None
        note(seen, request, said)
        if said is None or not said[1]:
            streams[1].close()
            streams = None
    if streams is not None:
        streams[1].close()


async def answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: Request
) -> tuple[int, bool] | None:
    """Status, and whether the connection can be used again. None when there was no answer."""
    try:
        async with asyncio.timeout(ANSWER_S if request.whole else FRAGMENT_S):
            writer.write(request.raw)
            await writer.drain()
            return await read_answer(reader, request)
    except (TimeoutError, OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        return None


async def read_answer(reader: asyncio.StreamReader, request: Request) -> tuple[int, bool]:
    head = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")
    status = int(head[0].split(b" ")[1])
    headers = dict(line.lower().split(b": ", 1) for line in head[1:] if b": " in line)
    if not request.head and status not in (204, 304):
        if b"content-length" not in headers:  # what the server says to a request that it cannot read, and hangs up
            await reader.read()
            return status, False
        await reader.readexactly(int(headers[b"content-length"]))
    return status, request.whole and headers.get(b"connection") != b"close"


def note(seen: Seen, request: Request, said: tuple[int, bool] | None) -> None:
    if said is not None:
        seen.statuses[said[0]] += 1
        if said[0] >= 500:
            seen.failures.append((str(said[0]), request.raw[:2_000]))
    elif request.whole:
        seen.failures.append(("no answer", request.raw[:2_000]))
    else:
        seen.statuses[0] += 1
