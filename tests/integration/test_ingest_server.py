"""The real ingest process on a real broker: durable before answered, ready, stopped in order, never an orphan."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from aiokafka.partitioner import murmur2

from deploy.local.kafka import Kafka
from ingest.bulk_publisher import BulkPublisher
from ingest.catalog_log import produce_version, publish_catalog, read_catalog_log
from ingest.envelope import event_message
from ingest.errors import CatalogRaced, KafkaUnreachable
from ingest.load import intake_now, load_file
from ingest.loading.rows import ndjson_rows
from schemas.errors import CatalogInvalid
from schemas.ids import new_session_id, session_key
from schemas.records import Click, Conversion, DeadLetter
from tests.support.front_door import CATALOG, KEYS, NOW, SESSION
from tests.support.ingest_process import IngestProcess, create_topics, read_topic, until

pytestmark = pytest.mark.integration

CLICK = {"type": "click", "session_id": SESSION, "occurred_at": "2017-11-07T10:00:00Z", "partner_id": "anna"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("ingest")


@pytest.fixture(scope="module")
def broker(folder: Path) -> Iterator[Kafka]:
    """A broker of this module's own: the topics have their real names, and one test kills it."""
    broker = Kafka(folder)
    broker.start()
    try:
        create_topics(broker.bootstrap)
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="module")
def ingest(broker: Kafka, folder: Path) -> Iterator[IngestProcess]:
    """A running process; the first test has seen it without a catalog."""
    process = IngestProcess(broker.bootstrap, folder / "ingest.log")
    try:
        until(process.answers, "start")
        yield process
    finally:
        process.stop()


def test_without_a_catalog_it_is_alive_not_ready_and_says_why(ingest: IngestProcess) -> None:
    until(lambda: ingest.missing() == ["catalog"], "everything but the catalog")
    said = ingest.ask("GET", "/c/shoes?partner=anna")
    assert (said.status, said.json["reason"]) == (503, "NO_CATALOG")


def test_first_catalog_is_in_effect_at_once(broker: Kafka, ingest: IngestProcess) -> None:
    with pytest.raises(CatalogInvalid):
        publish_catalog(broker.bootstrap, "offers: [{id: x}]", "test")
    version = publish_catalog(broker.bootstrap, CATALOG, "test")
    assert (version.version, version.effective_at) == (1, version.written_at)
    until(ingest.ready, "the first catalog")
    assert read_catalog_log(broker.bootstrap).versions == [version]


def test_click_conversion_and_adjustment_reach_their_topics(broker: Kafka, ingest: IngestProcess) -> None:
    said = ingest.ask("GET", "/c/shoes?partner=anna&sub1=here")
    assert said.status == 302
    clicks = [r for _, r in read_topic(broker.bootstrap, "clicks") if isinstance(r, Click) and r.sub1 == "here"]
    assert len(clicks) == 1
    assert clicks[0].click_id in said.headers["location"]
    said = ingest.ask("POST", "/pb", f"transaction_id={clicks[0].click_id}&order_id=o-1&amount=5.00".encode())
    assert said.status == 200
    (message, sale) = read_topic(broker.bootstrap, "conversions")[0]
    assert isinstance(sale, Conversion)
    assert sale.conversion_id == said.json["conversion_id"]
    assert sale.session_id == clicks[0].session_id
    assert message.key() == session_key(sale.session_id)
    assert dict(message.headers())["ce_type"] == b"accredit.conversion"
    approve = {"type": "adjustment", "advertiser_id": "shop", "goal": "sale", "order_id": "o-1", "action": "approve"}
    body = [{**approve, "occurred_at": "2026-05-01T10:00:00Z"}, {"type": "click"}]
    said = ingest.ask("POST", "/v1/events", json.dumps(body).encode(), {"content-type": "application/json"})
    assert [result["status"] for result in said.json["results"]] == ["accepted", "rejected"]
    assert len(read_topic(broker.bootstrap, "adjustments")) == 1


def test_refused_events_are_dead_letters(broker: Kafka, ingest: IngestProcess) -> None:
    assert ingest.ask("GET", "/c/nope?partner=anna").status == 404
    assert ingest.ask("GET", "/pb?order_id=1").status == 400
    letters = {r.original: r for _, r in read_topic(broker.bootstrap, "dead-letters") if isinstance(r, DeadLetter)}
    assert letters[b"GET /c/nope?partner=anna"].reason == "UNKNOWN_OFFER"
    assert letters[b"GET /pb?order_id=1"].field == "transaction_id"


