"""kill -9 of the worker, the sink and the broker in the middle of a load: the same report, and nothing twice."""

from __future__ import annotations

import json
import signal
from functools import partial
from pathlib import Path

import pytest

from console.lag import Broker
from schemas.topics import CLICKS as CLICKS_TOPIC
from tests.support.history import CATALOG, expected, history, write
from tests.support.running import Running, decided, until

pytestmark = pytest.mark.e2e

CLICKS = 40_000
SEED = 20260501
KILLS = ("worker", "sink", "kafka", "settlement")


def test_kills_in_the_middle_of_a_load_change_nothing(running: Running, tmp_path: Path) -> None:
    events = history(CLICKS, SEED)
    catalog, file = tmp_path / "catalog.yaml", tmp_path / "events.ndjson"
    catalog.write_text(CATALOG)
    running.run("catalog", "apply", str(catalog))
    clicks = Clicks(running.addresses()["kafka"])
    part = len(events) // len(KILLS)
    for number, name in enumerate(KILLS):
        write(file, events[number * part : (number + 1) * part if number < len(KILLS) - 1 else None])
        before = clicks.records()
        loading = running.popen("load", str(file), "--keep-received-at", "--wait")
        until(partial(clicks.more_than, before), 60, "the load to have begun")
        running.kill_process(name)
        out, err = loading.communicate(timeout=300)
        assert loading.returncode == 0, err.decode()
        assert b"all of it can be queried" in out
    assert decided(running.report()) == expected(events)
    ctrl_c_stops_everything_in_order(running)


class Clicks:
    """Counts what has reached the topic of clicks."""

    def __init__(self, kafka: str) -> None:
        self._broker = Broker(kafka)

    def records(self) -> int:
        return sum(offset.end for offset in self._broker.offsets([CLICKS_TOPIC]).values())

    def more_than(self, count: int) -> bool:
        return self.records() > count


def ctrl_c_stops_everything_in_order(running: Running) -> None:
    assert running.process is not None
    running.process.send_signal(signal.SIGINT)
    assert running.process.wait(120) == 0
    stopped = [json.loads(line)["name"] for line in running.log.read_text().splitlines() if "process_stopped" in line]
    assert stopped == ["ingest", "worker", "settlement", "sink", "console", "clickhouse", "kafka"]
