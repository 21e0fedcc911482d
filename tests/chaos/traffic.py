"""What the chaos run sends: sessions with competing touches, codes, late clicks, copies, conflicts, two doors. Seeded.

Sent through ``POST /v1/events``. A batch that is not answered with 2xx is sent again until it is; only what was
answered counts as sent.
"""

from __future__ import annotations

import random
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import orjson

from schemas.times import DAY, MINUTE, format_time

PARTNERS = 9
ONCE = 0.5
"""Of so many sales the visitor is never seen again: no later event brings back a credit that was lost."""
GROUPS = ("preferred", "default", "non_preferred")
POLICIES = ("always", "if_involved", "if_winner")
BATCH = 200
ANSWER_S = 150.0
AGAIN_S = 0.5
BEFORE_EVERYTHING = "2020-01-01T00:00:00Z"

CATALOG = "\n".join(
    [
        "advertisers: [{id: shop, currency: EUR, programs: [{id: vip, foreign_code: invalid}]}]",
        "offers:",
        '  - {id: lamps, advertiser_id: shop, landing_url: "https://shop.example/", revenue: [{percent: "20"}]}',
        '  - {id: rings, advertiser_id: shop, program_id: vip, landing_url: "https://shop.example/", window: 3d}',
        "partners:",
        *(f"  - {{id: p{i}, type: publisher}}" for i in range(PARTNERS)),
        "contracts:",
        *(
            f"  - {{id: c{i}-{program}, partner_id: p{i}, program_id: {program}, credit_group: {GROUPS[i % 3]}, "
            f"promo_policy: {POLICIES[i // 3]}, accepts_impressions: true, from: {BEFORE_EVERYTHING}, "
            f'payout: [{{percent: "{i + 1}"}}]}}'
            for i in range(PARTNERS)
            for program in ("shop", "vip")
        ),
        "promo_codes:",
        *(
            f"  - {{code: CODE{i}, partner_id: p{i}, program_id: {program}, from: {BEFORE_EVERYTHING}}}"
            for i in range(PARTNERS)
            for program in ("shop", "vip")
        ),
    ]
)


def events(seed: int, number: int, now: int) -> list[dict[str, Any]]:
    """About ``number`` events in the order in which they are sent; times lie in the ten days before ``now``."""
    chance = random.Random(seed)
    sessions = [str(UUID(int=chance.getrandbits(128), version=4)) for _ in range(number // 8)]
    touches = [touch(chance, seed, i, sessions, now) for i in range(number * 9 // 10)]
    sent = [(chance.random(), event) for event in touches]
    for i in range(number // 10):
        seen, at = chance.choice(touches), None
        if chance.random() < ONCE:
            at = chance.random()
            visitor = str(UUID(int=chance.getrandbits(128), version=4))
            seen = touch(chance, seed, number + i, [visitor], now)
            sent.append((at, seen))
        for event in sale(chance, seed, i, seen, sessions):
            sent.append((at or chance.random(), event))  # else before or after its touches, and of each other
    sent.sort(key=lambda pair: pair[0])
    return [event for _, event in sent]


def touch(chance: random.Random, seed: int, i: int, sessions: list[str], now: int) -> dict[str, Any]:
    event = {
        "type": "click" if chance.random() < 0.8 else "impression",
        "click_id": f"k{seed}-{i:07d}",
        "session_id": chance.choice(sessions),
        "occurred_at": format_time(now - 10 * DAY + chance.randrange(7 * DAY)),
        "offer_id": chance.choice(("lamps", "lamps", "rings")),
        "partner_id": f"p{chance.randrange(PARTNERS)}",
    }
    return {**event, "invalid": "bot"} if chance.random() < 0.03 else event


def sale(
    chance: random.Random, seed: int, i: int, seen: dict[str, Any], sessions: list[str]
) -> Iterator[dict[str, Any]]:
    """A conversion of the touch's session; sometimes again, with another amount, or through another door."""
    from schemas.times import parse_time

    event = {
        "type": "conversion",
        "session_id": seen["session_id"],
        "advertiser_id": "shop",
        "offer_id": seen["offer_id"],
        "goal": "sale",
        "order_id": f"o{seed}-{i:06d}",
        "occurred_at": format_time(parse_time(seen["occurred_at"]) + chance.randrange(MINUTE, 2 * DAY)),
        "amount": f"{chance.randrange(100, 50_000) / 100:.2f}",
    }
    if chance.random() < 0.3:
        event["promo_code"] = f"code{chance.randrange(PARTNERS + 1)}"
    yield event
    fate = chance.random()
    if fate < 0.05:
        yield event
    elif fate < 0.08:
        yield {**event, "amount": "1.00"}
    elif fate < 0.13:
        yield {**event, "session_id": chance.choice(sessions)}


class Sender(threading.Thread):
    """Posts the events evenly over ``seconds``, at least; knows which were answered as accepted."""

    def __init__(self, url: str, sent: list[dict[str, Any]], seconds: float) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.batches = [sent[i : i + BATCH] for i in range(0, len(sent), BATCH)]
        self.pause_s = seconds / len(self.batches)
        self.answered: list[dict[str, Any]] = []
        self.tried_again = 0
        self.failure: str | None = None

    def run(self) -> None:
        began = time.monotonic()
        for i, batch in enumerate(self.batches):
            while not self.post(batch):
                self.tried_again += 1
                time.sleep(AGAIN_S)
            if self.failure is not None:
                return
            time.sleep(max(began + (i + 1) * self.pause_s - time.monotonic(), 0))

    def post(self, batch: list[dict[str, Any]]) -> bool:
        """Whether the batch was answered."""
        body = b"\n".join(orjson.dumps(event) for event in batch)
        request = urllib.request.Request(f"{self.url}/v1/events", data=body, method="POST")
        request.add_header("Content-Type", "application/x-ndjson")
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
                said = orjson.loads(answer.read())
        except urllib.error.HTTPError as error:
            if error.code != 503:
                self.failure = f"{error.code}: {error.read().decode()}"
                return True
            return False
        except OSError:
            return False
        refused = [r for r in said["results"] if r["status"] == "rejected" and r["reason"] != "CONFLICT"]
        if refused:  # the door may know an order already; what it knows of is in the log
            self.failure = f"rejected: {refused[:3]}"
        self.answered += batch
        return True
