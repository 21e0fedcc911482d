"""``make bench-ingest``: redirects with durable acks beside nginx with a bare 302; bulk beside the bare producer.

Everything runs on this machine at once: wrk, the front door or nginx, and Kafka. The front door is as an operator has
it, everything on: a click is acknowledged with acks=all before its visitor goes on. It is the compiled one where that
is found first, as the Makefile has it; the table says which. Both are measured in turns, and where the machine is a
guest that is robbed of processor time while one of the two runs, that turn is held against others.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import orjson
import psutil
import structlog

from bench.redirect_parts import costs
from bench.rivals.run import CannotRun
from bench.wrk import Measured, Nginx, program, wrk
from console.probe import fetch, health
from console.topics import create_topics
from deploy.local.kafka import Kafka
from deploy.local.ports import LOOPBACK, free_port
from deploy.local.process import Child
from ingest import app
from ingest.bulk_publisher import BulkPublisher
from ingest.catalog_log import publish_catalog
from ingest.intake import Intake
from ingest.load import intake_now
from schemas.ids import ClickIdKeys
from schemas.times import format_time

CONNECTIONS = (1, 64, 256)
TURNS = 5
TURNS_AT_MOST = 15
CALM = 0.03
"""The share of processor time that others may take from this machine during a turn that counts."""
BODY_EVENTS = 1_000
BULK_CONNECTIONS = 4
BARE_EVENTS = 300_000
READY_S = 60.0
WARM_S = 5
CATALOG = """
advertisers: [{id: shop, currency: EUR}]
offers:
  - {id: lamps, advertiser_id: shop, landing_url: "https://shop.example/?tid={transaction_id}&p={partner_id}&s={sub1}"}
