"""Answers that are sent together, over real sockets: all of them, whole, in order."""

from __future__ import annotations

import asyncio
import platform
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from ingest.serving import sends
from ingest.serving.sends import FEW, PLACE_BYTES, PLACES, Direct, Submission, Together, sends_of

pytestmark = [
    pytest.mark.enable_socket,
    pytest.mark.skipif(platform.machine() not in sends.CALLS, reason="Linux on x86-64 or ARM only"),
]


class Peer:
    """Our side of a connection, as the server has it, and the other, which reads when it is told to."""

    def __init__(self, transport: asyncio.Transport, theirs: socket.socket) -> None:
        self.transport = transport
        self.theirs = theirs
        self.file: int = transport.get_extra_info("socket").fileno()

    async def read(self, size: int) -> bytes:
        found = b""
        while len(found) < size:
            more = await asyncio.get_running_loop().sock_recv(self.theirs, 65_536)
            if not more:
                break
            found += more
        return found


async def peers(count: int) -> list[Peer]:
    found = []
    for _ in range(count):
        ours, theirs = socket.socketpair()
        theirs.setblocking(False)
        transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=ours)
        found.append(Peer(transport, theirs))
    return found


def run(work: Callable[[Together, list[Peer]], Coroutine[Any, Any, None]], count: int) -> None:
    async def all_of_it() -> None:
        there = await peers(count)
        try:
            await work(Together(asyncio.get_running_loop()), there)
        finally:
            for peer in there:
                peer.transport.abort()
                peer.theirs.close()
            await asyncio.sleep(0)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(all_of_it())


@pytest.mark.parametrize("count", [1, FEW - 1, FEW, 17, PLACES, PLACES + 5])
def test_everybody_gets_their_own(count: int) -> None:
    async def work(together: Together, there: list[Peer]) -> None:
        for turn in range(3):
            answers = [b"%d of turn %d " % (number, turn) * (number % 40 + 1) for number in range(count)]
            for peer, answer in zip(there, answers, strict=True):
                together.send(peer.transport, peer.file, answer)
            assert [await peer.read(len(answer)) for peer, answer in zip(there, answers, strict=True)] == answers

    run(work, count)


def test_nothing_is_sent_before_the_round_is_over_or_it_is_told_to() -> None:
    async def work(together: Together, there: list[Peer]) -> None:
        for peer in there:
            together.send(peer.transport, peer.file, b"answer")
        with pytest.raises(BlockingIOError):
            there[0].theirs.recv(100)
        together.flush()
        assert [peer.theirs.recv(100) for peer in there] == [b"answer"] * FEW

    run(work, FEW)


def test_answers_to_one_that_does_not_read_stay_whole_and_in_order() -> None:
    """Its socket's buffer fills up: the kernel sends a part, then nothing, and the transport takes over."""
    answers = [b"%06d" % number + bytes([number % 251]) * (PLACE_BYTES - 6) for number in range(2_000)]

    async def work(together: Together, there: list[Peer]) -> None:
        slow, *others = there
        for answer in answers:
            for peer in (slow, *others):
                together.send(peer.transport, peer.file, answer if peer is slow else b"x")
            together.flush()
        assert slow.transport.get_write_buffer_size() > 0
        assert await slow.read(len(answers) * PLACE_BYTES) == b"".join(answers)
        assert [await peer.read(2_000) for peer in others] == [b"x" * 2_000] * len(others)

    run(work, FEW)


def test_two_answers_to_one_in_a_round() -> None:
    async def work(together: Together, there: list[Peer]) -> None:
        for part in (b"one ", b"two ", b"L" * (PLACE_BYTES + 1), b" three"):
            for peer in there:
                together.send(peer.transport, peer.file, part)
        for peer in there:
            assert await peer.read(PLACE_BYTES + 15) == b"one two " + b"L" * (PLACE_BYTES + 1) + b" three"

    run(work, FEW)


def test_one_that_is_closed_meanwhile_gets_nothing_and_nobody_else_does() -> None:
    """Its file's number may be another connection's when the round is sent."""

    async def work(together: Together, there: list[Peer]) -> None:
        for peer in there:
            together.send(peer.transport, peer.file, b"answer")
        there[0].transport.abort()
        await asyncio.sleep(0)
        assert [await peer.read(6) for peer in there[1:]] == [b"answer"] * (len(there) - 1)
        assert there[0].theirs.recv(100) == b""

    run(work, FEW + 2)


def test_one_that_has_gone_takes_nobody_with_it() -> None:
    async def work(together: Together, there: list[Peer]) -> None:
        there[1].theirs.close()
        for peer in there:
            together.send(peer.transport, peer.file, b"answer")
        together.flush()
        for peer in (there[0], *there[2:]):
            assert await peer.read(6) == b"answer"
        async with asyncio.timeout(10):
            while not there[1].transport.is_closing():  # noqa: ASYNC110 - the loop finds out on its own
                await asyncio.sleep(0)

    run(work, FEW + 1)


def test_a_file_that_is_none_is_said_and_what_stands_behind_it_is_not_taken() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        submission = Submission()
        submission.put(0, ours.fileno(), b"first")
        submission.put(1, 999_999, b"nobody's")
        submission.put(2, ours.fileno(), b"third")
        assert submission.submit(3) == [5]
        assert theirs.recv(100) == b"first"


def test_without_the_kernels_help_answers_go_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sends, "CALLS", {})

    async def work() -> None:
        there = await peers(2)
        chosen = sends_of(asyncio.get_running_loop())
        assert isinstance(chosen, Direct)
        for peer in there:
            chosen.send(peer.transport, peer.file, b"answer")
            chosen.flush()
            assert await peer.read(6) == b"answer"
            peer.transport.abort()
            peer.theirs.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(work())


def test_a_kernel_that_refuses_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sends, "CALLS", {platform.machine(): (10_000, 10_001, 10_002)})
    with pytest.raises(OSError, match="not implemented"):
        Submission()
