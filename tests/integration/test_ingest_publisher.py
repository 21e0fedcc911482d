"""The publisher on a real broker that is frozen, killed and back; and while none is there."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import Consumer, KafkaException, TopicPartition

from deploy.local.kafka import Kafka
from ingest.bulk_publisher import BulkPublisher
from ingest.config import IngestConfig
from ingest.envelope import Message
from ingest.errors import NotAcknowledged, PublisherFull
from ingest.metrics import Metrics
from ingest.settings import IngestSettings
from ingest.spool.config import SpoolConfig
from ingest.spool.publisher import SpoolingPublisher
from tests.support.front_door import KEYS
from tests.support.ingest_process import create_topics

pytestmark = pytest.mark.integration

NOWHERE = "127.0.0.1:1"
MESSAGE = Message("clicks", b"k" * 16, b"v", 1_700_000_000_000, [])
SLOW_S = 0.2
DEADLINE_S = 30.0


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A broker of this module's own, for the clicks topic with its real name."""
    broker = Kafka(tmp_path_factory.mktemp("kafka"))
    broker.start()
    try:
        create_topics(broker.bootstrap)
        yield broker
    finally:
        broker.stop()


def settings(kafka: str, folder: Path, **spool: int) -> IngestSettings:
    config = IngestConfig(spool=SpoolConfig(slow_ms=int(SLOW_S * 1_000), **spool))
    return IngestSettings(kafka, 0, folder, KEYS, config=config)


@asynccontextmanager
async def opened(kafka: str, folder: Path, **spool: int) -> AsyncIterator[SpoolingPublisher]:
    publisher = SpoolingPublisher(settings(kafka, folder, **spool), asyncio.get_running_loop(), Metrics())
    try:
        yield publisher
    finally:
        publisher.close(0.1)


def click(number: int) -> Message:
    """Sixteen sessions; the value is the number, in its session's order."""
    return Message(
        "clicks", b"session %08d" % (number % 16), b"%d" % number, 1_700_000_000_000, [("n", b"%d" % number)]
    )


def spooled(folder: Path) -> int:
    """Bytes of all files with events."""
    return sum(path.stat().st_size for path in folder.glob("spool/*/*.spool"))


async def direct(publisher: SpoolingPublisher) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while publisher.spooling is not None:
        assert time.monotonic() < deadline, publisher.spooling
        await asyncio.sleep(0.02)


class Reading:
    """What comes into the clicks topic from now on."""

    def __init__(self, kafka: str) -> None:
        self._consumer = Consumer({"bootstrap.servers": kafka, "group.id": "spool-test", "log_level": 0})
        parts = self._consumer.list_topics("clicks", timeout=DEADLINE_S).topics["clicks"].partitions
        self._places = [TopicPartition("clicks", part) for part in parts]
        self._starts = {place.partition: self._end(place) for place in self._places}

    def values(self) -> list[int]:
        """Partition by partition, in their order."""
        found = []
        for place in self._places:
            end, position = self._end(place), self._starts[place.partition]
            self._consumer.assign([TopicPartition("clicks", place.partition, position)])
            while position < end:
                message = self._consumer.poll(DEADLINE_S)
                assert message is not None
                assert message.error() is None
                found.append(int(message.value()))
                position = message.offset() + 1
        self._consumer.close()
        return found

    def _end(self, place: TopicPartition) -> int:
        deadline = time.monotonic() + DEADLINE_S
        while True:
            try:
                return int(self._consumer.get_watermark_offsets(place, timeout=DEADLINE_S)[1])
            except KafkaException:  # a moment after its start the broker is not the partition's leader yet
                assert time.monotonic() < deadline
                time.sleep(0.05)


def in_order(values: list[int]) -> bool:
    """Whether each session's events came in their order, looking at the first of each."""
    first = list(dict.fromkeys(values))
    sessions: dict[int, list[int]] = {}
    for value in first:
        sessions.setdefault(value % 16, []).append(value)
    return all(session == sorted(session) for session in sessions.values())


def test_frozen_broker(broker: Kafka, tmp_path: Path) -> None:
    """Answers go on from the spool; then all is in Kafka, in order, and the spool is empty."""

    async def story() -> None:
        async with opened(broker.bootstrap, tmp_path) as publisher:
            await publisher.publish(click(0))
            await direct(publisher)
            assert spooled(tmp_path) == 0
            assert broker.pid is not None
            os.kill(broker.pid, signal.SIGSTOP)
            try:
                began = time.monotonic()
                for number in range(1, 200):
                    await publisher.publish(click(number))
                assert time.monotonic() - began < 25
                await publisher.publish_all([click(number) for number in range(200, 3_000)])
                assert publisher.spooling is not None
                assert spooled(tmp_path) > 0
            finally:
                os.kill(broker.pid, signal.SIGCONT)
            number = 3_000
            while publisher.spooling is not None:
                await asyncio.gather(*(publisher.publish(click(number + i)) for i in range(16)))
                number += 16
            await publisher.publish(click(number))
            assert spooled(tmp_path) == 0
            reached.append(number)

    reading = Reading(broker.bootstrap)
    reached: list[int] = []
    asyncio.run(story())
    values = reading.values()
    assert set(values) == set(range(reached[0] + 1))
    assert in_order(values)
    assert len(values) < len(set(values)) + 50  # what was late is not sent again once Kafka has acknowledged it


