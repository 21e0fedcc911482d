"""What the front door publishes with: Kafka while it is well, the spool while it is slow or away.

    direct      every event goes to Kafka; its sender waits for the acknowledgement. Visits that come together are
                sent together, a round of them at a time: what Kafka costs is requests, not messages
    spooling    Kafka was late with one: what it has not acknowledged goes to the spool, and everything after it.
                Once Kafka has taken what it was given before, the spool is drained, in order
    handing     little is left: new events wait in memory for the moments until the rest is sent, then go to Kafka
    over        again. If that takes longer than an event may wait, they go to the spool, too

So an event that was answered before another came is before it in their partition, if both came to this process. What
was late may be in Kafka twice; DESIGN 1 says why that is harmless.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any, Final

import structlog

from ingest.births import Births
from ingest.envelope import Message
from ingest.errors import NotAcknowledged, PublisherFull
from ingest.metrics import Metrics
from ingest.publisher import KafkaQueue
from ingest.settings import IngestSettings
from ingest.spool.drain import Drain
from ingest.spool.receipt import Receipt
from ingest.spool.segments import Slot
from ingest.spool.shared import Shared
from ingest.spool.spool import WAITING_BYTES, Spool
from schemas.topics import CLICKS

log = structlog.get_logger(__name__)

HANDOVER: Final = 5_000
"""Messages left in the spool with which handing over begins."""
BULK_QUEUE: Final = 16_384
"""Messages that may wait for Kafka before bulk requests wait for room: visitors shall not queue behind them."""
YIELD_EVERY: Final = 500
"""Messages of one bulk request after which others get their turn."""
ROUND: Final = 64
"""Messages of a round that is sent at once."""
LINGER_S: Final = 0.0005
"""How long a visit waits for company where there is little to expect."""
LINGER_MORE: Final = 1e-6
"""Seconds it waits longer for each visit a second, so that a round has the more messages the more there are."""
ALONE_BYTES: Final = 64 * 1024
"""A message of more is no visit; it is sent alone, so that only its own sender hears that Kafka will not have it."""
CHUNK_BYTES: Final = 1 << 20
WAIT_S: Final = 0.005
AGAIN_S: Final = 1.0
AWAY_S: Final = 0.05
"""How long an event may wait for a broker that was lost: an idle connection comes back faster."""
ADOPT_EVERY_S: Final = 5.0
COUNT_EVERY_S: Final = 1.0
KAFKA_TIMEOUT_S: Final = 2.0


class SpoolingPublisher:
    """A ``Publisher``. Made and used on one event loop, which ``open`` must be called on; ``close`` blocks."""

    def __init__(self, settings: IngestSettings, loop: asyncio.AbstractEventLoop, metrics: Metrics) -> None:
        config = settings.config.spool
        self._loop = loop
        self._metrics = metrics
        self._root = config.folder or settings.data_dir / "spool"
        self._slow_s = config.slow_ms / 1_000
        self._ack_timeout_s = settings.ack_timeout_s
        self.births = Births()
        self._kafka = KafkaQueue(settings, loop, metrics)
        self._tally = self._kafka.tally
        self._spool = Spool(config, self._root, loop, metrics)
        self._drain = Drain(self._kafka, loop, metrics)
        self._waiting: deque[Receipt] = deque()
        self._round: Receipt | None = None
        self._gathered: list[Message] = []
        self._round_due: asyncio.TimerHandle | None = None
        self._linger_s = settings.linger_ms / 1_000
        self._sent_at = loop.time()
        self._pause_s = min(LINGER_S, self._linger_s)
        self._late: list[Receipt] = []
        self._parked: deque[Receipt] | None = None
        self._direct = True
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._tick_s = max(self._slow_s / 4, 0.01)
        self._adopt_at = self._count_at = loop.time()
        self._timer = loop.call_later(0, self._tick)
        if self._spool.backlog.unsent:
            self._direct = False
            self._run("drain", self._drain_all())

    def publish(self, message: Message) -> asyncio.Future[None]:
        if self._direct and len(message.value) <= ALONE_BYTES:
            waiting = self._round
            if waiting is None:
                self._gathered = []
                waiting = self._round = self._receipt(self._gathered)
                self._round_due = self._loop.call_later(self._pause_s, self._send_round)
            self._gathered.append(message)
            if len(self._gathered) == ROUND:
                self._send_round()
            return waiting.future
        if self._direct:
            receipt = self._receipt([message])
            try:
                self._kafka.produce(message, receipt.reported)
            except PublisherFull:
                self._begin_spooling("queue_full")
            else:
                self._waiting.append(receipt)
                return receipt.future
        if self._parked is not None:
            receipt = self._receipt([message])
            self._parked.append(receipt)
            return receipt.future
        return self._spool.append((message,)).written

    async def publish_all(self, messages: Sequence[Message]) -> None:
        if not messages:
            return
        while self._parked is not None:  # noqa: ASYNC110 - moments, and seldom
            await asyncio.sleep(WAIT_S)
        receipt = self._receipt(messages)
        if await self._produce_all(receipt):
            await receipt.future
        else:
            await self._spool_all(messages)

    def topics(self, timeout_s: float) -> set[str]:
        """The topics that the broker has. Blocks; NotAcknowledged when it does not answer."""
        return self._kafka.topics(timeout_s)

    @property
    def spooling(self) -> str | None:
        """For people: how far the spool is. None while Kafka gets every event at once."""
        if self._direct:
            return None
        backlog = self._spool.backlog
        return f"{backlog.unsent} events wait in the spool ({backlog.bytes >> 20} MiB)"

    @property
    def full(self) -> bool:
        """Whether events are refused."""
        return not self._direct and self._spool.full

    def close(self, timeout_s: float) -> None:
        """Send what is queued, for so long, and stop. What is in the spool is sent after the next start."""
        self._timer.cancel()
        self._send_round()
        for task in self._tasks.values():
            task.cancel()
        self._kafka.close(timeout_s)
        self._spool.close()

    def _send_round(self) -> None:
        """Give Kafka what was gathered, at once. What it has no room for goes to the spool with all of its round."""
        receipt, self._round = self._round, None
        if receipt is None:
            return
        if self._round_due is not None:
            self._round_due.cancel()
        self.births.turn()
        messages, produce, sent = receipt.messages, self._kafka.produce, 0
        receipt.open = len(messages)
        now = self._loop.time()
        per_s = receipt.open / max(now - self._sent_at, LINGER_S)
        self._sent_at, self._pause_s = now, min(max(per_s * LINGER_MORE, LINGER_S), self._linger_s)
        try:
            for message in messages:
                produce(message, receipt.reported)
                sent += 1
        except NotAcknowledged as error:
            receipt.open, receipt.problem = sent, str(error)
            self._begin_spooling("queue_full")
            if sent:
                self._late.append(receipt)
            self._rescue(receipt, sent=False)
        self._waiting.append(receipt)

    def _receipt(self, messages: Sequence[Message]) -> Receipt:
        loop = self._loop
        return Receipt(messages, Shared(loop), loop.time(), self._tally)

    async def _produce_all(self, receipt: Receipt) -> bool:
        """Give all of it to Kafka, waiting for room. False when the spool must take it, whole."""
        for number, message in enumerate(receipt.messages, 1):
            while True:
                if not self._direct:
                    return False
                try:
                    self._kafka.produce(message, receipt.reported)
                    break
                except PublisherFull:
                    await self._room()
            if number % YIELD_EVERY == 0:
                await self._room() if len(self._kafka) > BULK_QUEUE else await asyncio.sleep(0)
        if not self._direct:
            return False
        receipt.since = self._loop.time()
        self._waiting.append(receipt)
        return True

    async def _room(self) -> None:
        """Until Kafka has taken something; when that is too long, spooling begins."""
        late = self._loop.time() + self._slow_s
        before = self._tally.acknowledged
        while self._direct:
            await asyncio.sleep(WAIT_S)
            if self._tally.acknowledged > before and len(self._kafka) <= BULK_QUEUE:
                return
            if self._loop.time() > late:
                if self._tally.acknowledged > before:
                    return
                self._begin_spooling("queue_full")

    async def _spool_all(self, messages: Sequence[Message]) -> None:
        entries = []
        for chunk in chunks(messages):
            while self._spool.waiting_bytes > WAITING_BYTES // 2:  # noqa: ASYNC110
                await asyncio.sleep(WAIT_S)
            entries.append(self._spool.append(chunk))
            await asyncio.sleep(0)
        for entry in entries:
            await entry.written

    def _begin_spooling(self, why: str) -> None:
        """What Kafka has not acknowledged goes to the spool as well, then everything that comes."""
        if not self._direct:
            return
        log.warning("spooling", why=why, waiting=len(self._waiting))
        self._direct = False
        self._late = [receipt for receipt in self._waiting if receipt.open]
        for receipt in self._late:
            self._rescue(receipt)
        unsent, self._round = self._round, None
        if unsent is not None:
            self._rescue(unsent, sent=False)
            self._waiting.append(unsent)
        self._run("drain", self._drain_all())

    def _rescue(self, receipt: Receipt, *, sent: bool = True) -> None:
        """``sent``: Kafka was given it and may acknowledge it in time where the spool is full."""
        try:
            receipt.rescued(self._spool.append(receipt.messages, rescue=True))
        except PublisherFull as full:
            if not sent:
                receipt.give_up(full)

    def _run(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        """One task of a name at a time."""
        if name in self._tasks and not self._tasks[name].done():
            work.close()
        else:
            self._tasks[name] = self._loop.create_task(work, name=name)

    async def _drain_all(self) -> None:
        began = self._loop.time()
        while not self._direct:
            try:
                await self._drain_some()
            except Exception:
                log.exception("drain_failed")  # events stay in the spool: try again
                await asyncio.sleep(AGAIN_S)
        log.info("spooled", seconds=round(self._loop.time() - began, 3))

    async def _drain_some(self) -> None:
        # What Kafka was given before is acknowledged first: then we know what of it need not be sent again.
        while self._late:
            if self._late[-1].open:
                await asyncio.sleep(WAIT_S)
            else:
                self._late.pop()
        started = self._loop.time()
        if await self._drain.batch(self._spool.backlog):
            fast = self._loop.time() - started < self._slow_s
            if fast and self._parked is None and self._spool.backlog.unsent <= HANDOVER:
                self._parked = deque()
        elif self._spool.idle:
            self._hand_over()
        else:
            await asyncio.sleep(WAIT_S)

    def _hand_over(self) -> None:
        """All is sent: what waited for this goes to Kafka, and from now on everything."""
        parked, self._parked, self._direct = self._parked or (), None, True
        self._spool.rest()
        for receipt in parked:
            if self._direct:
                try:
                    self._kafka.produce(receipt.messages[0], receipt.reported)
                    self._waiting.append(receipt)
                    continue
                except PublisherFull:
                    self._begin_spooling("queue_full")
                except NotAcknowledged as error:
                    receipt.give_up(error)
                    continue
            self._rescue(receipt, sent=False)

    def _tick(self) -> None:
        """What is looked at for all events at once: a timer for each would cost as much as the rest."""
        self._timer = self._loop.call_later(self._tick_s, self._tick)
        now = self._loop.time()
        self._kafka.poll()
        if self._kafka.broken:
            self._begin_spooling("producer_broken")
            self._kafka.renew()
        waiting = self._waiting
        while waiting and (waiting[0].future.done() or waiting[0].since + self._ack_timeout_s < now):
            waiting.popleft().give_up(NotAcknowledged(f"neither Kafka nor the spool within {self._ack_timeout_s:g} s"))
        patience_s = AWAY_S if self._kafka.away else self._slow_s
        if waiting and self._direct and waiting[0].since + patience_s < now:
            self._begin_spooling("kafka_away" if self._kafka.away else "kafka_slow")
        if self._parked and self._parked[0].since + self._slow_s < now:
            self._unpark()
        if now >= self._adopt_at:
            self._adopt_at = now + ADOPT_EVERY_S
            self._run("adopt", self._adopt())
            if not self.births.partitions:
                self._run("partitions", self._count_partitions())
        if now >= self._count_at:
            self._count_at = now + COUNT_EVERY_S
            self._count()

    def _unpark(self) -> None:
        """Kafka is slow again: what waited goes to the spool."""
        parked, self._parked = self._parked, None
        for receipt in parked or ():
            self._rescue(receipt, sent=False)
            self._waiting.append(receipt)

    async def _adopt(self) -> None:
        try:
            slots = await asyncio.to_thread(Slot.abandoned, self._root)
        except OSError:
            return  # said when events go there
        for slot in slots:
            await self._drain.abandoned(slot)

    async def _count_partitions(self) -> None:
        self.births.partitions = await asyncio.to_thread(self._kafka.partitions, CLICKS, KAFKA_TIMEOUT_S)

    def _count(self) -> None:
        metrics, backlog = self._metrics, self._spool.backlog
        self._kafka.count()
        metrics.spooling.set(not self._direct)
        metrics.spool_bytes.set(backlog.bytes + self._spool.waiting_bytes)
        metrics.spool_events.set(backlog.unsent)
        since = backlog.since
        metrics.spool_oldest.set(0 if since is None else max(time.time() - since / 1_000, 0))


def chunks(messages: Sequence[Message]) -> Iterator[Sequence[Message]]:
    """In parts of a megabyte or one message."""
    start = size = 0
    for number, message in enumerate(messages):
        size += len(message.value) + 256
        if size > CHUNK_BYTES and number > start:
            yield messages[start:number]
            start, size = number, len(message.value) + 256
    yield messages[start:]
