"""What the join benchmarks feed: realistic clicks and conversions, the same for every rival."""

from __future__ import annotations

import base64
import random
import time
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic

from schemas.codec import encode
from schemas.ids import conversion_id
from schemas.records import CatalogVersion, Click, Conversion
from schemas.topics import CATALOG, CLICKS, CONVERSIONS, PARTITIONER, TOPICS

PARTITIONS = 4
PARTNERS = 500
OFFERS = 100
CLICKS_PER_SESSION = 3
CLICKS_PER_CONVERSION = 50
STARTS_AT = 1_780_000_000_000
GROUPS = ("preferred", "default", "non_preferred")


class Fed(NamedTuple):
    """How many events are in the topics."""

    clicks: int
    conversions: int

    @property
    def events(self) -> int:
        return self.clicks + self.conversions


def catalog_text() -> str:
    """500 partners with a contract each, in three credit groups, on 100 offers of one advertiser."""
    lines = ["advertisers:", "  - {id: shop, currency: EUR}", "offers:"]
    for i in range(OFFERS):
        terms = f"landing_url: 'https://shop.example/{i}', revenue: [{{goal: sale, percent: '12'}}]"
        lines.append(f"  - {{id: o{i}, advertiser_id: shop, {terms}}}")
    lines.append("partners:")
    lines += [f"  - {{id: p{i}, type: publisher}}" for i in range(PARTNERS)]
    lines.append("contracts:")
    for i in range(PARTNERS):
        payout = f'[{{goal: sale, percent: "{5 + i % 7}"}}]'
        start = "2020-01-01T00:00:00Z"
        lines.append(
            f"  - {{id: c{i}, partner_id: p{i}, program_id: shop, credit_group: {GROUPS[i % 3]}, "
            f"from: {start}, payout: {payout}}}"
        )
    return "\n".join(lines) + "\n"


def catalog_version() -> CatalogVersion:
    """The catalog as version 1 of the log."""
    return CatalogVersion(1, 0, STARTS_AT, "bench", "0" * 64, catalog_text())


def sessions(chance: random.Random, number: int) -> list[tuple[bytes, str]]:
    """Key and text of that many sessions."""
    keys = [chance.randbytes(16) for _ in range(number)]
    return [(key, str(uuid.UUID(bytes=key))) for key in keys]


def events(clicks: int, seed: int = 1) -> Iterator[tuple[bytes, Click | Conversion]]:
    """That many clicks at random over a third as many sessions, and a conversion of some session every 50 clicks."""
    chance = random.Random(seed)
    visitors = sessions(chance, max(clicks // CLICKS_PER_SESSION, 1))
    for i in range(clicks):
        key, session = chance.choice(visitors)
        at = STARTS_AT + i * 5
        yield (
            key,
            Click(
                click_id=base64.urlsafe_b64encode(b"\1" + key + i.to_bytes(28, "big")).decode(),
                occurred_at=at,
                received_at=at + 2,
                type="click",
                partner_id=f"p{i % PARTNERS}",
                offer_id=f"o{i % OFFERS}",
                invalid=None,
                country="DE",
                session_id=session,
                sub1="newsletter",
                device="mobile",
                os="Android",
                browser="Chrome",
                referrer="https://example.com/x",
                door="redirect",
            ),
        )
        if i % CLICKS_PER_CONVERSION == 0:
            key, session = chance.choice(visitors)
            order = f"order-{i}"
            yield (
                key,
                Conversion(
                    conversion_id=conversion_id("shop", "sale", order, None),
                    occurred_at=at,
                    received_at=at + 2,
                    advertiser_id="shop",
                    goal="sale",
                    order_id=order,
                    program_id=None,
                    offer_id=None,
                    click_id=None,
                    amount="19.99",
                    currency="EUR",
                    promo_code=None,
                    customer_id=None,
                    country="DE",
                    session_id=session,
                    door="postback",
                ),
            )


def create_topics(kafka: str, names: list[str] | None = None) -> None:
    """The product's topics, or others with as many partitions."""
    new = [NewTopic(topic.name, topic.partitions or PARTITIONS, 1, config=topic.settings()) for topic in TOPICS]
    if names is not None:
        new = [NewTopic(name, PARTITIONS, 1) for name in names]
    admin = AdminClient({"bootstrap.servers": kafka})
    for future in admin.create_topics(new).values():
        future.result(30)


def producer(kafka: str) -> Producer:
    """As ingest produces, with room for a whole benchmark."""
    settings: dict[str, Any] = {
        "bootstrap.servers": kafka,
        "linger.ms": 20,
        "queue.buffering.max.messages": 1_000_000,
        "compression.type": "lz4",
        "partitioner": PARTITIONER,
        "delivery.report.only.error": True,
        "on_delivery": delivered,
    }
    return Producer(settings)


def delivered(error: KafkaError | None, message: Message) -> None:
    """A benchmark whose records Kafka refuses would wait for them for ever."""
    if error is not None:
        raise RuntimeError(f"Kafka refused a record for {message.topic()}: {error}")


def send(out: Producer, topic: str, key: bytes | None, value: bytes, at: int) -> None:
    """Produce, waiting for room in the queue."""
    while True:
        try:
            out.produce(topic, value, key=key, timestamp=at)
            return
        except BufferError:
            out.poll(0.05)


def feed(kafka: str, clicks: int, seed: int = 1) -> Fed:
    """Catalog, clicks and conversions into the product's topics."""
    out = producer(kafka)
    send(out, CATALOG, None, encode(catalog_version()), STARTS_AT)
    counts = {CLICKS: 0, CONVERSIONS: 0}
    for key, event in events(clicks, seed):
        topic = CLICKS if isinstance(event, Click) else CONVERSIONS
        counts[topic] += 1
        send(out, topic, key, encode(event), event.occurred_at)
        if counts[topic] % 5_000 == 0:
            out.poll(0)
    left = out.flush(120)
    if left:
        raise TimeoutError(f"Kafka at {kafka} did not acknowledge {left} records in 120 s")
    return Fed(counts[CLICKS], counts[CONVERSIONS])


def now() -> float:
    """Seconds on a clock that only goes forward."""
    return time.monotonic()
