"""The real `accredit load`, killed in the middle and given again: every row is in Kafka, few of them twice."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest

from deploy.local.kafka import Kafka
from ingest.catalog_log import publish_catalog
from schemas.records import Click
from tests.support.front_door import CATALOG, SESSION
from tests.support.ingest_process import create_topics, read_topic, until

pytestmark = pytest.mark.integration

ROWS = 200_000


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """A broker of this module's own: the topics have their real names."""
    broker = Kafka(tmp_path_factory.mktemp("kafka"))
    broker.start()
    try:
        create_topics(broker.bootstrap)
        publish_catalog(broker.bootstrap, CATALOG, "test")
        yield broker
    finally:
        broker.stop()


def write_csv(path: Path) -> None:
    with path.open("w") as file:
        file.write("number,when\n")
        for number in range(ROWS):
            file.write(f"{number},2017-11-07T{number // 3600 % 24:02d}:{number // 60 % 60:02d}:{number % 60:02d}Z\n")
            if number == 7:
                file.write("a row that is broken\n")


def test_a_killed_load_goes_on_where_kafka_had_acknowledged_it(broker: Kafka, tmp_path: Path) -> None:
    data = tmp_path / "data"
    write_csv(tmp_path / "clicks.csv")
    mapping = {
        "type": "click",
        "columns": {"number": "sub1", "when": "occurred_at"},
        "constants": {"session_id": SESSION, "offer_id": "shoes", "partner_id": "anna"},
    }
    (tmp_path / "clicks.yaml").write_bytes(orjson.dumps(mapping))
    command = [sys.executable, "-m", "console", "load", "clicks.csv", "--mapping", "clicks.yaml", "--data", str(data)]
    environment = {**os.environ, "ACCREDIT_KAFKA": broker.bootstrap, "PYTHONPATH": os.getcwd()}
    progress = data / "loads"
    with (tmp_path / "first.log").open("wb") as log:
        first = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
        try:
            until(lambda: any(progress.glob("*.json")) or first.poll() is not None, "the first checkpoint", 60)
        finally:
            first.kill()
            first.wait()
    assert first.returncode == -9, (tmp_path / "first.log").read_text()
    (kept,) = progress.glob("*.json")
    acknowledged = orjson.loads(kept.read_bytes())["number"]
    assert 0 < acknowledged < ROWS

    second = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert second.returncode == 0, second.stderr
    assert "going on after" in second.stderr
    assert f"accepted {ROWS:,}" in second.stdout
    assert "refused 1 (1 INVALID_CSV)" in second.stderr
    assert list(progress.iterdir()) == []

    found = Counter(record.sub1 for _, record in read_topic(broker.bootstrap, "clicks") if isinstance(record, Click))
    assert found.keys() == {str(number) for number in range(ROWS)}
    twice = {int(name or -1) for name, count in found.items() if count > 1}
    assert all(number > acknowledged - 10 for number in twice), "only what was not acknowledged is sent again"
    assert len(read_topic(broker.bootstrap, "dead-letters")) == 1
