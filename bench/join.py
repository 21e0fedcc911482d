"""``make bench-join``: the join at full rules beside its rivals, on the same topics of one broker, in one run.

Events/s end to end: from the first record fetched to the last credit acknowledged. The rivals join without our rules:
the best of three groups, then the latest. A rival that cannot run here is named with the reason.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import structlog
from confluent_kafka.admin import AdminClient

from bench import workload
from bench.accredit_worker import Worker, until_finished, until_ready
from bench.rivals.run import RIVALS, CannotRun, Topics
from deploy.local.kafka import Kafka
from schemas.topics import CLICKS, CONVERSIONS

NUMBER = 500_000
STOCK_EVENTS = 60_000
GROUP = "accredit-attribution"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.join", description=__doc__.splitlines()[0])
    parser.add_argument("--clicks", type=int, default=NUMBER, help=f"how many clicks (default {NUMBER:,})")
    parser.add_argument("--rivals", default=",".join(RIVALS), help="comma-separated; 'none' for none")
    parser.add_argument(
        "--stock-events", type=int, default=STOCK_EVENTS, help="events of the same topics for stock Faust (it is slow)"
    )
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    folder = Path(tempfile.mkdtemp(prefix="accredit-bench-"))
    kafka = Kafka(folder)
    kafka.start(on_progress=print)
    try:
        compare(kafka.bootstrap, folder, options)
    finally:
        kafka.stop()
        shutil.rmtree(folder, ignore_errors=True)


def compare(kafka: str, folder: Path, options: argparse.Namespace) -> None:
    workload.create_topics(kafka)
    outs = {name: f"out-{name}" for name in RIVALS}
    workload.create_topics(kafka, list(outs.values()))
    print(f"feeding {options.clicks:,} clicks and 2 % conversions …", flush=True)
    fed = workload.feed(kafka, options.clicks)
    own = measure_own(kafka, folder, fed)
    print(f"accredit       {fed.events:>10,} events {own:>10,.0f} events/s   full rules and explanations, one worker")
    asked = [] if options.rivals == "none" else options.rivals.split(",")
    ratios = []
    for name in asked:
        events = min(options.stock_events, fed.events) if name == "stock-faust" else fed.events
        try:
            rate = RIVALS[name](kafka, Topics(CLICKS, CONVERSIONS, outs[name]), events, folder)
        except CannotRun as error:
            print(f"{name:<14} not run: {error}")
            continue
        print(f"{name:<14} {events:>10,} events {rate:>10,.0f} events/s", flush=True)
        ratios.append((name, own / rate))
    for name, ratio in reversed(ratios):  # stock Faust's last
        print(f"accredit / {name} = {ratio:.1f}")


def measure_own(kafka: str, folder: Path, fed: workload.Fed) -> float:
    """Events/s of one worker; prints its memory, its state, a rebuild and two workers along the way."""
    state = folder / "state"
    with Worker(kafka, folder, state) as worker:
        seconds = until_finished([worker], fed.events)
        rss = worker.rss_mb()
        worker.kill()
    with Worker(kafka, folder, state, "flushed") as worker:  # so that memtables are on disk when it is weighed
        until_ready(worker)
    weight = sum(file.stat().st_size for file in state.rglob("*") if file.is_file()) / fed.clicks
    print(f"  memory {rss:,.0f} MB, state {weight:,.0f} bytes per touch")
    shutil.rmtree(state)
    began = time.monotonic()
    with Worker(kafka, folder, state, "rebuilt") as worker:
        until_ready(worker)
        took = time.monotonic() - began
        print(f"  state deleted: ready again after {took:.1f} s, {fed.events / took:,.0f} events/s from the log")
    print(f"  two workers on the same topics: {two_workers(kafka, folder, fed):,.0f} events/s", flush=True)
    return fed.events / seconds


def two_workers(kafka: str, folder: Path, fed: workload.Fed) -> float:
    """Events/s of two that share the partitions and begin anew, as a group that has committed nothing."""
    admin = AdminClient({"bootstrap.servers": kafka})
    for done in admin.delete_consumer_groups([GROUP]).values():
        done.result(30)
    with (
        Worker(kafka, folder, folder / "state-1", "first") as first,
        Worker(kafka, folder, folder / "state-2", "second") as second,
    ):
        return fed.events / until_finished([first, second], fed.events)


if __name__ == "__main__":
    main()
