"""kill -9 of the worker, the sink and the broker in the middle of a load: the same report, and nothing twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.history import CATALOG, expected, history, write
from tests.support.running import Running, decided

pytestmark = pytest.mark.e2e

CLICKS = 20_000
SEED = 20260501
KILLS = ("worker", "sink", "kafka", "worker")


def test_kills_in_the_middle_of_a_load_change_nothing(running: Running, tmp_path: Path) -> None:
    events = history(CLICKS, SEED)
    catalog, file = tmp_path / "catalog.yaml", tmp_path / "events.ndjson"
    catalog.write_text(CATALOG)
    running.run("catalog", "apply", str(catalog))
    part = len(events) // len(KILLS)
    for number, name in enumerate(KILLS):
        write(file, events[number * part : (number + 1) * part if number < len(KILLS) - 1 else None])
        loading = running.popen("load", str(file), "--keep-received-at", "--wait")
        running.kill_process(name)
        out, err = loading.communicate(timeout=300)
        assert loading.returncode == 0, err.decode()
        assert b"all of it can be queried" in out
    assert decided(running.report()) == expected(events)
