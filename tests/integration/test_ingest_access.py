"""Access on the real server: keys without a restart, the catalog over HTTP, limits of size, headers and time."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.kafka import Kafka
from ingest.access.book import AccessBook, ApiKey, editing
from ingest.access.secrets import NewKey, new_key
from ingest.catalog_log import read_catalog_log
from ingest.settings import MEBIBYTE
from schemas.records import DeadLetter
from tests.support.front_door import CATALOG, SESSION, Said
from tests.support.ingest_process import IngestProcess, create_topics, read_topic, until

pytestmark = pytest.mark.integration

CLICK = {"type": "click", "session_id": SESSION, "occurred_at": "2026-05-10T11:00:00Z", "offer_id": "shoes"}
CONFIG = """
access:
  trusted_proxies: [127.0.0.0/8]
  per_address: {per_second: 0.001, burst: 3}
"""


def with_partner(name: str) -> str:
    return CATALOG.replace("partners: [", f"partners: [{{id: {name}, type: publisher}}, ")


MORE = with_partner("bert")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("access")


@pytest.fixture(scope="module")
def broker(folder: Path) -> Iterator[Kafka]:
    broker = Kafka(folder)
    broker.start()
    try:
        create_topics(broker.bootstrap)
        yield broker
    finally:
        broker.stop()


@pytest.fixture(scope="module")
def ingest(broker: Kafka, folder: Path) -> Iterator[IngestProcess]:
    """A process whose keys are in ``folder/ingest/access.json``."""
    data = folder / "ingest"
    data.mkdir()
    (data / "ingest.yaml").write_text(CONFIG)
    process = IngestProcess(broker.bootstrap, folder / "ingest.log")
    try:
        until(process.answers, "start")
        yield process
    finally:
        process.stop()


@pytest.fixture(scope="module")
def boss(ingest: IngestProcess, folder: Path) -> NewKey:
    """An operator's key that the running process has come to know."""
    return added(ingest, folder, "operator", None, ["events:write", "catalog:read", "catalog:write"])


def added(ingest: IngestProcess, folder: Path, kind: str, tenant: str | None, scopes: list[str]) -> NewKey:
    fresh = new_key()
    fields = {"id": fresh.id, "sha256": fresh.sha256, "created_at": 1, "kind": kind, "tenant": tenant}
    with editing(folder / "ingest" / "access.json") as held:
        held[0] = AccessBook(keys=(*held[0].keys, ApiKey.model_validate({**fields, "scopes": scopes})))
    until(lambda: catalog(ingest, fresh, "GET").status != 401, "the new key")
    return fresh


def catalog(ingest: IngestProcess, key: NewKey, method: str, text: str = "", query: str = "", **headers: str) -> Said:
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    body = text.encode() if method == "PUT" else None
    return ingest.ask(method, f"/v1/catalog{query}", body, {"authorization": f"Bearer {key.text}", **given})


def test_catalog_is_applied_seen_first_and_never_over_another(
    broker: Kafka, ingest: IngestProcess, folder: Path, boss: NewKey
) -> None:
    assert catalog(ingest, boss, "GET").status == 404
    said = catalog(ingest, boss, "PUT", CATALOG, "?dry_run=true")
    assert (said.status, said.json["version"], said.json["base_version"]) == (200, 1, 0)
    assert {"sign": "+", "kind": "partner", "name": "anna"}.items() <= said.json["changes"][-1].items()
    assert not read_catalog_log(broker.bootstrap).versions

    said = catalog(ingest, boss, "PUT", CATALOG)
    assert (said.status, said.json["version"], said.headers["etag"]) == (201, 1, '"1"')
    said = catalog(ingest, boss, "GET")
    assert (said.body.decode(), said.headers["etag"]) == (CATALOG, '"1"')
    assert catalog(ingest, boss, "GET", accept="application/json").json["partners"] == [
        {"id": "anna", "type": "influencer"}
    ]

    said = catalog(ingest, boss, "PUT", MORE)
    assert (said.status, said.json["reason"]) == (428, "IF_MATCH_REQUIRED")
    said = catalog(ingest, boss, "PUT", MORE, if_match='"7"')
    assert (said.status, said.json["reason"], said.headers["etag"]) == (412, "CATALOG_CHANGED", '"1"')
    said = catalog(ingest, boss, "PUT", CATALOG, if_match='"1"')
    assert (said.json["version"], said.json["changes"]) == (1, [])
    said = catalog(ingest, boss, "PUT", MORE, if_match='"1"')
    assert (said.status, said.json["version"]) == (200, 2)
    version = read_catalog_log(broker.bootstrap).versions[1]
    assert version.author == f"operator (key {boss.id})"
    assert catalog(ingest, boss, "GET", query="?version=1").body.decode() == CATALOG


def test_of_two_at_once_one_is_first(broker: Kafka, ingest: IngestProcess, boss: NewKey) -> None:
    at = read_catalog_log(broker.bootstrap).versions[-1].version
    statuses: list[int] = []

    def put(name: str) -> None:
        statuses.append(catalog(ingest, boss, "PUT", with_partner(name), if_match=f'"{at}"').status)

    threads = [threading.Thread(target=put, args=(name,)) for name in ("carl", "dora", "emil")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 412, 412]
    assert read_catalog_log(broker.bootstrap).versions[-1].version == at + 1


def test_problems_name_line_and_field(ingest: IngestProcess, boss: NewKey) -> None:
    said = catalog(ingest, boss, "PUT", CATALOG.replace("advertiser_id: shop", "advertiser_id: shoop"), if_match="*")
    assert (said.status, said.json["reason"]) == (422, "CATALOG_INVALID")
    first = said.json["problems"][0]
    assert (first["line"], first["field"]) == (9, "offers[0].advertiser_id")
    assert "shoop" in first["detail"]
    assert catalog(ingest, boss, "PUT", "[" * 100_000, if_match="*").status == 422
    assert catalog(ingest, boss, "PUT", " \n", if_match="*").status == 400


