"""``make bench-latency``: how long a sale takes from the shop's answer to its credit, and to a row that can be queried.

The whole installation, as ``accredit up`` runs it, with the load generator beside it on this machine. Clicks come in
bodies of some hundreds, as a high-volume publisher sends them, and some as visitors on tracking links; sales come one
by one, as postbacks with a click's transaction id. A sale's clock starts when its sender has read the answer.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import shutil
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import structlog
from confluent_kafka import Consumer, TopicPartition

from bench import workload
from bench.installed import Installed
from console.keys import load_keys
from schemas.codec import decode
from schemas.ids import session_text
from schemas.records import Credit
from schemas.times import format_time
from schemas.topics import CREDITS

EVENTS_PER_S = 5_000
SALES_SHARE = 0.02
VISITORS_PER_S = 50
BODIES_PER_S = 10
SECONDS = 60
WARM_UP_S = 5.0
OLDEST_CLICKS = 20_000
"""Sales follow one of so many latest clicks."""
ASK_EVERY_S = 0.1
SETTLE_S = 30.0
REDIRECTED = 302
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
TARGET_TOPIC_MS = 250
TARGET_ROW_MS = 2_000


class Measured:
    """When each sale was answered, credited, and queryable: monotonic seconds by conversion id."""

    def __init__(self) -> None:
        self.answered: dict[str, float] = {}
        self.credited: dict[str, float] = {}
        self.queryable: dict[str, float] = {}
        self.sent = 0
        self.failed = 0
        self.all_sent = False

    def waiting(self) -> list[str]:
        return [sale for sale in list(self.answered) if sale not in self.queryable]

    def delays_ms(self, reached: dict[str, float], since: float) -> list[float]:
        """Of sales answered after ``since``, sorted. One that is there before its answer was read took no time."""
        found = [
            max(reached[sale] - at, 0.0) * 1_000
            for sale, at in self.answered.items()
            if at >= since and sale in reached
        ]
        return sorted(found)


class CreditReader(threading.Thread):
    """Reads the topic of credits and notes when a sale's first credit that names a partner comes."""

    def __init__(self, kafka: str, measured: Measured) -> None:
        super().__init__(daemon=True)
        self._measured = measured
        self.stopping = threading.Event()
        self._consumer = Consumer(
            {
                "bootstrap.servers": kafka,
                "group.id": "bench-latency",
                "enable.auto.commit": False,
                "fetch.wait.max.ms": 20,
            }
        )
        places = self._consumer.list_topics(CREDITS).topics[CREDITS].partitions
        self._consumer.assign([TopicPartition(CREDITS, place, 0) for place in places])

    def run(self) -> None:
        while not self.stopping.is_set():
            for message in self._consumer.consume(1_000, 0.01):
                now = time.monotonic()
                value = message.value()
                credit = decode(value) if value else None
                if isinstance(credit, Credit) and credit.status == "credited":
                    self._measured.credited.setdefault(credit.conversion_id, now)
        self._consumer.close()


class Load:
    """The senders. Each keeps its own pace, whatever the answers take."""

    def __init__(self, ingest: str, data: Path, measured: Measured, http: aiohttp.ClientSession, rate: int) -> None:
        self._ingest = ingest
        self._keys = load_keys(data)
        self._measured = measured
        self._http = http
        self._chance = random.Random(1)
        self._clicked: list[str] = []
        self._sales = int(rate * SALES_SHARE)
        self._in_bodies = (rate - self._sales - VISITORS_PER_S) // BODIES_PER_S
        self._number = 0

    async def run(self, seconds: float) -> None:
        """Send for so long; return when all is answered."""
        async with asyncio.TaskGroup() as group:
            for send, per_s in ((self._body, BODIES_PER_S), (self._visit, VISITORS_PER_S), (self._sale, self._sales)):
                group.create_task(self._paced(group, send, per_s, seconds))

    async def _paced(self, group: asyncio.TaskGroup, send: Any, per_s: int, seconds: float) -> None:
        began = time.monotonic()
        for i in range(int(per_s * seconds)):
            await asyncio.sleep(max(began + i / per_s - time.monotonic(), 0))
            group.create_task(self._counted(send))

    async def _counted(self, send: Any) -> None:
        try:
            answered = await send()
            self._measured.sent += answered
        except (aiohttp.ClientError, TimeoutError, ValueError):
            self._measured.failed += 1

    async def _body(self) -> int:
        now = time.time_ns() // 1_000_000
        at = format_time(now)
        clicks, ids = [], []
        for _ in range(self._in_bodies):
            session, self._number = self._chance.randbytes(16), self._number + 1
            ids.append(self._keys.mint(session, now, "shop", self._chance.randbytes(6)))
            click = {
                "type": "click",
                "click_id": ids[-1],
                "session_id": session_text(session),
                "occurred_at": at,
                "offer_id": f"o{self._number % workload.OFFERS}",
                "partner_id": f"p{self._number % workload.PARTNERS}",
                "sub1": "newsletter",
            }
            clicks.append(orjson.dumps(click))
        headers = {"Content-Type": "application/x-ndjson"}
        async with self._http.post(f"{self._ingest}/v1/events", data=b"\n".join(clicks), headers=headers) as answer:
            await answer.read()
            answer.raise_for_status()
        self._clicked += ids
        del self._clicked[:-OLDEST_CLICKS]
        return len(ids)

    async def _visit(self) -> int:
        self._number += 1
        offer, partner = self._number % workload.OFFERS, self._number % workload.PARTNERS
        url = f"{self._ingest}/c/o{offer}?partner=p{partner}"
        async with self._http.get(url, allow_redirects=False, headers={"User-Agent": BROWSER}) as answer:
            await answer.read()
            if answer.status != REDIRECTED:
                raise ValueError(f"a tracking link answered {answer.status}")
        return 1  # no sale follows it: so many visits from one address may be flagged as a flood

    async def _sale(self) -> int:
        if not self._clicked:
            return 0
        self._number += 1
        sale = {
            "transaction_id": self._chance.choice(self._clicked),
            "advertiser_id": "shop",
            "goal": "sale",
            "order_id": f"order-{self._number}",
            "amount": "19.99",
        }
        async with self._http.get(f"{self._ingest}/pb", params=sale) as answer:
            said = orjson.loads(await answer.read())
            at = time.monotonic()
            answer.raise_for_status()
        self._measured.answered[said["conversion_id"]] = at
        return 1


