"""What the front door's chaos run sends: visits, postbacks, bulk events. Each has a name of its own, and is sent once.

Only what was answered 2xx or 302 counts. A request that is not answered is not repeated: its event may be there or
not, but not twice.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from urllib.parse import parse_qs, urlsplit
from uuid import UUID

import orjson

from schemas.times import format_time

VISITORS, SHOPS, BULKS = 4, 2, 1
VISITS_PER_S, SALES_PER_S, BODIES_PER_S = 60.0, 30.0, 2.0
BODY_EVENTS = 200
ANSWER_S = 60.0
AWAY_S = 0.1
LANDING = "https://shop.example/?tid={transaction_id}"
CATALOG = f"""
advertisers: [{{id: shop, currency: EUR}}]
offers: [{{id: lamps, advertiser_id: shop, landing_url: "{LANDING}"}}]
partners: [{{id: anna, type: publisher}}]
contracts:
  - {{id: c, partner_id: anna, program_id: shop, from: 2020-01-01T00:00:00Z, payout: [{{percent: "5"}}]}}
"""


class Caller(threading.Thread):
    """One connection that sends at a steady rate until told to stop."""

    def __init__(self, kind: str, number: int, seed: int, url: str, per_second: float, stop: threading.Event) -> None:
        super().__init__(name=f"{kind}-{number}", daemon=True)
        self.kind = kind
        self.prefix = f"{kind}{number}-{seed}-"
        self.chance = random.Random(self.prefix)
        self.address = urlsplit(url).netloc
        self.pause_s = 1 / per_second
        self.stop = stop
        self.sent = self.refused = 0
        self.answered: list[str] = []
        self.failure: str | None = None
        self.slowest_s = 0.0
        self.click_ids: list[str] = []
        self._connection: HTTPConnection | None = None

    def run(self) -> None:
        names = (f"{self.prefix}{number:07d}" for number in range(10_000_000))
        moment = time.monotonic()
        while not self.stop.is_set() and self.failure is None:
            self._send(names)
            moment = max(moment + self.pause_s, time.monotonic() - 1)
            self.stop.wait(max(moment - time.monotonic(), 0))

    def _send(self, names: Iterator[str]) -> None:
        events = [next(names) for _ in range(BODY_EVENTS if self.kind == "bulk" else 1)]
        method, path, body = self._request(events)
        self.sent += len(events)
        began = time.monotonic()
        try:
            status, location, said = self._ask(method, path, body)
        except (OSError, HTTPException):
            self._connection = None
            self.stop.wait(AWAY_S)
            return
        self.slowest_s = max(self.slowest_s, time.monotonic() - began)
        if status == 503:
            self.refused += len(events)
        elif status not in (200, 202, 302) or (b'"rejected":0' not in said and self.kind == "bulk"):
            self.failure = f"{method} {path}: {status} {said[:300]!r}"
        else:
            self.answered += events
            if location is not None:
                self.click_ids += parse_qs(urlsplit(location).query)["tid"]

    def _request(self, names: list[str]) -> tuple[str, str, bytes | None]:
        if self.kind == "visit":
            return "GET", f"/c/lamps?partner=anna&sub1={names[0]}", None
        if self.kind == "sale":
            return "POST", "/pb", f"advertiser_id=shop&goal=sale&amount=10.00&order_id={names[0]}".encode()
        return "POST", "/v1/events", b"\n".join(orjson.dumps(self._event(name)) for name in names)

    def _event(self, name: str) -> dict[str, str]:
        session = str(UUID(int=self.chance.getrandbits(128), version=4))
        at = format_time(int(time.time() * 1_000))
        if self.chance.random() < 0.8:
            touch = {"type": "click", "click_id": name, "sub1": name, "offer_id": "lamps", "partner_id": "anna"}
            return {**touch, "session_id": session, "occurred_at": at}
        sale = {"type": "conversion", "advertiser_id": "shop", "goal": "sale", "order_id": name, "amount": "5.00"}
        return {**sale, "session_id": session, "occurred_at": at}

    def _ask(self, method: str, path: str, body: bytes | None) -> tuple[int, str | None, bytes]:
        if self._connection is None:
            self._connection = HTTPConnection(self.address, timeout=ANSWER_S)
        self._connection.request(method, path, body)
        answer = self._connection.getresponse()
        return answer.status, answer.getheader("location"), answer.read()


class Load:
    """All callers."""

    def __init__(self, url: str, seed: int) -> None:
        self._stop = threading.Event()
        kinds = (("visit", VISITORS, VISITS_PER_S), ("sale", SHOPS, SALES_PER_S), ("bulk", BULKS, BODIES_PER_S))
        self.callers = [
            Caller(kind, number, seed, url, rate, self._stop) for kind, many, rate in kinds for number in range(many)
        ]

    def start(self) -> None:
        for caller in self.callers:
            caller.start()

    def end(self) -> None:
        """Every request is answered or lost when this returns; AssertionError for an answer that nobody should get."""
        self._stop.set()
        for caller in self.callers:
            caller.join(2 * ANSWER_S)
            assert not caller.is_alive(), f"{caller.name} was not answered any more"
            assert caller.failure is None, caller.failure

    def answered(self) -> set[str]:
        return {name for caller in self.callers for name in caller.answered}
