"""The real ingest process under what nobody should send: schemathesis by its own document, and plain malice.

``make fuzz`` runs this file alone; ``FUZZ_SEED`` repeats a run.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import random
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.kafka import Kafka
from ingest.catalog_log import publish_catalog
from tests.support.front_door import CATALOG
from tests.support.ingest_process import IngestProcess, create_topics, until
from tests.support.malformed import Malformed
from tests.support.scan import Seen, send_all

pytestmark = pytest.mark.integration

REQUESTS = 20_000
CATALOGS = 100
CONFIG = Path(__file__).with_name("schemathesis.toml")
INGEST = """
access: {trusted_proxies: [127.0.0.0/8]}
segment: {write_keys: {public: shop}, events: {conversion: sale}}
snowplow: {apps: {anna: shop}, structured: {sale/click: sale}}
"""
SAME_DOORS = "/v1/(page|screen|identify|group|alias|t|p|s|i|g|a|b|import|m)$"
"""Segment's other names for what /v1/track and /v1/batch do."""
SEED = int(os.environ.get("FUZZ_SEED") or random.SystemRandom().randrange(1 << 32))


@pytest.fixture(scope="module")
def log_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "ingest.log"


@pytest.fixture(scope="module")
def ingest(log_path: Path) -> Iterator[IngestProcess]:
    """A process with a catalog, on a broker of its own: what is sent here is nobody else's business."""
    broker = Kafka(log_path.parent)
    broker.start()
    try:
        create_topics(broker.bootstrap)
        publish_catalog(broker.bootstrap, CATALOG, "test")
        folder = log_path.with_suffix("")
        folder.mkdir()
        (folder / "ingest.yaml").write_text(INGEST)
        process = IngestProcess(broker.bootstrap, log_path)
        try:
            until(process.ready, "start")
            yield process
        finally:
            process.stop()
    finally:
        broker.stop()


def complaints(log_path: Path) -> list[str]:
    """Lines of the log that no request may cause."""
    lines = log_path.read_text(errors="replace").splitlines()
    words = ("Traceback", "request_failed", "panicked", "[error", '"error"', "Exception")
    return [line for line in lines if any(word in line for word in words)]


def test_twenty_thousand_malformed_requests(ingest: IngestProcess, log_path: Path) -> None:
    source = Malformed(SEED)
    catalogs = [source.catalog() for _ in range(CATALOGS)]
    requests = itertools.chain(itertools.islice(source, REQUESTS - CATALOGS), catalogs)
    pid = worker_pid(ingest)
    seen: Seen = asyncio.run(send_all(ingest.port, requests))
    print(f"FUZZ_SEED={SEED}: {seen.statuses.total()} requests, by status {dict(sorted(seen.statuses.items()))}")
    assert seen.failures == [], f"FUZZ_SEED={SEED}"
    assert complaints(log_path) == [], f"FUZZ_SEED={SEED}"
    assert seen.statuses.total() == REQUESTS
    assert {200, 202, 302, 400, 404, 405, 413, 415, 422} <= set(seen.statuses)  # it got through to the doors
    assert worker_pid(ingest) == pid, "a worker process died and was replaced"
    assert ingest.ready()


def worker_pid(ingest: IngestProcess) -> str:
    text = ingest.ask("GET", "/metrics").body.decode()
    return next(line for line in text.splitlines() if line.startswith("accredit_ingest_worker{"))


def test_schemathesis_finds_nothing(ingest: IngestProcess, log_path: Path) -> None:
    """Every check of its own on every operation, but for those that the configuration takes out with a reason.

    Two at once, each with a part of the operations. HEAD and OPTIONS are what GET is, and what a browser asks before.
    """
    halves = (["--include-tag", "Conversions"], ["--exclude-tag", "Conversions", "--exclude-path-regex", SAME_DOORS])
    running = [schemathesis(ingest, log_path.parent, *part) for part in halves]
    for process in running:
        text, _ = process.communicate(timeout=240)
        print("\n".join(text.splitlines()[-12:]))
        assert process.returncode == 0, f"FUZZ_SEED={SEED}\n{text[-20_000:]}"
    assert complaints(log_path) == [], f"FUZZ_SEED={SEED}"


def schemathesis(ingest: IngestProcess, folder: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [
            Path(sysconfig.get_path("scripts")) / "schemathesis", "--config-file", CONFIG, "run",
            f"http://127.0.0.1:{ingest.port}/openapi.json", "--phases", "coverage,fuzzing", "--max-examples", "3",
            "--exclude-method", "HEAD", "--exclude-method", "OPTIONS", "--seed", str(SEED), "--max-redirects", "0",
            "--continue-on-failure", "--no-color", *options,
        ],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )  # fmt: skip