def test_requests_go_on_while_a_large_catalog_is_judged(ingest: IngestProcess, boss: NewKey) -> None:
    offers = "".join(
        f"  - {{id: o{i}, advertiser_id: shop, landing_url: https://x.example/{i}}}\n" for i in range(20_000)
    )
    large = "advertisers: [{id: shop, currency: EUR}]\noffers:\n" + offers
    answers: list[Said] = []
    judging = threading.Thread(target=lambda: answers.append(catalog(ingest, boss, "PUT", large, "?dry_run=true")))
    judging.start()
    between = 0
    while judging.is_alive():
        assert ingest.ask("GET", "/healthz").status == 200
        between += 1
    assert len(answers[0].json["changes"]) > 20_000
    assert between > 5


def test_keys_come_and_go_without_a_restart(ingest: IngestProcess, folder: Path, boss: NewKey) -> None:
    anna = added(ingest, folder, "partner", "anna", ["events:write"])
    body = json.dumps([{**CLICK, "partner_id": "anna"}, {**CLICK, "partner_id": "bert"}]).encode()

    def send() -> Said:
        return ingest.ask("POST", "/v1/events", body, {"authorization": f"Bearer {anna.text}"})

    until(lambda: send().status == 202, "the first catalog")
    assert [each.get("reason") for each in send().json["results"]] == [None, "NOT_YOURS"]
    assert catalog(ingest, anna, "GET").status == 403
    with editing(folder / "ingest" / "access.json") as held:
        kept = [key.model_copy(update={"revoked_at": 1}) if key.id == anna.id else key for key in held[0].keys]
        held[0] = AccessBook(keys=tuple(kept))
    until(lambda: send().status == 401, "the end of the key")


def test_limits_count_by_the_visitor_behind_the_proxy(ingest: IngestProcess) -> None:
    def ask(address: str, path: str = "/pb?x=1") -> Said:
        return ingest.ask("GET", path, None, {"x-forwarded-for": f"6.6.6.6, {address}"})

    assert [ask("203.0.113.77").status for _ in range(4)] == [400, 400, 400, 429]
    said = ask("203.0.113.77")
    assert int(said.headers["retry-after"]) > 100
    assert said.headers["ratelimit"].startswith('"address";r=0')
    assert ask("203.0.113.78").status == 400
    assert ask("203.0.113.77", "/c/shoes?partner=anna").status == 302
    assert [ingest.ask("GET", "/pb?x=1").status for _ in range(5)] == [400] * 5  # this machine itself


def raw(ingest: IngestProcess, sent: bytes) -> bytes:
    """What a connection says to these bytes; nothing when it is closed without a word."""
    with socket.create_connection(("127.0.0.1", ingest.port), timeout=30) as connection:
        try:
            connection.sendall(sent)
            return connection.recv(4_096)
        except OSError:
            return b""


def test_sizes_of_heads_and_bodies_are_limited(ingest: IngestProcess, boss: NewKey) -> None:
    for head in (b"x: " + b"a" * 200_000, b"x: y\r\n" * 2_000 + b"x: y"):
        answer = raw(ingest, b"GET /healthz HTTP/1.1\r\nhost: x\r\n" + head + b"\r\n\r\n")
        assert answer[9:12] in (b"431", b"400", b"")
    assert raw(ingest, b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n")[9:12] in (
        b"414",
        b"431",
        b"400",
        b"",
    )
    for path, size in (("/v1/events", 11 * MEBIBYTE), ("/pb", 65 * 1_024), ("/v1/track", 2 * MEBIBYTE)):
        head = f"POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {boss.text}\r\ncontent-length: {size}\r\n\r\n"
        assert raw(ingest, head.encode())[9:12] == b"413"
    assert ingest.ask("GET", "/healthz").status == 200


def test_whoever_dawdles_is_hung_up_on(ingest: IngestProcess) -> None:
    """Slow loris: the head never ends. Others are served meanwhile."""
    slow: list[socket.socket] = []
    try:
        for _ in range(50):
            connection = socket.create_connection(("127.0.0.1", ingest.port), timeout=30)
            connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\nx-one: 1\r\n")
            slow.append(connection)
        assert ingest.ask("GET", "/healthz").status == 200
        for connection in slow:
            said = connection.recv(4_096)
            assert said == b"" or said[9:12] in (b"408", b"400")
    finally:
        for connection in slow:
            connection.close()


def test_no_key_is_in_the_log_or_the_dead_letters(
    broker: Kafka, ingest: IngestProcess, folder: Path, boss: NewKey
) -> None:
    body: Any = [{**CLICK, "partner_id": "anna", "occurred_at": boss.text}]
    said = ingest.ask("POST", "/v1/events", json.dumps(body).encode(), {"authorization": f"Bearer {boss.text}"})
    assert said.json["rejected"] == 1
    stale = {"authorization": f"Bearer {new_key().text}"}
    assert ingest.ask("POST", "/v1/events", b"[]", stale).status == 401
    secret = boss.text.rpartition(f"{boss.id}_")[2]
    letters = [record for _, record in read_topic(broker.bootstrap, "dead-letters") if isinstance(record, DeadLetter)]
    assert any(f"ak_{boss.id}_***".encode() in letter.original for letter in letters)
    assert not any(secret.encode() in letter.original or secret in letter.detail for letter in letters)
    text = (folder / "ingest.log").read_text()
    assert "ak_" not in text
    assert "sender_refused" in text