def test_raw_bytes_are_never_a_server_error(ingest: IngestProcess) -> None:
    requests = (
        b"GET /c/%ff%00?partner=%ff HTTP/1.1\r\nHost: x\r\nCookie: \xff\xfe\r\nUser-Agent: \xff\r\n",
        b"GET /c/shoes?partner=\xff HTTP/1.1\r\nHost: x\r\n",
        b"GET http://evil.example/c/shoes HTTP/1.1\r\nHost: x\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: x\r\n",
        b"POST /v1/events HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n",
        b"POST /pb HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n",
    )
    for request in requests:
        with socket.create_connection(("127.0.0.1", ingest.port), timeout=20) as raw:
            raw.sendall(request + b"Connection: close\r\n\r\nzz\r\n")
            answer = raw.recv(4_096)
        assert answer[9:10] in (b"2", b"3", b"4"), (request[:60], answer[:60])
        assert b"Traceback" not in answer


def test_metrics_count_what_came(ingest: IngestProcess) -> None:
    body = ingest.ask("GET", "/metrics").body.decode()
    assert 'accredit_ingest_events_accepted_total{door="redirect",kind="click"}' in body
    assert "accredit_ingest_catalog_version 1.0" in body


def test_next_version_takes_effect_when_it_says(broker: Kafka, ingest: IngestProcess) -> None:
    changed = CATALOG.replace("https://other.example/", "https://changed.example/")
    version = publish_catalog(broker.bootstrap, changed, "test", lead_ms=1_500)
    assert version.version == 2

    def location() -> str:
        return ingest.ask("GET", "/c/bags?partner=anna").headers["location"]

    seen = location()
    if time.time() * 1_000 < version.effective_at:
        assert seen == "https://other.example/"
    until(lambda: location() == "https://changed.example/", "the new version")
    assert time.time() * 1_000 >= version.effective_at


def test_of_two_appliers_the_second_is_told(broker: Kafka, monkeypatch: pytest.MonkeyPatch) -> None:
    def raced(kafka: str, version: object) -> None:
        rival = read_catalog_log(kafka).versions[-1]
        produce_version(kafka, rival._replace(version=rival.version + 1, author="rival"))
        produce_version(kafka, version)  # type: ignore[arg-type]

    monkeypatch.setattr("ingest.catalog_log.produce_version", raced)
    with pytest.raises(CatalogRaced, match="rival"):
        publish_catalog(broker.bootstrap, CATALOG, "me")
    assert [version.author for version in read_catalog_log(broker.bootstrap).versions] == ["test", "test", "rival"]


def test_file_is_loaded_and_back_filled_events_stay(broker: Kafka) -> None:
    lines = [json.dumps({**CLICK, "offer_id": "shoes", "sub2": f"line-{i}"}).encode() + b"\n" for i in range(500)]
    with BulkPublisher(broker.bootstrap) as publisher:
        result = load_file(ndjson_rows([*lines, b"{oops\n"]), publisher, intake_now(broker.bootstrap, KEYS))
    assert (result.accepted, result.rejected) == (500, 1)
    found = [m for m, r in read_topic(broker.bootstrap, "clicks") if isinstance(r, Click) and r.sub2 is not None]
    assert len(found) == 500
    assert {message.timestamp()[1] for message in found} == {1_510_048_800_000}


def test_keys_are_partitioned_as_java_and_aiokafka_do(broker: Kafka) -> None:
    sessions = [new_session_id(NOW + i, os.urandom(10)) for i in range(1_000)]
    with BulkPublisher(broker.bootstrap) as publisher:
        for i, session in enumerate(sessions):
            click = Click(f"partition-{i}", NOW, NOW, "click", "anna", "shoes", None, None, session)
            publisher.publish(event_message(click))
    mine = [m for m, r in read_topic(broker.bootstrap, "clicks") if isinstance(r, Click) and "partition-" in r.click_id]
    assert len(mine) == 1_000
    assert all(message.partition() == (murmur2(message.key()) & 0x7FFFFFFF) % 4 for message in mine)


