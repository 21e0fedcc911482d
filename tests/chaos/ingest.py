"""``make chaos-ingest``: the front door under load while Kafka is frozen and killed and ingest is killed; then count.

    python -m tests.chaos.ingest --seeds 1,2

Five times ingest is killed (the whole process or its worker), twice Kafka is frozen, twice it is killed; the supervisor
starts again what died. Exits with 1 unless every event that was answered 2xx or 302 is in ClickHouse exactly once.
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import clickhouse_connect
import psutil

from console.installation import Installation
from console.lag import Broker
from console.probe import fetch
from console.wait import Waiter
from schemas.topics import CLICKS, CONVERSIONS
from tests.chaos.faults import FREEZE, KILL, Fault, Injector
from tests.chaos.ingest_load import CATALOG, Load
from tests.support.running import Running

SECONDS = 60.0
WAIT_S = 300.0
SHOWN = 5
INGEST_WORKER = "ingest-worker"
QUERY = """
SELECT name, sum(times) FROM
(
    SELECT assumeNotNull(sub1) AS name, count() AS times FROM accredit.v_clicks WHERE sub1 IS NOT NULL GROUP BY name
    UNION ALL
    SELECT assumeNotNull(order_id), count() FROM accredit.v_conversions WHERE order_id IS NOT NULL GROUP BY order_id
)
GROUP BY name
"""


class Figures(NamedTuple):
    """Events; ``sent_again``: messages in Kafka beyond the first of each event."""

    seed: int
    sent: int
    answered: int
    refused: int
    there: int
    lost: int
    twice: int
    sent_again: int
    slowest_s: float
    drained_s: float


class IngestInjector(Injector):
    """Knows the worker process behind ingest, too: ingest starts another by itself."""

    def _signal(self, name: str, number: signal.Signals) -> int | None:
        if name != INGEST_WORKER:
            return super()._signal(name, number)
        (worker,) = psutil.Process(self.running.pid("ingest")).children()
        worker.send_signal(number)
        return worker.pid


def plan(seed: int) -> list[Fault]:
    """Kills of ingest with Kafka there, frozen, and gone."""
    chance = random.Random(f"ingest {seed}")

    def about(at_s: float) -> float:
        return at_s + chance.uniform(-1, 1)

    frozen, gone = about(12), about(24)
    return sorted(
        [
            Fault(about(6), KILL, "ingest"),
            Fault(frozen, FREEZE, "kafka", chance.uniform(5, 7)),
            Fault(frozen + chance.uniform(1.5, 3), KILL, "ingest"),
            Fault(gone, KILL, "kafka"),
            Fault(gone + chance.uniform(1, 3), KILL, INGEST_WORKER),
            Fault(about(38), FREEZE, "kafka", chance.uniform(3, 6)),
            Fault(about(40), KILL, INGEST_WORKER),
            Fault(about(47), KILL, "kafka"),
            Fault(about(54), KILL, "ingest"),
        ]
    )


def run(seed: int) -> Figures:
    """One installation, one load, one plan."""
    folder = Path(tempfile.mkdtemp(prefix="accredit-chaos-"))
    running = Running(folder / "data")
    injector = IngestInjector(running, folder)
    figures: Figures | None = None
    try:
        running.start()
        catalog = folder / "catalog.yaml"
        catalog.write_text(CATALOG)
        running.run("catalog", "apply", str(catalog))
        installation = Installation.model_validate(running.addresses())
        load = Load(str(installation.ingest), seed)
        load.start()
        began = time.monotonic()
        injector.run(plan(seed))
        time.sleep(max(began + SECONDS - time.monotonic(), 0))
        injector.settle()
        load.end()
        figures = judge(seed, installation, load, drained(installation))
        return figures
    finally:
        if running.process is not None and running.process.poll() is None:
            running.stop()
        if figures is not None and not (figures.lost or figures.twice):
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"  kept for a look: {folder}", file=sys.stderr)


def drained(installation: Installation) -> float:
    """Until no spool has anything left, and all that is in Kafka is in ClickHouse. Seconds."""
    began = time.monotonic()
    spool = installation.data / "spool"
    while not ready(str(installation.ingest)) or list(spool.glob("*/*.spool")):
        assert time.monotonic() < began + WAIT_S, f"not drained: {sorted(spool.glob('*/*'))}"
        time.sleep(0.1)
    seconds = time.monotonic() - began
    Waiter(Broker(installation.broker()), WAIT_S, lambda *_: None).until_queryable()
    return seconds


def ready(url: str) -> bool:
    try:
        return fetch(f"{url}/readyz")[0] == 200
    except OSError:
        return False


def judge(seed: int, installation: Installation, load: Load, drained_s: float) -> Figures:
    """What was answered, against the views."""
    client = clickhouse_connect.get_client(dsn=installation.server())
    try:
        there = Counter({str(name): int(times) for name, times in client.query(QUERY).result_rows})
    finally:
        client.close()
    ends = Broker(installation.broker()).offsets((CLICKS, CONVERSIONS))
    messages = sum(offset.end - offset.low for offset in ends.values())
    answered = load.answered()
    lost = sorted(answered - there.keys())
    twice = sorted(name for name, times in there.items() if times > 1)
    for what, names in (("lost", lost), ("twice", twice)):
        if names:
            print(f"  {what}: {names[:SHOWN]}")
    return Figures(
        seed,
        sum(caller.sent for caller in load.callers),
        len(answered),
        sum(caller.refused for caller in load.callers),
        len(there),
        len(lost),
        len(twice),
        messages - len(there),
        max(caller.slowest_s for caller in load.callers),
        drained_s,
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.ingest", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="1", help="comma-separated; each is a run of its own (default 1)")
    options = parser.parse_args()
    lines, clean = [], True
    for seed in map(int, options.seeds.split(",")):
        print(f"seed {seed}", flush=True)
        found = run(seed)
        clean = clean and not (found.lost or found.twice) and found.answered > 0
        lines.append(
            f"{seed:>6} {found.sent:>8} {found.answered:>9} {found.refused:>8} {found.there:>14} {found.lost:>5} "
            f"{found.twice:>6} {found.sent_again:>11} {found.slowest_s:>8.1f} s {found.drained_s:>8.1f} s"
        )
    header = "  seed     sent  answered  got 503  in ClickHouse  lost  twice  sent again  slowest  drained after"
    print("\n".join(["", header, *lines]))
    print("chaos-ingest: 0 lost, 0 twice" if clean else "chaos-ingest: NOT clean")
    sys.exit(0 if clean else 1)


if __name__ == "__main__":
    main()
