"""Follows the conversions topic, so that every process of the front door knows what the others have accepted."""

from __future__ import annotations

import threading
from collections.abc import Callable

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka import Message as Received

from ingest.recent import RecentConversions
from schemas.codec import decode
from schemas.errors import BadFrame
from schemas.records import Conversion
from schemas.topics import CONVERSIONS

log = structlog.get_logger(__name__)

POLL_S = 0.5
ASK_TIMEOUT_S = 5.0
AT_ONCE = 500
FETCH_MIN_BYTES = 64 * 1024
"""Or what has come in half a second: a fetch for each conversion would cost the broker more than it tells us."""
FETCH_BYTES = 256 * 1024
QUEUE_KBYTES = 1_024


class ConversionFollower:
    """A thread that reads from the newest ``remembered`` conversions on. It owns no offsets and joins no group."""

    def __init__(
        self, kafka: str, recent: RecentConversions, remembered: int, currency_of: Callable[[str], str | None]
    ) -> None:
        """``currency_of`` gives an advertiser's currency, which a conversion without one has."""
        self._kafka = kafka
        self._recent = recent
        self._remembered = remembered
        self._currency_of = currency_of
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._follow, name="conversions-follow", daemon=True)

    def start(self) -> None:
        """Begin, unless nothing is to be remembered."""
        if self._remembered:
            self._thread.start()

    def close(self) -> None:
        """Stop following; returns within a second or so."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2 * POLL_S)

    def _follow(self) -> None:
        consumer = Consumer(
            {
                "bootstrap.servers": self._kafka,
                "group.id": "accredit-recent",  # librdkafka wants one; with assign it is not used
                "enable.auto.commit": False,
                "enable.auto.offset.store": False,
                "auto.offset.reset": "latest",
                "allow.auto.create.topics": False,
                "fetch.message.max.bytes": FETCH_BYTES,
                "queued.max.messages.kbytes": QUEUE_KBYTES,
                "fetch.min.bytes": FETCH_MIN_BYTES,
                "fetch.wait.max.ms": 500,
                "reconnect.backoff.max.ms": 1_000,
                "log_level": 0,
            }
        )
        try:
            assigned = False
            while not self._stopped.is_set():
                if assigned:
                    for message in consumer.consume(AT_ONCE, POLL_S):
                        self._take(message)
                else:
                    assigned = self._assign(consumer)
        except Exception:
            log.exception("conversion_follower_died")  # copies from other processes are answered "accepted" from now on
        finally:
            consumer.close()

    def _assign(self, consumer: Consumer) -> bool:
        """Read on from the newest records; False, after a while, where Kafka or the topic is not there yet."""
        try:
            partitions = consumer.list_topics(CONVERSIONS, ASK_TIMEOUT_S).topics[CONVERSIONS].partitions
            each = self._remembered // max(len(partitions), 1) + 1
            places = []
            for number in partitions:
                low, end = consumer.get_watermark_offsets(TopicPartition(CONVERSIONS, number), ASK_TIMEOUT_S)
                places.append(TopicPartition(CONVERSIONS, number, max(low, end - each)))
        except (KafkaException, KeyError) as error:
            log.debug("conversions_away", error=str(error))
            places = []
        if not places:
            self._stopped.wait(POLL_S)
            return False
        consumer.assign(places)
        return True

    def _take(self, message: Received) -> None:
        if message.error() is not None:
            return
        try:
            record = decode(message.value())
            if isinstance(record, Conversion):
                currency = record.currency or self._currency_of(record.advertiser_id)
                self._recent.meet(record.conversion_id, record.amount, currency)
        except (BadFrame, ValueError):  # not ours to judge
            return
