"""One process that serves: a loop, a listening socket, and the connections on it."""

from __future__ import annotations

import asyncio
import resource
import signal
import socket
from typing import Final, Protocol

import uvloop

from ingest.serving.connection import Connection, date_line
from ingest.serving.request import Request
from ingest.serving.sends import Direct, Sends, sends_of

BACKLOG: Final = 2_048
CONNECTIONS: Final = 16_384
TICK_S: Final = 1.0


class Application(Protocol):
    """What is served."""

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """On the loop, before the first request."""

    def serve(self, request: Request) -> None:
        """Answer it now or later, once, with ``request.respond``. Raises nothing."""

    def close(self) -> None:
        """After the last answer. May block."""


def run(application: Application, listening: socket.socket, stop_timeout_s: float) -> None:
    """Serve until SIGTERM or SIGINT; then requests in flight are finished, for ``stop_timeout_s`` at most."""
    allow_connections()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(Worker(application).run(listening, stop_timeout_s))


def allow_connections() -> None:
    """As many open files as connections are taken, where the system lets us; the usual 1,024 are few."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * CONNECTIONS if hard == resource.RLIM_INFINITY else min(hard, 2 * CONNECTIONS)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Worker:
    """The ``Server`` of its connections."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._arrived: list[Request] = []
        self.connections: set[Connection] = set()
        self.stopping = False
        self.now = 0.0
        self.date = date_line()
        self.sends: Sends = Direct()

    @property
    def full(self) -> bool:
        """Whether no more connections are taken."""
        return len(self.connections) >= CONNECTIONS

    def serve(self, request: Request) -> None:
        """Serve a request in this round of the loop, together with the others that came in it."""
        if not self._arrived:
            asyncio.get_running_loop().call_soon(self._serve_arrived)
        self._arrived.append(request)

    def _serve_arrived(self) -> None:
        arrived, self._arrived = self._arrived, []
        serve = self._application.serve
        for request in arrived:
            serve(request)

    async def run(self, listening: socket.socket, stop_timeout_s: float) -> None:
        """Until a signal, and to the end of what is in flight then."""
        loop = asyncio.get_running_loop()
        told = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told.set)
        self.sends = sends_of(loop)
        self._application.open(loop)
        try:
            self._tick(loop)
            server = await loop.create_server(lambda: Connection(self), sock=listening, backlog=BACKLOG)
            await told.wait()
            server.close()
            await self._finish(loop, stop_timeout_s)
        finally:
            self._application.close()

    async def _finish(self, loop: asyncio.AbstractEventLoop, timeout_s: float) -> None:
        """Let what is in flight be answered; who asks for nothing is hung up on."""
        self.stopping = True
        until = loop.time() + timeout_s
        while loop.time() < until:
            if not [connection for connection in list(self.connections) if connection.stop()]:
                await asyncio.sleep(0)  # what was written goes out
                return
            await asyncio.sleep(0.02)

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        """What is looked at for all connections at once: a timer for each would cost a visit as much as its answer."""
        loop.call_later(TICK_S, self._tick, loop)
        self.now = loop.time()
        self.date = date_line()
        for connection in [each for each in self.connections if each.deadline < self.now]:
            connection.expire()
