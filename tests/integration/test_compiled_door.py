"""The front door as `make wheel` deploys it: the same answers and messages as interpreted, and it serves."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from deploy.local.kafka import Kafka
from ingest.catalog_log import publish_catalog
from tests.support.front_door import CATALOG
from tests.support.ingest_process import IngestProcess, create_topics, read_topic, until

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
COMPILED = ROOT / "build" / "compiled"
VISITS = 300


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """Built where it is not there, or older than the sources: a minute or two."""
    if shutil.which("make") is None or shutil.which("cc") is None:
        pytest.skip("there is no C compiler here: apt-get install make gcc libc6-dev python3-dev")
    built = subprocess.run(["make", "compiled"], cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stdout + built.stderr


def visits(path: Path | None) -> list[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    if path is not None:
        environment["PYTHONPATH"] = str(path)
    command = [sys.executable, "-P", "-m", "tests.support.visits"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, timeout=300)
    return done.stdout.split()


def test_it_says_and_keeps_the_same() -> None:
    interpreted, compiled = visits(None), visits(COMPILED)
    assert (interpreted[0], compiled[0]) == ("interpreted", "compiled")
    assert int(interpreted[1]) > 1_000
    assert interpreted[1:] == compiled[1:]


def test_it_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Kafka(tmp_path)
    broker.start()
    monkeypatch.setenv("PYTHONPATH", str(COMPILED))
    process = None
    try:
        create_topics(broker.bootstrap)
        publish_catalog(broker.bootstrap, CATALOG, "test")
        process = IngestProcess(broker.bootstrap, tmp_path / "ingest.log", workers=2)
        until(process.ready, "the compiled front door")
        workers = psutil.Process(process.process.pid).children()
        assert all("__mypyc" in Path(f"/proc/{worker.pid}/maps").read_text() for worker in workers)
        for number in range(VISITS):
            assert process.ask("GET", f"/c/shoes?partner=anna&sub1={number}").status == 302
        assert len({record.sub1 for _, record in read_topic(broker.bootstrap, "clicks")}) == VISITS  # type: ignore[union-attr]
        process.stop()
        assert "worker_died" not in (tmp_path / "ingest.log").read_text()
    finally:
        if process is not None:
            process.process.kill()
        broker.stop()
