"""The real ingest process without Kafka: it starts, redirects, spools, is killed, and a full spool is said."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from ingest.catalog_file import NAME, keep_versions
from schemas.records import CatalogVersion
from tests.support.front_door import CATALOG
from tests.support.ingest_process import IngestProcess, until

pytestmark = pytest.mark.integration

NOWHERE = "127.0.0.1:1"
VERSION = CatalogVersion(version=1, effective_at=1, written_at=1, author="a", digest="d", document=CATALOG)
CLICK = {"type": "click", "session_id": "018f3c1e-0000-7000-8000-000000000001", "offer_id": "shoes"}


def metric(process: IngestProcess, name: str) -> float:
    lines = process.ask("GET", "/metrics").body.decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


def test_starts_without_kafka_and_keeps_what_it_answered(tmp_path: Path) -> None:
    keep_versions(tmp_path / "ingest" / NAME, [VERSION])
    process = IngestProcess(NOWHERE, tmp_path / "ingest.log")
    until(process.answers, "start")
    assert process.ask("GET", "/c/shoes?partner=anna").status == 302
    said = process.ask("GET", "/readyz")
    assert said.status == 200, said.body
    assert "kafka" in said.json["notes"][0]
    until(lambda: metric(process, "accredit_ingest_spool_events") == 1, "the metric")
    os.kill(process.process.pid, signal.SIGKILL)
    process.process.wait(60)

    again = IngestProcess(NOWHERE, tmp_path / "ingest.log")
    try:
        until(again.answers, "start")
        assert again.ask("GET", "/c/shoes?partner=anna").status == 302
        until(lambda: metric(again, "accredit_ingest_spool_events") == 2, "what was found, and the new one")
    finally:
        again.stop()


def test_full_spool_is_503_and_visitors_go_on(tmp_path: Path) -> None:
    data = tmp_path / "ingest"
    keep_versions(data / NAME, [VERSION])
    (data / "ingest.yaml").write_text("spool: {limit_mb: 1, slow_ms: 50}\n")
    process = IngestProcess(NOWHERE, tmp_path / "ingest.log")
    try:
        until(process.answers, "start")
        click = {**CLICK, "partner_id": "anna", "occurred_at": "2026-05-01T10:00:00Z", "sub1": "x" * 200}
        body = json.dumps([click] * 1_000).encode()
        until(lambda: process.ask("POST", "/v1/events", body).status == 503, "a full spool")
        said = process.ask("POST", "/v1/events", body)
        assert (said.status, said.json["reason"], said.headers["retry-after"]) == (503, "NOT_DURABLE", "5")

        def lost() -> bool:
            assert process.ask("GET", f"/c/shoes?partner=anna&sub1={'x' * 3_000}").status == 302
            return metric(process, 'accredit_ingest_events_lost_total{door="redirect"}') > 0

        until(lost, "a visit that found no room")
    finally:
        process.stop()
    assert (tmp_path / "ingest.log").read_text().count("visits_not_recorded") >= 1


def test_folder_that_cannot_be_used_is_503_and_said(tmp_path: Path) -> None:
    data = tmp_path / "ingest"
    keep_versions(data / NAME, [VERSION])
    (data / "spool").write_text("a file in its place")
    (data / "ingest.yaml").write_text("spool: {slow_ms: 50}\n")
    process = IngestProcess(NOWHERE, tmp_path / "ingest.log", ack_timeout_s=1)
    try:
        until(process.answers, "start")
        for _ in range(2):
            said = process.ask("POST", "/pb", b"advertiser_id=shop&goal=sale&order_id=1")
            assert (said.status, said.json["reason"]) == (503, "NOT_DURABLE")
    finally:
        process.stop()
    assert "spool_not_writable" in (tmp_path / "ingest.log").read_text()
