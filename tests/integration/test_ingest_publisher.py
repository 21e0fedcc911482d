"""The publisher while no broker is there: bounded, in time, and said. (librdkafka opens sockets of its own.)"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from ingest.bulk_publisher import BulkPublisher
from ingest.envelope import Message
from ingest.errors import NotAcknowledged, PublisherFull
from ingest.metrics import Metrics
from ingest.publisher import KafkaPublisher
from ingest.settings import IngestSettings
from tests.support.front_door import KEYS

pytestmark = pytest.mark.integration

NOWHERE = "127.0.0.1:1"
MESSAGE = Message("clicks", b"k" * 16, b"v", 1_700_000_000_000, [])
SETTINGS = IngestSettings(NOWHERE, 0, Path(), KEYS, queue_messages=10, ack_timeout_s=0.5)


def test_queue_is_bounded_and_waiting_ends() -> None:
    async def story() -> None:
        publisher = KafkaPublisher(SETTINGS, asyncio.get_running_loop(), Metrics())
        try:
            waiting = [publisher.publish(MESSAGE) for _ in range(10)]
            with pytest.raises(PublisherFull):
                publisher.publish(MESSAGE)
            with pytest.raises(PublisherFull):
                await publisher.publish_all([MESSAGE] * 3)
            started = time.monotonic()
            results = await asyncio.gather(*waiting, return_exceptions=True)
            assert time.monotonic() - started < 5
            assert all(isinstance(result, NotAcknowledged) for result in results)
            assert publisher.queued == 10  # still tried: an answer of 503 promises nothing either way
            with pytest.raises(NotAcknowledged):
                publisher.topics(0.2)
        finally:
            publisher.close(0.1)

    asyncio.run(story())


def test_what_kafka_gave_up_is_not_acknowledged() -> None:
    async def story() -> None:
        settings = IngestSettings(NOWHERE, 0, Path(), KEYS, ack_timeout_s=60, delivery_timeout_s=0.5)
        publisher = KafkaPublisher(settings, asyncio.get_running_loop(), Metrics())
        try:
            with pytest.raises(NotAcknowledged, match="_MSG_TIMED_OUT"):
                await publisher.publish_all([MESSAGE] * 3)
        finally:
            publisher.close(0.1)

    asyncio.run(story())


def test_load_fails_when_kafka_stays_away() -> None:
    publisher = BulkPublisher(NOWHERE, delivery_timeout_s=0.5)
    publisher.publish(MESSAGE)
    with pytest.raises(NotAcknowledged, match="1 messages failed"):
        publisher.flush()