partners: [{id: anna, type: publisher}]
"""
LUA = """
local file = io.open("{body}", "rb")
wrk.method, wrk.body = "POST", file:read("*a")
wrk.headers["Content-Type"] = "application/x-ndjson"
file:close()
"""


class FrontDoor:
    """`accredit ingest` as an operator starts it."""

    def __init__(self, kafka: str, folder: Path, workers: int) -> None:
        self.url = f"http://{LOOPBACK}:{(port := free_port())}"
        argv = [sys.executable, "-P", "-m", "console", "ingest", "--data", str(folder), "--port", str(port)]
        environment = {**os.environ, "ACCREDIT_KAFKA": kafka, "ACCREDIT_LOG_FORMAT": "json"}
        self._child = Child("ingest", [*argv, "--workers", str(workers)], folder / "ingest.log", environment)

    def start(self) -> None:
        self._child.start()
        deadline = time.monotonic() + READY_S
        while not (found := health(self.url)).ready:
            if self._child.poll() is not None or time.monotonic() > deadline:
                raise CannotRun(f"ingest did not start: {found.reason}; {self._child.log_path.read_text()[-2_000:]}")
            time.sleep(0.1)

    def cpu_s(self) -> float:
        """Processor time of its workers so far."""
        assert self._child.pid is not None
        times = [child.cpu_times() for child in psutil.Process(self._child.pid).children(recursive=True)]
        return sum(one.user + one.system for one in times)

    def spooling(self) -> bool:
        return b"accredit_ingest_spooling 1.0" in fetch(f"{self.url}/metrics")[1]

    def stop(self) -> None:
        self._child.stop(10)


def main() -> None:
    cores = os.cpu_count() or 1
    parser = argparse.ArgumentParser(prog="python -m bench.ingest", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=5.0, help="of each run of wrk (default 5)")
    parser.add_argument("--workers", type=int, default=cores, help=f"processes of the front door (default {cores})")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    folder = Path(tempfile.mkdtemp(prefix="accredit-bench-"))
    kafka = Kafka(folder)
    try:
        program("wrk")
        program("nginx")
        kafka.start(on_progress=print)
        create_topics(kafka.bootstrap)
        publish_catalog(kafka.bootstrap, CATALOG, "bench")
        redirects(kafka.bootstrap, folder, options.seconds, options.workers)
        print_costs(kafka.bootstrap, folder)
    except CannotRun as error:
        sys.exit(f"bench-ingest: {error}")
    finally:
        kafka.stop()
        shutil.rmtree(folder, ignore_errors=True)


def redirects(kafka: str, folder: Path, seconds: float, workers: int) -> None:
    """The table, and bulk on the same front door."""
    door, nginx = FrontDoor(kafka, folder, workers), Nginx(folder / "nginx")
    try:
        door.start()
        bare = nginx.start()
        url = f"{door.url}/c/lamps?partner=anna&sub1=spring"
        wrk(url, 64, WARM_S)
        wrk(bare, 64, 1)
        print(f"\n{'connections':>11} {'':>10} {'requests/s':>12} {'p50':>10} {'p99':>10}   medians of {TURNS} turns")
        for connections in CONNECTIONS:
            taken = enough_turns(partial(turn, door, url, bare, connections, seconds))
            turns = calmest(taken)
            show(connections, "nginx", middle([each.theirs for each in turns]))
            show(connections, "accredit", middle([each.ours for each in turns]))
            ratios = sorted(each.ours.per_s / each.theirs.per_s for each in turns)
            print(
                f"{'':>11} accredit / nginx = {median(ratios):.3f} ({ratios[0]:.3f} to {ratios[-1]:.3f}); "
                f"{median([each.cpu_us for each in turns]):.0f} µs of processor a redirect, without Kafka's"
            )
            if len(taken) > TURNS:
                print(f"{'':>11} {which_count(taken, turns)}")
        print(
            f"{workers} worker{'s' if workers > 1 else ''}, {os.cpu_count()} cores with wrk and Kafka on them; "
            f"the front door is {'compiled' if is_compiled() else 'interpreted: `make compiled` failed'}",
            flush=True,
        )
        if door.spooling():
            print("the spool was in use: Kafka was too slow here for some of this")
        nginx.stop()
        bulk(kafka, door, folder, seconds)
    finally:
        nginx.stop()
        door.stop()


class Turn(NamedTuple):
    """nginx, then the front door. ``cpu_us``: of the front door's processor for a redirect; ``stolen``: the share of
    processor time that the machine did not get while one of them ran, the greater of the two.
    """

    theirs: Measured
    ours: Measured
    cpu_us: float
    stolen: float


def turn(door: FrontDoor, url: str, bare: str, connections: int, seconds: float) -> Turn:
    at_first = psutil.cpu_times()
    theirs = wrk(bare, connections, seconds)
    between, before = psutil.cpu_times(), door.cpu_s()
    ours = wrk(url, connections, seconds)
    cpu_us = (door.cpu_s() - before) / max(ours.per_s * seconds, 1) * 1e6
    return Turn(theirs, ours, cpu_us, max(stolen(at_first, between), stolen(between, psutil.cpu_times())))


def stolen(before: Any, after: Any) -> float:
    """The share of processor time between two readings that the hypervisor gave to others; 0 where it is not told."""
    spent = sum(after) - sum(before)
    return float((getattr(after, "steal", 0.0) - getattr(before, "steal", 0.0)) / spent) if spent > 0 else 0.0


def enough_turns(take: Callable[[], Turn]) -> list[Turn]:
    """Until there are enough calm ones, or it is too long."""
    taken: list[Turn] = []
    while len(taken) < TURNS_AT_MOST and sum(each.stolen <= CALM for each in taken) < TURNS:
        taken.append(take())
    return taken


def calmest(taken: list[Turn]) -> list[Turn]:
    """Those in which least was stolen. What was measured in them has no part in the choice."""
    return sorted(taken, key=lambda each: each.stolen)[:TURNS]


def which_count(taken: list[Turn], turns: list[Turn]) -> str:
    """Which turns count, and why not all."""
    most = max(each.stolen for each in taken)
    return (
        f"{len(turns)} of {len(taken)} turns: others took up to {most:.0%} of this machine's processors, "
        f"in these {turns[-1].stolen:.0%} at most"
    )


def middle(runs: list[Measured]) -> Measured:
    """The run with the median of requests a second, and what failed in any."""
    ordered = sorted(runs, key=lambda run: run.per_s)
    return ordered[len(ordered) // 2]._replace(bad=sum(run.bad for run in runs))


def is_compiled() -> bool:
    """Whether the front door that is found first is machine code."""
    return not str(app.__file__).endswith(".py")


def show(connections: int, name: str, found: Measured) -> None:
    bad = f"   {found.bad} failed" if found.bad else ""
    print(
        f"{connections:>11} {name:>10} {found.per_s:>12,.0f} {found.p50_ms:>7.2f} ms {found.p99_ms:>7.2f} ms{bad}",
        flush=True,
    )


def bulk(kafka: str, door: FrontDoor, folder: Path, seconds: float) -> None:
    """1,000-event NDJSON bodies against the same messages given to the bare producer."""
    now = int(time.time() * 1_000)
    events = [
        {
            "type": "click",
            "click_id": f"b-{number}",
            "session_id": f"018f3c1e-0000-7000-8000-{number:012x}",
            "occurred_at": format_time(now - number),
            "offer_id": "lamps",
            "partner_id": "anna",
            "sub1": "spring",
        }
        for number in range(BODY_EVENTS)
    ]
    body, script = folder / "body.ndjson", folder / "bulk.lua"
    body.write_bytes(b"\n".join(map(orjson.dumps, events)))
    script.write_text(LUA.format(body=body))
    found = wrk(f"{door.url}/v1/events", BULK_CONNECTIONS, seconds, script)
    intake: Intake = intake_now(kafka, ClickIdKeys(1, {1: bytes(32)}))
    messages = [intake.accept(event, now=now, door="bulk").message for event in events]
    with BulkPublisher(kafka) as publisher:
        began = time.perf_counter()
        for _ in range(BARE_EVENTS // BODY_EVENTS):
            for message in messages:
                publisher.publish(message)
        publisher.flush()
        bare = BARE_EVENTS / (time.perf_counter() - began)
    ours = found.per_s * BODY_EVENTS
    print(f"\nbulk, bodies of {BODY_EVENTS:,} events: {ours:,.0f} events/s, p99 {found.p99_ms:.0f} ms", end="")
    print(f"{f', {found.bad} failed' if found.bad else ''}; the bare producer {bare:,.0f}; ratio {ours / bare:.3f}")


def print_costs(kafka: str, folder: Path) -> None:
    print("\nwhat a redirect costs, in µs:")
    for name, us in asyncio.run(costs(kafka, folder / "parts", CATALOG)):
        print(f"  {us:7.2f}  {name}")


if __name__ == "__main__":
    main()