async def ask(clickhouse: str, measured: Measured, http: aiohttp.ClientSession) -> None:
    """Ask ClickHouse which sales it has, again and again, until all are sent and found."""
    while not measured.all_sent or measured.waiting():
        await asyncio.sleep(ASK_EVERY_S)
        waiting = measured.waiting()
        if not waiting:
            continue
        names = ",".join(f"'{name}'" for name in waiting)
        query = f"SELECT conversion_id FROM accredit.credits WHERE status = 'credited' AND conversion_id IN ({names})"
        async with http.post(clickhouse, data=query) as answer:
            found = (await answer.text()).split()
            answer.raise_for_status()
        now = time.monotonic()
        for name in found:
            measured.queryable.setdefault(name, now)


async def measure(installed: Installed, seconds: float, rate: int) -> tuple[Measured, float, float]:
    """What was measured, when the measurement proper began, and how long sending took."""
    measured = Measured()
    reader = CreditReader(installed.kafka, measured)
    reader.start()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(30), cookie_jar=aiohttp.DummyCookieJar()) as http:
        asking = asyncio.create_task(ask(installed.clickhouse, measured, http))
        began = time.monotonic()
        await Load(installed.ingest, installed.data, measured, http, rate).run(WARM_UP_S + seconds)
        took = time.monotonic() - began
        measured.all_sent = True
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asking, SETTLE_S)
    reader.stopping.set()
    reader.join()
    return measured, began + WARM_UP_S, took


def told(name: str, delays: list[float], asked: int, target_ms: int) -> bool:
    """Print a line; whether the target is met."""
    if not delays:
        print(f"{name:<22} none of {asked:,} came")
        return False
    p50, p99 = (delays[min(int(len(delays) * q), len(delays) - 1)] for q in (0.50, 0.99))
    missing = f"   {asked - len(delays):,} did not come" if asked > len(delays) else ""
    print(f"{name:<22} p50 {p50:>6,.0f} ms   p99 {p99:>6,.0f} ms   target p99 {target_ms:,} ms{missing}")
    return p99 <= target_ms and not missing


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.latency", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=SECONDS, help=f"how long to send (default {SECONDS})")
    parser.add_argument("--rate", type=int, default=EVENTS_PER_S, help=f"events/s (default {EVENTS_PER_S:,})")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    folder = Path(tempfile.mkdtemp(prefix="accredit-bench-"))
    try:
        with Installed(folder / "data") as installed:
            installed.apply(workload.catalog_text())
            print(f"sending {options.rate:,} events/s for {options.seconds:.0f} s, 2 % of them sales …", flush=True)
            before = installed.cpu_seconds()
            measured, since, took = asyncio.run(measure(installed, options.seconds, options.rate))
            used = {name: seconds - before[name] for name, seconds in installed.cpu_seconds().items()}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    asked = sum(at >= since for at in measured.answered.values())
    print(f"offered {options.rate:,} events/s, answered {measured.sent / took:,.0f}/s; {measured.failed} failed")
    print("  cpu: " + ", ".join(f"{name} {seconds / took:.0%}" for name, seconds in used.items()))
    met = told("answer to topic", measured.delays_ms(measured.credited, since), asked, TARGET_TOPIC_MS)
    met &= told("answer to queryable", measured.delays_ms(measured.queryable, since), asked, TARGET_ROW_MS)
    sys.exit(0 if met else 1)


if __name__ == "__main__":
    main()
