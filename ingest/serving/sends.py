"""Answers that are ready together, sent with one system call.

Each send wakes its receiver, and where processors are few that one takes ours there and then: a round of sixty answers
was sixty changes of process and back. Linux' ``io_submit`` takes them all, and for sockets it is done when it returns:
each was sent, or in part, or would have had to wait. What it did not send goes the usual way, as does everything where
the kernel has no such call.
"""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import platform
import sys
from struct import Struct
from typing import Any, Final, Protocol

import structlog

log = structlog.get_logger(__name__)

PLACES: Final = 128
"""Answers that are sent together, at most."""
PLACE_BYTES: Final = 2_048
"""Longer ones go the usual way."""
FEW: Final = 3
"""As many must be there for the one call, which is two, to be worth it."""
CALLS: Final = {"x86_64": (206, 209, 208), "aarch64": (0, 2, 4)}
"""The numbers of ``io_setup``, ``io_submit``, ``io_getevents``: C's library has no functions for them."""
REQUEST: Final = Struct("<QIIHhIQQqQII")
"""``struct iocb``: data, key, flags, operation, priority, file, buffer, bytes, offset, and what is of no use here."""
FILE_AT: Final = 20
TARGET: Final = Struct("<IQQ")
"""Of it the file, the buffer and its bytes."""
EVENT: Final = Struct("<QQqq")
"""``struct io_event``: data, request, result, and another."""
WRITE: Final = 1


class Sends(Protocol):
    """Takes answers to where they belong."""

    def send(self, transport: asyncio.Transport, file: int, data: bytes) -> None:
        """Within this round of the loop. ``file``: the transport's socket."""

    def flush(self) -> None:
        """Now. To be called before anything else is written to a transport, and before one is closed."""


class Direct:
    """One by one."""

    def send(self, transport: asyncio.Transport, file: int, data: bytes) -> None:
        transport.write(data)

    def flush(self) -> None:
        """Nothing is held back."""


class Together:
    """All of a round at once. OSError where the kernel will not. One per loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._submission = Submission()
        self._waiting: list[tuple[asyncio.Transport, bytes]] = []
        self._files: set[int] = set()

    def send(self, transport: asyncio.Transport, file: int, data: bytes) -> None:
        waiting = self._waiting
        if len(waiting) == PLACES or file in self._files:
            self.flush()
            waiting = self._waiting
        if len(data) > PLACE_BYTES or transport.get_write_buffer_size():
            transport.write(data)
            return
        if not waiting:
            self._loop.call_soon(self.flush)
        self._submission.put(len(waiting), file, data)
        waiting.append((transport, data))
        self._files.add(file)

    def flush(self) -> None:
        waiting = self._waiting
        if not waiting:
            return
        self._waiting = []
        self._files.clear()
        results: list[int] = []
        # The file of one that was closed may be a stranger's by now.
        if len(waiting) >= FEW and not any(transport.is_closing() for transport, _ in waiting):
            results = self._submission.submit(len(waiting))
        taken = len(results)
        for place, (transport, data) in enumerate(waiting):
            sent = max(results[place], 0) if place < taken else 0
            if sent < len(data) and not transport.is_closing():
                transport.write(data[sent:])  # where it failed, this finds out why


class Submission:
    """Requests to the kernel, in memory that it reads. OSError where it has no ``io_submit``."""

    def __init__(self) -> None:
        calls = CALLS.get(platform.machine()) if sys.platform == "linux" else None
        if calls is None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        setup, self._submit, self._events_of = calls
        # Not CDLL, which would let go of the interpreter's lock: none of these calls waits.
        self._call: Any = ctypes.PyDLL(None, use_errno=True).syscall
        self._call.argtypes = [ctypes.c_long] * 6
        self._call.restype = ctypes.c_long
        context = ctypes.c_ulong()
        if self._call(setup, PLACES, ctypes.addressof(context), 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        self._context: int = context.value
        self._memory: Any = ctypes.create_string_buffer((PLACE_BYTES + REQUEST.size + 8 + EVENT.size) * PLACES)
        self._view = memoryview(self._memory).cast("B")
        self._bytes_at: int = ctypes.addressof(self._memory)
        self._requests = PLACE_BYTES * PLACES
        self._pointers = self._requests + REQUEST.size * PLACES
        self._events = self._pointers + 8 * PLACES
        for place in range(PLACES):
            request = self._requests + REQUEST.size * place
            REQUEST.pack_into(self._view, request, place, 0, 0, WRITE, 0, 0, 0, 0, 0, 0, 0, 0)
            Struct("<Q").pack_into(self._view, self._pointers + 8 * place, self._bytes_at + request)

    def put(self, place: int, file: int, data: bytes) -> None:
        """What is to be sent; ``PLACE_BYTES`` at most."""
        start, size = PLACE_BYTES * place, len(data)
        self._view[start : start + size] = data
        TARGET.pack_into(
            self._view, self._requests + REQUEST.size * place + FILE_AT, file, self._bytes_at + start, size
        )

    def submit(self, count: int) -> list[int]:
        """Send the first ``count``: bytes sent, or a negative error, of each that the kernel took."""
        taken: int = self._call(self._submit, self._context, count, self._bytes_at + self._pointers, 0, 0)
        if taken <= 0:
            return []
        results = [0] * taken
        events = self._bytes_at + self._events
        got: int = self._call(self._events_of, self._context, taken, taken, events, 0)
        if got != taken:
            raise OSError(ctypes.get_errno(), f"{got} of {taken} results of io_submit")
        for place, _, result, _ in EVENT.iter_unpack(self._view[self._events : self._events + EVENT.size * taken]):
            results[place] = result
        return results


def sends_of(loop: asyncio.AbstractEventLoop) -> Sends:
    """Together where that is to be had."""
    try:
        return Together(loop)
    except OSError as error:
        log.info("answers_are_sent_one_by_one", why=str(error))
        return Direct()
