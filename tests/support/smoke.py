"""The road through services that `accredit up` did not start: the same steps for any Kafka and ClickHouse."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.history import CATALOG, expected, history, write
from tests.support.running import Running, decided

CLICKS = 500


def smoke(folder: Path, kafka: str, clickhouse: str) -> None:
    """Topics, catalog, load, report, on a broker and a server that are elsewhere; both keep running afterwards."""
    events = history(CLICKS, seed=7)
    catalog, file = folder / "catalog.yaml", folder / "events.ndjson"
    catalog.write_text(CATALOG)
    write(file, events)
    running = Running(folder / "data", "--partitions", "2", kafka=kafka, clickhouse=clickhouse)
    running.start()
    try:
        names = [process["name"] for process in running.addresses()["processes"]]
        assert names == ["ingest", "worker", "settlement", "sink", "console"]
        running.run("catalog", "apply", str(catalog))
        running.run("load", str(file), "--keep-received-at", "--wait")
        assert decided(running.report()) == expected(events)
        topics = json.loads(running.run("topics", "list", "--format", "json"))
        assert {topic["name"]: topic["partitions"] for topic in topics}["clicks"] == 2
    finally:
        running.stop()
