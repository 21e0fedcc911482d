"""Who waits for messages that Kafka has been given: one request, or the batch that is drained."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from confluent_kafka import KafkaError

from ingest.envelope import Message
from ingest.errors import NotAcknowledged
from ingest.publisher import Reported, Tally, text_of
from ingest.spool.spool import Entry

REFUSED_FOR_GOOD: Final = frozenset(
    {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_MSG_SIZE, KafkaError.INVALID_MSG, KafkaError.INVALID_RECORD}
)
"""What trying again does not mend."""


class Receipt:
    """``future`` is done when all messages are acknowledged, or synced in the spool, whichever is first.

    ``since``: seconds of the loop's clock. ``entry``: where they are in the spool, once they were late.
    """

    __slots__ = ("entry", "future", "messages", "open", "problem", "since", "tally")

    def __init__(self, messages: Sequence[Message], future: asyncio.Future[None], since: float, tally: Tally) -> None:
        self.messages = messages
        self.future = future
        self.since = since
        self.tally = tally
        self.open = len(messages)
        self.problem: str | None = None
        self.entry: Entry | None = None

    def reported(self, error: KafkaError | None, _: Any) -> None:
        """One message was delivered, or was not for this reason."""
        self.open -= 1
        if error is None:
            self.tally.acknowledged += 1
        else:
            self.tally.failed += 1
            self.problem = text_of(error)
        if self.open:
            return
        if self.problem is None:
            if not self.future.done():
                self.future.set_result(None)
            if self.entry is not None:
                self.entry.settle()
        elif self.entry is None:
            self.give_up(NotAcknowledged(self.problem))

    def rescued(self, entry: Entry) -> None:
        """They go to the spool as well."""
        self.entry = entry
        entry.written.add_done_callback(self._written)

    def give_up(self, error: NotAcknowledged) -> None:
        """Stop waiting."""
        if not self.future.done():
            self.future.set_exception(error)
            self.future.exception()  # whoever asked may be gone

    def _written(self, written: asyncio.Future[None]) -> None:
        if written.cancelled() or self.future.done():
            return
        if written.exception() is None:
            self.future.set_result(None)
        elif self.problem is not None:
            self.give_up(NotAcknowledged(self.problem))


class Shipment:
    """A batch of the spool on its way: which of it must be sent again, which Kafka will never take."""

    def __init__(self, loop: asyncio.AbstractEventLoop, tally: Tally) -> None:
        self.again: list[Message] = []
        self.refused: list[tuple[Message, str]] = []
        self.problem = ""
        self._tally = tally
        self._open = 1
        self._done: asyncio.Future[None] = loop.create_future()

    def expect(self, message: Message) -> Reported:
        """What Kafka calls for this message."""
        self._open += 1
        return partial(self._reported, message)

    def refuse(self, message: Message, reason: str) -> None:
        """It was not even queued."""
        self.refused.append((message, reason))
        self._close()

    async def arrival(self) -> None:
        """Until every message is reported. Once."""
        self._close()
        await self._done

    def _reported(self, message: Message, error: KafkaError | None, _: Any) -> None:
        if error is None:
            self._tally.acknowledged += 1
        elif error.code() in REFUSED_FOR_GOOD:
            self._tally.failed += 1
            self.refused.append((message, text_of(error)))
        else:
            self._tally.failed += 1
            self.problem = text_of(error)
            self.again.append(message)
        self._close()

    def _close(self) -> None:
        self._open -= 1
        if self._open == 0 and not self._done.done():
            self._done.set_result(None)