def test_visits_that_come_together_are_one_round(broker: Kafka, tmp_path: Path) -> None:
    """They wait for one thing, and a visitor who leaves takes nobody along."""

    async def visit(publisher: SpoolingPublisher, number: int) -> int:
        await publisher.publish(click(number))
        return number

    async def story() -> None:
        async with opened(broker.bootstrap, tmp_path) as publisher:
            await publisher.publish(click(0))
            await direct(publisher)
            visits = [asyncio.create_task(visit(publisher, number)) for number in range(1, 300)]
            await asyncio.sleep(0)
            visits[7].cancel()
            done = await asyncio.gather(*visits, return_exceptions=True)
            assert isinstance(done.pop(7), asyncio.CancelledError)
            assert done == [number for number in range(1, 300) if number != 8]
            await direct(publisher)

    reading = Reading(broker.bootstrap)
    asyncio.run(story())
    values = reading.values()
    assert set(values) == set(range(300))
    assert in_order(values)


def test_no_room_in_the_middle_of_a_round(broker: Kafka, tmp_path: Path) -> None:
    """What Kafka's queue does not take goes to the spool with all of its round, and nothing is lost."""

    async def story() -> None:
        few = replace(settings(broker.bootstrap, tmp_path), queue_messages=20)
        publisher = SpoolingPublisher(few, asyncio.get_running_loop(), Metrics())
        try:
            await asyncio.gather(*[publisher.publish(click(number)) for number in range(300)])
            assert spooled(tmp_path) > 0
            await direct(publisher)
            await publisher.publish(click(300))
            await direct(publisher)
        finally:
            publisher.close(1)

    reading = Reading(broker.bootstrap)
    asyncio.run(story())
    values = reading.values()
    assert set(values) == set(range(301))
    assert in_order(values)


def test_killed_broker_and_a_restart_of_our_own(broker: Kafka, tmp_path: Path) -> None:
    async def before() -> None:
        async with opened(broker.bootstrap, tmp_path) as publisher:
            await asyncio.gather(*(publisher.publish(click(number)) for number in range(100)))
            broker.kill()
            for number in range(100, 300):
                await publisher.publish(click(number))

    async def after() -> None:
        async with opened(broker.bootstrap, tmp_path) as publisher:
            assert publisher.spooling is not None
            waiting = [publisher.publish(click(number)) for number in range(300, 400)]
            await asyncio.gather(*waiting)
            broker.start()  # holds the loop up, too; a thread's end would be the broker's
            await direct(publisher)
            await publisher.publish(click(400))

    reading = Reading(broker.bootstrap)
    asyncio.run(before())
    assert spooled(tmp_path) > 0
    asyncio.run(after())
    assert spooled(tmp_path) == 0
    values = reading.values()
    assert set(values) == set(range(401))
    assert in_order(values)


def test_spools_of_dead_processes_are_sent(broker: Kafka, tmp_path: Path) -> None:
    async def nobody(number: int) -> None:
        async with opened(NOWHERE, tmp_path) as first, opened(NOWHERE, tmp_path) as second:
            await first.publish(click(number))
            await second.publish(click(number + 1))

    async def story() -> None:
        async with opened(broker.bootstrap, tmp_path) as publisher:
            await direct(publisher)
            deadline = time.monotonic() + DEADLINE_S
            while spooled(tmp_path):
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)

    reading = Reading(broker.bootstrap)
    asyncio.run(nobody(7))
    assert len(list(tmp_path.glob("spool/*/*.spool"))) == 2
    asyncio.run(story())
    assert sorted(set(reading.values())) == [7, 8]


def test_spool_is_bounded(tmp_path: Path) -> None:
    async def story() -> None:
        async with opened(NOWHERE, tmp_path, limit_mb=1) as publisher:
            large = MESSAGE._replace(value=bytes(100_000))
            for _ in range(10):
                await publisher.publish(large)
            with pytest.raises(PublisherFull):
                await publisher.publish(large)
            with pytest.raises(PublisherFull):
                await publisher.publish_all([large] * 3)

    asyncio.run(story())


def test_without_a_spool_nothing_is_promised(tmp_path: Path) -> None:
    (tmp_path / "spool").write_text("in its place")

    async def story() -> None:
        async with opened(NOWHERE, tmp_path) as publisher:
            waiting = publisher.publish(MESSAGE)
            deadline = time.monotonic() + DEADLINE_S
            while publisher.spooling is None:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.02)
            with pytest.raises(NotAcknowledged, match="spool cannot be written"):
                await publisher.publish(MESSAGE)
            with pytest.raises(NotAcknowledged, match="spool cannot be written"):
                await publisher.publish_all([MESSAGE] * 3)
            assert not waiting.done()

    asyncio.run(story())


def test_load_fails_when_kafka_stays_away() -> None:
    publisher = BulkPublisher(NOWHERE, delivery_timeout_s=0.5)
    publisher.publish(MESSAGE)
    with pytest.raises(NotAcknowledged, match="1 messages failed"):
        publisher.flush()