def test_killed_broker_loses_nothing_and_repeats_nothing(broker: Kafka, ingest: IngestProcess) -> None:
    until(ingest.ready, "a catalog, which an earlier test of this module applies")
    answered: list[str] = []
    stop = threading.Event()

    def visit(visitor: int) -> None:
        number = 0
        while not stop.is_set():
            name = f"kill-{visitor}-{number}"
            if ingest.ask("GET", f"/c/shoes?partner=anna&sub3={name}").status == 302:
                answered.append(name)
            number += 1

    visitors = [threading.Thread(target=visit, args=(number,)) for number in range(4)]
    for visitor in visitors:
        visitor.start()
    until(lambda: len(answered) > 100, "clicks before the kill")
    broker.kill()
    before = len(answered)
    broker.start()
    until(lambda: len(answered) > before + 100, "clicks after the restart", 60)
    stop.set()
    for visitor in visitors:
        visitor.join(60)
    delivered: Counter[str | None] = Counter()

    def spool_is_sent() -> bool:
        """What was answered while the broker was away lies in the spool first."""
        delivered.clear()
        delivered.update(r.sub3 for _, r in read_topic(broker.bootstrap, "clicks") if isinstance(r, Click))
        return delivered.keys() >= set(answered)

    until(spool_is_sent, "sending what was kept while the broker was away", 60)
    assert [name for name in answered if delivered[name] != 1] == []


def test_requests_in_flight_are_finished_and_idle_connections_do_not_hold_it(broker: Kafka, folder: Path) -> None:
    process = IngestProcess(broker.bootstrap, folder / "stop.log", workers=2)
    until(process.ready, "start")
    idle = socket.create_connection(("127.0.0.1", process.port), timeout=20)
    idle.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
    assert idle.recv(4_096).startswith(b"HTTP/1.1 200")
    slow = socket.create_connection(("127.0.0.1", process.port), timeout=20)
    slow.sendall(b"POST /pb HTTP/1.1\r\nHost: x\r\nContent-Length: 39\r\nExpect: 100-continue\r\n\r\n")
    assert slow.recv(4_096).startswith(b"HTTP/1.1 100")  # it is reading the body
    slow.sendall(b"advertiser_id=shop")
    process.process.terminate()
    slow.sendall(b"&order_id=in-the-meantime")
    assert slow.recv(4_096)[9:12] in (b"200", b"400")
    process.process.wait(60)
    assert process.process.returncode == 0
    for connection in (idle, slow):
        connection.close()


def test_killed_parent_leaves_no_orphan(broker: Kafka, folder: Path) -> None:
    process = IngestProcess(broker.bootstrap, folder / "kill.log", workers=2)
    until(process.answers, "start")
    os.kill(process.process.pid, signal.SIGKILL)
    process.process.wait(60)
    until(lambda: not process.answers(), "the end of its workers")


def test_catalog_log_without_a_broker_is_said_in_time() -> None:
    started = time.monotonic()
    with pytest.raises(KafkaUnreachable, match="is Kafka up"):
        read_catalog_log("127.0.0.1:1", timeout_s=1)
    assert time.monotonic() - started < 60


def test_a_worker_that_dies_is_replaced(broker: Kafka, folder: Path) -> None:
    process = IngestProcess(broker.bootstrap, folder / "replaced.log", workers=2)
    try:
        until(process.answers, "start")
        before = {child.pid for child in psutil.Process(process.process.pid).children()}
        assert len(before) == 2
        os.kill(min(before), signal.SIGKILL)

        def replaced() -> bool:
            now = {child.pid for child in psutil.Process(process.process.pid).children()}
            return len(now) == 2 and now != before and all(process.answers() for _ in range(8))

        until(replaced, "another worker")
        assert "worker_died" in (folder / "replaced.log").read_text()
    finally:
        process.stop()


KEEPS_DYING = "import sys; from ingest.serving.processes import serve_with; serve_with(sys.exit, '127.0.0.1', 0, 1, 1)"


def test_workers_that_keep_dying_end_the_process() -> None:
    done = subprocess.run([sys.executable, "-c", KEEPS_DYING], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "workers_keep_dying" in done.stdout + done.stderr


def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "console", "ingest", "--data", str(tmp_path), "--port", str(port)]
        environment = {**os.environ, "ACCREDIT_KAFKA": "127.0.0.1:1"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment)
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in done.stderr
    assert "Traceback" not in done.stderr
