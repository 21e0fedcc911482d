"""From a backlog on disk to Kafka, in order, a batch at a time: the next when Kafka has acknowledged the last."""

from __future__ import annotations

import asyncio

import structlog

from ingest.envelope import Message
from ingest.errors import NotAcknowledged, PublisherFull
from ingest.metrics import Metrics
from ingest.publisher import KafkaQueue
from ingest.seldom import Seldom
from ingest.spool.backlog import Backlog
from ingest.spool.receipt import Shipment
from ingest.spool.segments import Slot

log = structlog.get_logger(__name__)

YIELD_EVERY = 200
ROOM_S = 0.01
AGAIN_S = 0.5


class Drain:
    """Sends batches. Events must not be lost: what Kafka refuses for good is kept in its file, put aside."""

    def __init__(self, kafka: KafkaQueue, loop: asyncio.AbstractEventLoop, metrics: Metrics) -> None:
        self._kafka = kafka
        self._loop = loop
        self._metrics = metrics
        self._failing = Seldom()

    async def batch(self, backlog: Backlog) -> bool:
        """Send what comes next and strike it off; False when there is nothing."""
        batch = await backlog.next()
        if batch is None:
            return False
        for message, reason in await self.send(batch.messages):
            backlog.keep()
            key = message.key.hex()
            log.error("spooled_event_refused", topic=message.topic, key=key, timestamp=message.timestamp, reason=reason)
        backlog.sent(batch)
        self._metrics.spool_drained.inc(batch.amount)
        return True

    async def send(self, messages: list[Message]) -> list[tuple[Message, str]]:
        """Returns when Kafka has acknowledged all but those that it refuses for good, which come back with why."""
        refused: list[tuple[Message, str]] = []
        while messages:
            shipment = Shipment(self._loop, self._kafka.tally)
            for number, message in enumerate(messages, 1):
                await self._produce(message, shipment)
                if number % YIELD_EVERY == 0:
                    await asyncio.sleep(0)
            await shipment.arrival()
            refused += shipment.refused
            messages = shipment.again
            if messages:
                if times := self._failing.due():
                    log.warning("spool_not_drained", error=shipment.problem, times=times)
                await asyncio.sleep(AGAIN_S)
        return refused

    async def abandoned(self, slot: Slot) -> None:
        """Send what a process that is gone has left, and free its slot."""
        try:
            backlog = await asyncio.to_thread(Backlog.found, slot)
            log.info("spool_found", folder=str(slot.folder), messages=backlog.unsent, bytes=backlog.bytes)
            while await self.batch(backlog):
                pass
        except OSError as error:
            log.error("spool_unreadable", folder=str(slot.folder), error=str(error))
        finally:
            slot.release()

    async def _produce(self, message: Message, shipment: Shipment) -> None:
        reported = shipment.expect(message)
        while True:
            try:
                self._kafka.produce(message, reported)
                return
            except PublisherFull:
                await asyncio.sleep(ROOM_S)
            except NotAcknowledged as error:
                shipment.refuse(message, str(error))
                return
