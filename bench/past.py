"""A long past, made fast: touches of many sessions as bytes, each a pure function of its number.

``encode`` would take longer to make ten million clicks than the worker takes to read them. So one click is encoded, and
the others are that one with other values in the places where they differ.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from confluent_kafka import Producer
from xxhash import xxh3_128_digest

from bench import workload
from schemas.codec import decode, encode
from schemas.compiled import write_length, write_long
from schemas.ids import conversion_id, session_text
from schemas.records import Click, Conversion
from schemas.topics import CLICKS, CONVERSIONS

PER_SESSION = 3
APART_MS = 100
CLICK_ID_LENGTH = 60
PARTNERS_OF_ONE = 20
"""How many partners a single session meets at most, however long it is."""
POLL_EVERY = 20_000


class Message(NamedTuple):
    """One record of a topic."""

    topic: str
    key: bytes
    value: bytes
    at: int


def session_of(touch: int) -> bytes:
    """Each session has three touches, with those of some others between them."""
    block, place = divmod(touch, 3_000)
    return session_key(block * 1_000 + place % 1_000)


def session_key(number: int) -> bytes:
    return xxh3_128_digest(b"session %d" % number)


def click_of(number: int, key: bytes) -> Click:
    at = workload.STARTS_AT + number * APART_MS
    return Click(
        click_id=f"{number:0{CLICK_ID_LENGTH}d}",
        occurred_at=at,
        received_at=at + 2,
        type="click",
        partner_id=f"p{number % workload.PARTNERS}",
        offer_id=f"o{number % workload.OFFERS}",
        invalid=None,
        country="DE",
        session_id=session_text(key),
        sub1="newsletter",
        device="mobile",
        browser="Chrome",
        referrer="https://example.com/x",
    )


@cache
def frame_parts(kind: int) -> tuple[bytes, bytes, bytes]:
    """A click of partner ``p<kind>`` cut at its click id, times and session: what stands before, between, behind."""
    click = click_of(kind, bytes(16))
    whole = encode(click)
    length = write_length(CLICK_ID_LENGTH)
    head = whole[: whole.index(click.click_id.encode()) - len(length)] + length
    times = write_long(click.occurred_at) + write_long(click.received_at)
    between, behind = whole[len(head) + CLICK_ID_LENGTH + len(times) :].split(click.session_id.encode())
    return head, between, behind


def click_value(number: int, key: bytes, partner: int | None = None) -> bytes:
    """``encode(click_of(number, key))``; ``partner`` other than the number says."""
    at = workload.STARTS_AT + number * APART_MS
    head, between, behind = frame_parts(number % workload.PARTNERS if partner is None else partner)
    times = write_long(at) + write_long(at + 2)
    return b"%b%060d%b%b%b%b" % (head, number, times, between, session_text(key).encode(), behind)


def touches(begin: int, end: int) -> Iterator[Message]:
    """The touches with these numbers."""
    for number in range(begin, end):
        key = session_of(number)
        yield Message(CLICKS, key, click_value(number, key), workload.STARTS_AT + number * APART_MS)


def touches_of_one(key: bytes, begin: int, end: int) -> Iterator[Message]:
    """Touches with these numbers, all of one session."""
    for number in range(begin, end):
        value = click_value(number, key, number % PARTNERS_OF_ONE)
        yield Message(CLICKS, key, value, workload.STARTS_AT + number * APART_MS)


def sale(name: str, key: bytes, at: int) -> Message:
    """A conversion of a session."""
    record = Conversion(
        conversion_id=conversion_id("shop", "sale", name, None),
        occurred_at=at,
        received_at=at + 2,
        advertiser_id="shop",
        goal="sale",
        order_id=name,
        program_id=None,
        offer_id=None,
        click_id=None,
        amount="19.99",
        currency="EUR",
        promo_code=None,
        customer_id=None,
        country="DE",
        session_id=session_text(key),
        door="postback",
    )
    return Message(CONVERSIONS, key, encode(record), at)


def sales(name: str, count: int, of_touches: int, seed: int) -> list[Message]:
    """Conversions of sessions from anywhere in the first so many touches, each soon after one of its touches."""
    chance = random.Random(seed)
    numbers = [chance.randrange(of_touches) for _ in range(count)]
    return [
        sale(f"{name}-{i}", session_of(number), workload.STARTS_AT + number * APART_MS + 1)
        for i, number in enumerate(numbers)
    ]


def decoded(message: Message) -> Click:
    """The click of a message, for the offline core."""
    click = decode(message.value)
    assert isinstance(click, Click)
    return click


def send_all(out: Producer, messages: Iterator[Message] | list[Message]) -> int:
    """Produce everything and wait for the acknowledgements; how many there were."""
    count = 0
    for message in messages:
        workload.send(out, message.topic, message.key, message.value, message.at)
        count += 1
        if count % POLL_EVERY == 0:
            out.poll(0)
    left = out.flush(120)
    if left:
        raise TimeoutError(f"Kafka did not acknowledge {left} records in 120 s")
    return count
