"""Worker processes that share a port: each has its own socket on it, and one that dies is replaced."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import wait
from multiprocessing.context import ForkProcess
from types import FrameType

import structlog

from ingest.serving.worker import BACKLOG

log = structlog.get_logger(__name__)

PR_SET_PDEATHSIG = 1
AGAIN_S = 0.2
SOON_S = 10.0
"""A worker that ends within that time of its start has hardly worked."""
PATIENCE = 5
"""So many in a row, and something is wrong that a new one does not mend."""
KILL_AFTER_S = 6.0
"""On top of what workers are given to finish: the spool is synced, what is queued for Kafka goes out."""

Work = Callable[[socket.socket], None]


def serve_with(work: Work, host: str, port: int, workers: int, stop_timeout_s: float) -> None:
    """Fork ``workers`` processes that do ``work`` on a listening socket each, until SIGTERM or SIGINT.

    OSError when the port is taken. SystemExit 1 when workers keep dying. From the main thread, before there are others.
    """
    with the_port(host, port, workers) as sockets:
        Workers(work, sockets, stop_timeout_s).run()


@contextmanager
def the_port(host: str, port: int, count: int) -> Iterator[list[socket.socket]]:
    """Listening sockets on one port, over which the kernel spreads connections.

    They are bound here, once: what comes while a worker is replaced waits in its socket. SO_REUSEPORT would share the
    port with a stranger's process of the same user as well, so it is first seen to be free.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
        port = probe.getsockname()[1]
    sockets = [socket.socket(family, socket.SOCK_STREAM) for _ in range(count)]
    try:
        for each in sockets:
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if count > 1:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            each.bind((host, port))
            each.listen(BACKLOG)
            each.setblocking(False)
        yield sockets
    finally:
        for each in sockets:
            each.close()


class Workers:
    """Processes, one a socket."""

    def __init__(self, work: Work, sockets: list[socket.socket], stop_timeout_s: float) -> None:
        self._work = work
        self._sockets = sockets
        self._patience_s = stop_timeout_s + KILL_AFTER_S
        self._fork = multiprocessing.get_context("fork")
        self._running: dict[int, tuple[ForkProcess, int, float]] = {}
        self._short_lives = 0
        self._told = False

    def run(self) -> None:
        """Until told to stop."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._tell)
        for place in range(len(self._sockets)):
            self._start(place)
        try:
            while not self._told:
                ended = wait(list(self._running), timeout=1.0)
                for sentinel in [each for each in self._running if each in ended and not self._told]:
                    self._replace(sentinel)
        finally:
            self._stop()

    def _tell(self, number: int, frame: FrameType | None) -> None:
        self._told = True
        for process, _, _ in self._running.values():
            process.terminate()

    def _start(self, place: int) -> None:
        process = self._fork.Process(target=self._be_worker, args=(place, os.getpid()), name=f"ingest-{place + 1}")
        process.start()
        self._running[process.sentinel] = process, place, time.monotonic()

    def _be_worker(self, place: int, parent: int) -> None:
        """In the new process."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        die_with_parent(parent)
        for other, each in enumerate(self._sockets):
            if other != place:
                each.close()
        self._work(self._sockets[place])

    def _replace(self, sentinel: int) -> None:
        process, place, since = self._running.pop(sentinel)
        process.join()
        lived = time.monotonic() - since
        self._short_lives = self._short_lives + 1 if lived < SOON_S else 0
        log.error("worker_died", pid=process.pid, exit_code=process.exitcode, lived_s=round(lived, 1))
        if self._short_lives >= PATIENCE:
            log.error("workers_keep_dying", times=self._short_lives)
            raise SystemExit(1)
        time.sleep(AGAIN_S)
        self._start(place)

    def _stop(self) -> None:
        """SIGTERM for all, SIGKILL for those that do not heed it. Nobody is let in meanwhile to wait in vain."""
        for each in self._sockets:
            each.close()
        processes = [process for process, _, _ in self._running.values()]
        for process in processes:
            process.terminate()
        until = time.monotonic() + self._patience_s
        for process in processes:
            process.join(max(until - time.monotonic(), 0))
            if process.is_alive():
                log.error("worker_killed", pid=process.pid, after_s=self._patience_s)
                process.kill()
                process.join()


def die_with_parent(parent: int) -> None:
    """Have the kernel end this worker when its parent is killed, so that no orphan keeps the port (Linux)."""
    if sys.platform != "linux":
        return
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:  # it died before the call above
        os.kill(os.getpid(), signal.SIGKILL)
