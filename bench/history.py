"""``make bench-history``: does the worker's cost grow with what it remembers?

Events/s with more and more touches in the store; with one session that has a hundred thousand and goes on converting;
and how long a worker takes that was killed and whose state is gone. Its credits are checked against the offline core.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import structlog
from confluent_kafka import Consumer, TopicPartition

from bench import past, workload
from bench.accredit_worker import Worker, until_finished, until_ready
from deploy.local.kafka import Kafka
from processors.core import CompiledLog, SessionTouches, Touch, decide_session
from schemas.catalog import CatalogLog
from schemas.codec import decode, encode
from schemas.ids import session_text
from schemas.records import Conversion, Credit
from schemas.topics import CATALOG, CREDITS

MILLION = 1_000_000
LEVELS = (1, 5, 10)
REBUILD_AT = 5
SLICE = 200_000
PER_CONVERSION = 50
HOT_TOUCHES = 100_000
HOT_CONVERSIONS = 2_000
HOT_CLICKS = 2_000
PROBES = 2_000
READ_WAIT_S = 10.0
HOT_FROM = 20 * MILLION
"""The hot session's touches have numbers of their own, and so times of their own, which Kafka must not find ahead."""


class Bench:
    """One broker, one worker at a time, and what is in the topics."""

    def __init__(self, kafka: str, folder: Path) -> None:
        self.kafka = kafka
        self.folder = folder
        self.state = folder / "state"
        self.out = workload.producer(kafka)
        self.touches = 0
        self.sales: list[past.Message] = []

    def worked_off(self, name: str, messages: Iterator[past.Message] | list[past.Message]) -> tuple[int, float]:
        """Send, then start the worker and let it finish: how many events, in how many seconds."""
        count = past.send_all(self.out, messages)
        with Worker(self.kafka, self.folder, self.state, name) as worker:
            return count, until_finished([worker], count)

    def remember(self, upto: int) -> None:
        """Bring the store to so many touches."""
        count, seconds = self.worked_off(f"load-{upto}", past.touches(self.touches, upto))
        self.touches = upto
        print(f"  {upto:,} touches in the store; the last {count:,} at {count / seconds:,.0f} events/s", flush=True)

    def slice(self, name: str) -> float:
        """Events/s of new clicks, and of conversions of sessions from anywhere in the past."""
        sold = past.sales(name, SLICE // PER_CONVERSION, self.touches, len(self.sales))
        self.sales += sold
        clicks = past.touches(self.touches, self.touches + SLICE)
        self.touches += SLICE
        count, seconds = self.worked_off(name, mixed(clicks, sold))
        return count / seconds


def mixed(clicks: Iterator[past.Message], others: list[past.Message]) -> Iterator[past.Message]:
    """The others evenly among the clicks of a slice."""
    every = max(SLICE // max(len(others), 1), 1)
    rest = iter(others)
    for i, click in enumerate(clicks):
        yield click
        if i % every == 0 and (one := next(rest, None)) is not None:
            yield one
    yield from rest


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.history", description=__doc__.splitlines()[0])
    parser.add_argument("--millions", default=",".join(map(str, LEVELS)), help="touches in the store, ascending")
    parser.add_argument("--rebuild-at", type=int, default=REBUILD_AT, help="millions of touches; 0: leave it out")
    parser.add_argument("--no-hot", action="store_true", help="leave out the session that is hot")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    folder = Path(tempfile.mkdtemp(prefix="accredit-bench-"))
    kafka = Kafka(folder)
    kafka.start(on_progress=print)
    try:
        bench = Bench(kafka.bootstrap, folder)
        workload.create_topics(bench.kafka)
        workload.send(bench.out, CATALOG, None, encode(workload.catalog_version()), workload.STARTS_AT)
        rates = {}
        for millions in map(int, options.millions.split(",")):
            bench.remember(millions * MILLION)
            rates[millions] = bench.slice(f"at-{millions}")
            print(f"with {millions:>2} million touches in the store {rates[millions]:>10,.0f} events/s", flush=True)
            if millions == options.rebuild_at:
                rebuild(bench)
        if not options.no_hot:
            hot_session(bench)
        first, *_, last = [*rates, *rates]
        print(f"{last} million / {first} million = {rates[last] / rates[first]:.2f}")
    finally:
        kafka.stop()
        shutil.rmtree(folder, ignore_errors=True)


def hot_session(bench: Bench) -> None:
    """One session of 100,000 touches, that converts; that converts and clicks; beside the traffic of others."""
    key = past.session_key(-1)
    bench.worked_off("hot-load", past.touches_of_one(key, HOT_FROM, HOT_FROM + HOT_TOUCHES))
    usual = bench.slice("usual")
    print(f"a usual slice again {usual:,.0f} events/s", flush=True)
    at = workload.STARTS_AT + (HOT_FROM + HOT_TOUCHES) * past.APART_MS
    for name, clicks in (("converts", 0), ("converts and clicks", HOT_CLICKS)):
        sold = [past.sale(f"{name}-{i}", key, at + i) for i in range(HOT_CONVERSIONS)]
        touched = list(past.touches_of_one(key, HOT_FROM + 2 * HOT_TOUCHES, HOT_FROM + 2 * HOT_TOUCHES + clicks))
        others = past.touches(bench.touches, bench.touches + SLICE)
        bench.touches += SLICE
        count, seconds = bench.worked_off(f"hot-{clicks}", mixed(others, mixed_evenly(sold, touched)))
        rate = count / seconds
        print(f"a session of {HOT_TOUCHES:,} touches {name:<20} {rate:>10,.0f} events/s, {len(sold):,} conversions")
        print(
            f"  {HOT_CONVERSIONS / seconds:,.0f} of its conversions/s; / usual traffic = {rate / usual:.2f}", flush=True
        )


def mixed_evenly(first: list[past.Message], second: list[past.Message]) -> list[past.Message]:
    if not second:
        return first
    return [one for pair in zip(first, second, strict=True) for one in pair]


def rebuild(bench: Bench) -> None:
    """SIGKILL, state deleted, a new worker: how long until it is ready, and whether all its credits are right."""
    with Worker(bench.kafka, bench.folder, bench.state, "killed") as worker:
        until_ready(worker)
        worker.kill()
    shutil.rmtree(bench.state)
    began = time.monotonic()
    with Worker(bench.kafka, bench.folder, bench.state, "rebuilt") as worker:
        until_ready(worker)
        took = time.monotonic() - began
        print(f"killed and its state deleted, with {bench.touches:,} touches: back after {took:.1f} s", flush=True)
        silent = int(worker.metric("accredit_worker_silent_records_total"))
        print(f"  {silent:,} records read again, {silent / took:,.0f} records/s with the start of the process")
        probes = past.sales("probe", PROBES, bench.touches, 7)
        bench.sales += probes
        before = int(worker.finished())
        past.send_all(bench.out, probes)
        until_finished([worker], before + PROBES)
    wrong = unlike_the_core(bench)
    print(f"  {len(bench.sales):,} credits, {PROBES:,} of them decided since: {wrong} differ from the offline core")
    if wrong:
        raise SystemExit("the rebuilt worker is wrong")


def unlike_the_core(bench: Bench) -> int:
    """How many conversions have no credit on the topic that equals the offline core's, to the byte."""
    produced = read_credits(bench.kafka)
    sold: dict[bytes, list[Conversion]] = defaultdict(list)
    for message in bench.sales:
        conversion = decode(message.value)
        assert isinstance(conversion, Conversion)
        sold[message.key].append(conversion)
    touched: dict[bytes, SessionTouches] = {key: SessionTouches() for key in sold}
    for number in range(bench.touches):
        key = past.session_of(number)
        if key in touched:
            touched[key].add(Touch._make(past.click_of(number, key)[: len(Touch._fields)]))
    catalogs = CompiledLog(CatalogLog.of([workload.catalog_version()]))
    wrong = 0
    for key, conversions in sold.items():
        decision = decide_session(session_text(key), conversions, touched[key], catalogs, "live")
        wrong += len(conversions) - len(decision.credits)
        wrong += sum(encode(credit) != produced.get(credit.conversion_id) for credit in decision.credits)
    return wrong


def read_credits(kafka: str) -> dict[str, bytes]:
    """Of each conversion the credit with the greatest version, as it stands in the topic."""
    consumer = Consumer({"bootstrap.servers": kafka, "group.id": "bench-history", "enable.auto.commit": False})
    found: dict[str, tuple[int, bytes]] = {}
    left = {}
    for partition in consumer.list_topics(CREDITS).topics[CREDITS].partitions:
        _, end = consumer.get_watermark_offsets(TopicPartition(CREDITS, partition))
        if end:
            left[partition] = end
    consumer.assign([TopicPartition(CREDITS, partition, 0) for partition in left])
    while left:
        messages = consumer.consume(10_000, READ_WAIT_S)
        if not messages:
            raise TimeoutError(f"the credits of partitions {sorted(left)} cannot be read to their end")
        for message in messages:
            value, partition, offset = message.value(), message.partition(), message.offset()
            assert value is not None
            assert partition is not None
            assert offset is not None
            credit = decode(value)
            assert isinstance(credit, Credit)
            if found.get(credit.conversion_id, (-1, b""))[0] <= credit.version:
                found[credit.conversion_id] = (credit.version, value)
            if offset + 1 == left.get(partition):
                del left[partition]
    consumer.close()
    return {conversion: value for conversion, (_, value) in found.items()}


if __name__ == "__main__":
    main()
