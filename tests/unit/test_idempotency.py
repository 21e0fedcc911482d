"""``Idempotency-Key``: the same request, the same answer; over processes and restarts, and never in the way."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import orjson
import pytest

from ingest.errors import Refusal
from ingest.http import Answer
from ingest.idempotency import Idempotency, IdempotencyConfig, key_of
from tests.support.front_door import NOW, FrontDoor
from tests.unit.test_ingest_events_door import CLICK, SALE

BODY = orjson.dumps([CLICK, SALE])
OTHER = orjson.dumps([SALE])
KEY = ("idempotency-key", '"8e03978e-40d5-43dd-bc93-6894a57f9324"')
DONE = Answer(202, [], b'{"done":1}')


def test_the_same_key_and_body_get_the_same_answer_and_publish_once(tmp_path: Path) -> None:
    door = FrontDoor(data_dir=tmp_path)
    first = door.ask("POST", "/v1/events", BODY, [KEY])
    again = door.ask("POST", "/v1/events", BODY, [KEY])
    restarted = FrontDoor(data_dir=tmp_path)
    later = restarted.ask("POST", "/v1/events", BODY, [KEY])
    assert first.status == again.status == later.status == 202
    assert first.body == again.body == later.body
    assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (False, "true")
    assert (len(door.publisher.messages), restarted.publisher.messages) == (2, [])


def test_the_same_key_with_another_body_or_path_is_422(tmp_path: Path) -> None:
    door = FrontDoor(data_dir=tmp_path)
    door.ask("POST", "/v1/events", BODY, [KEY])
    for path, body in (("/v1/events", OTHER), ("/v1/adjustments", BODY)):
        said = door.ask("POST", path, body, [KEY])
        assert (said.status, said.json["reason"]) == (422, "IDEMPOTENCY_KEY_REUSED")
    assert len(door.publisher.messages) == 2


def test_what_was_not_taken_may_come_again_under_its_key(tmp_path: Path) -> None:
    door = FrontDoor(data_dir=tmp_path)
    assert door.ask("POST", "/v1/events", b"[{", [KEY]).status == 400
    door.publisher.away = True
    assert door.ask("POST", "/v1/events", BODY, [KEY]).status == 503
    door.publisher.away = False
    said = door.ask("POST", "/v1/events", BODY, [KEY])
    assert (said.status, said.json["accepted"]) == (202, 2)


def test_without_a_key_nothing_is_kept(tmp_path: Path) -> None:
    FrontDoor(data_dir=tmp_path).ask("POST", "/v1/events", BODY)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_used_is_not_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "ingest").mkdir()
    (tmp_path / "ingest" / "idempotency.sqlite").write_bytes(b"not a database" * 100)
    door = FrontDoor(data_dir=tmp_path)
    assert [door.ask("POST", "/v1/events", BODY, [KEY]).status for _ in range(2)] == [202, 202]


@pytest.mark.parametrize("header", ["", '""', '"', "a b", "ü", '"' + "x" * 256 + '"', "x" * 256, '"a"b"'])
def test_a_key_that_is_none_is_400(header: str, tmp_path: Path) -> None:
    said = FrontDoor(data_dir=tmp_path).ask("POST", "/v1/events", BODY, [("idempotency-key", header)])
    assert (said.status, said.json["field"]) == (400, "Idempotency-Key")


def test_quoted_and_bare_are_the_same_key() -> None:
    assert key_of('"abc"') == key_of(" abc ") == "abc"


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


def test_in_flight_is_409_until_its_process_is_taken_for_dead(tmp_path: Path) -> None:
    clock = Clock()
    config = IdempotencyConfig(keep="1h")
    mine, theirs = (Idempotency(tmp_path, config, clock, lease_ms=60_000) for _ in range(2))

    async def scenario() -> None:
        begun, end = asyncio.Event(), asyncio.Event()

        async def slow() -> Answer:
            begun.set()
            await end.wait()
            return DONE

        async def quick() -> Answer:
            return DONE

        first = asyncio.create_task(mine.once("operator", "k", "/p", b"x", slow))
        await begun.wait()
        with pytest.raises(Refusal) as refused:
            await theirs.once("operator", "k", "/p", b"x", quick)
        assert (refused.value.status, refused.value.reason) == (409, "IDEMPOTENCY_KEY_IN_FLIGHT")
        assert (await theirs.once("advertiser:shop", "k", "/p", b"y", quick)).status == 202, "another sender's key"
        clock.now += 60_000
        assert (await theirs.once("operator", "k", "/p", b"x", quick)) is DONE
        end.set()
        assert (await first) is DONE
        clock.now += 3_600_000
        assert (await mine.once("operator", "k", "/p", b"other", quick)) is DONE, "forgotten after an hour"

    asyncio.run(scenario())


def test_a_request_that_fails_frees_its_key(tmp_path: Path) -> None:
    idempotency = Idempotency(tmp_path, IdempotencyConfig(), Clock(), lease_ms=60_000)

    async def fails() -> Answer:
        raise ValueError("broken")

    async def works() -> Answer:
        return DONE

    async def scenario() -> None:
        with pytest.raises(ValueError, match="broken"):
            await idempotency.once("operator", "k", "/p", b"x", fails)
        assert (await idempotency.once("operator", "k", "/p", b"y", works)) is DONE

    asyncio.run(scenario())


def test_the_file_is_bounded(tmp_path: Path) -> None:
    clock = Clock()
    idempotency = Idempotency(tmp_path, IdempotencyConfig(limit_mb=1), clock, lease_ms=60_000)

    async def scenario() -> None:
        for number in range(120):
            content = b"".join(number.to_bytes(4, "big") + bytes([i % 251]) * 8 for i in range(4_000))
            noise = bytes((i * i * 31 + number * 7 + (i >> 3)) % 256 for i in range(40_000))

            async def work(body: bytes = content + noise) -> Answer:
                return Answer(202, [], body)

            clock.now += 1
            await idempotency.once("operator", f"k{number}", "/p", b"x", work)

    asyncio.run(scenario())
    with sqlite3.connect(tmp_path / "idempotency.sqlite") as file:
        kept, total = file.execute("SELECT count(*), sum(size) FROM answers").fetchone()
    file.close()
    assert 0 < kept <= 120
    assert total <= (1 << 20) + 50 * 60_000
