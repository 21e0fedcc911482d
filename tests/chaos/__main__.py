"""``make chaos``: kill, freeze, join and leave under load, on real Kafka and ClickHouse's engine, then count.

    python -m tests.chaos --seeds 1,2,3 --kills 22

Exits with 3 if something is wrong, lost or there twice. The same seed gives the same events and the same faults.
With ``--bug NAME`` it runs on a copy with a deliberate bug, and exits with 0 if it found that.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from console.installation import Installation
from console.lag import Broker
from console.wait import Waiter
from tests.chaos.bugs import BUGS, NOT_CLEAN, finds
from tests.chaos.faults import Injector, plan
from tests.chaos.traffic import CATALOG, Sender, events
from tests.chaos.verdict import Verdict, judge
from tests.support.running import Running

TARGETS = ("worker-1", "worker-2", "sink", "kafka", "worker-1", "worker-2")
WORKERS = 2
PER_SECOND = 600
WAIT_S = 300.0


def run(seed: int, kills: int) -> tuple[Verdict, Injector, float]:
    """One installation, one history, one plan."""
    folder = Path(tempfile.mkdtemp(prefix="accredit-chaos-"))
    faults = plan(seed, kills, TARGETS)
    seconds = faults[-1].at_s + 2
    running = Running(folder / "data", "--workers", str(WORKERS))
    injector = Injector(running, folder)
    clean = False
    try:
        running.start()
        catalog = folder / "catalog.yaml"
        catalog.write_text(CATALOG)
        running.run("catalog", "apply", str(catalog))
        sent = events(seed, int(PER_SECOND * seconds), int(time.time() * 1_000))
        sender = Sender(running.addresses()["ingest"], sent, seconds)
        sender.start()
        injector.run(faults)
        injector.settle()
        sender.join(WAIT_S)
        assert not sender.is_alive(), "the sender was not answered any more"
        assert sender.failure is None, sender.failure
        began = time.monotonic()
        installation = Installation.model_validate(running.addresses())
        Waiter(Broker(installation.broker()), WAIT_S, lambda *_: None).until_queryable()
        settled_s = time.monotonic() - began
        verdict = judge(installation, sender.answered)
        clean = verdict.clean
        return verdict, injector, settled_s
    finally:
        if running.process is not None and running.process.poll() is None:
            running.stop()
        if clean:
            shutil.rmtree(folder, ignore_errors=True)
        else:
            print(f"  kept for a look: {folder}", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", default="1,2,3", help="comma-separated; each is a run of its own (default 1,2,3)")
    parser.add_argument("--kills", type=int, default=22, help="SIGKILLs per run (default 22)")
    parser.add_argument("--bug", choices=BUGS, help="run one seed on a copy with this bug, which has to be found")
    options = parser.parse_args()
    if options.bug is not None:
        found = finds(options.bug, ["--seeds", options.seeds.partition(",")[0], "--kills", str(options.kills)])
        print(f"chaos: {options.bug} was {'found' if found else 'NOT found'}")
        sys.exit(0 if found else 1)
    header = "  seed  kills  frozen  joined     sent  accounted  wrong  lost  twice  settled after"
    lines, clean = [], True
    for seed in map(int, options.seeds.split(",")):
        print(f"seed {seed}", flush=True)
        verdict, did, settled_s = run(seed, options.kills)
        for remark in verdict.remarks:
            print(f"  {remark}")
        clean = clean and verdict.clean
        lines.append(
            f"{seed:>6} {did.kills:>6} {did.freezes:>7} {did.joins:>7} {verdict.sent:>8} {verdict.accounted_for:>10} "
            f"{verdict.wrong:>6} {verdict.lost:>5} {verdict.twice:>6} {settled_s:>12.1f} s"
        )
    print("\n".join(["", header, *lines]))
    print("chaos: 0 wrong, 0 lost, 0 twice" if clean else "chaos: NOT clean")
    sys.exit(0 if clean else NOT_CLEAN)


if __name__ == "__main__":
    main()
