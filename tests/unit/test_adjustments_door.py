"""``/v1/adjustments``: corrections by advertiser and order, or by conversion id, each with a result."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from console.dead_letters import send_again
from ingest.conversion_config import PostbackConfig
from ingest.intake import Intake
from schemas.codec import decode
from schemas.ids import conversion_id
from schemas.records import Adjustment, DeadLetter
from schemas.times import parse_time
from tests.support.front_door import INDEX, KEYS, NOW, SESSION, FrontDoor, Said
from tests.unit.test_load_file import Kept

ORDER = {"advertiser_id": "shop", "goal": "sale", "order_id": "o-1"}
OF_ORDER = conversion_id("shop", "sale", "o-1", None)


def post(door: FrontDoor, *items: Any) -> Said:
    return door.ask("POST", "/v1/adjustments", b"\n".join(map(orjson.dumps, items)))


def adjustment_of(item: dict[str, Any]) -> Adjustment:
    door = FrontDoor()
    said = post(door, item)
    assert said.json["accepted"] == 1, said.json
    (record,) = door.publisher.records("adjustments")
    assert isinstance(record, Adjustment)
    assert door.publisher.messages[0].key == record.conversion_id.encode()
    return record


def test_an_action_in_the_shape_of_events() -> None:
    full = {**ORDER, "type": "adjustment", "action": "approve", "occurred_at": "2026-05-09T12:00:00Z"}
    record = adjustment_of(full)
    assert (record.conversion_id, record.action, record.door) == (OF_ORDER, "approve", "adjustments")
    assert record.occurred_at == parse_time("2026-05-09T12:00:00Z")


@pytest.mark.parametrize(
    ("status", "action"),
    [("approved", "approve"), ("Rejected", "reject"), ("reversed", "reverse"), ("refunded", "reverse")],
)
def test_a_status_in_the_senders_words_and_a_reason(status: str, action: str) -> None:
    record = adjustment_of({**ORDER, "status": status, "reason": "sent back"})
    assert (record.action, record.note, record.occurred_at) == (action, "sent back", NOW)


def test_an_amount_amends() -> None:
    record = adjustment_of({**ORDER, "action": "amend", "amount": "18.00", "currency": "eur"})
    assert (record.action, record.amount, record.currency) == ("amend", "18.00", "EUR")


def test_by_click_id_and_by_conversion_id() -> None:
    click_id = KEYS.mint(bytes.fromhex(SESSION.replace("-", "")), NOW, "shop", bytes(6))
    by_click = adjustment_of({"advertiser_id": "shop", "goal": "sale", "click_id": click_id, "action": "reject"})
    assert by_click.conversion_id == conversion_id("shop", "sale", None, click_id)
    by_id = adjustment_of({"advertiser_id": "shop", "conversion_id": OF_ORDER, "action": "reject"})
    assert (by_id.conversion_id, by_id.order_id, by_id.goal) == (OF_ORDER, None, "")
    assert adjustment_of({**ORDER, "conversion_id": OF_ORDER, "action": "reject"}).goal == "sale"


@pytest.mark.parametrize(
    ("item", "reason", "field"),
    [
        ({**ORDER, "action": "approve", "status": "rejected"}, "INVALID_FIELD", "status"),
        ({**ORDER, "status": "maybe"}, "INVALID_FIELD", "action"),
        (ORDER, "MISSING_FIELD", "action"),
        ({**ORDER, "action": "amend"}, "MISSING_FIELD", "amount"),
        ({"advertiser_id": "shop", "goal": "sale", "action": "approve"}, "MISSING_FIELD", "order_id"),
        ({"advertiser_id": "shop", "order_id": "o-1", "action": "approve"}, "MISSING_FIELD", "goal"),
        ({**ORDER, "action": "approve", "advertiser_id": "nobody"}, "UNKNOWN_ADVERTISER", "advertiser_id"),
        ({**ORDER, "action": "approve", "conversion_id": "0" * 32}, "INVALID_FIELD", "conversion_id"),
        ({**ORDER, "action": "approve", "conversion_id": "xyz"}, "INVALID_FIELD", "conversion_id"),
        ({**ORDER, "action": "approve", "type": "conversion"}, "INVALID_FIELD", "type"),
        ([], "INVALID_EVENT", None),
    ],
)
def test_what_cannot_be_taken_names_its_field_and_costs_only_itself(item: Any, reason: str, field: str | None) -> None:
    door = FrontDoor()
    said = post(door, {**ORDER, "action": "approve"}, item)
    assert (said.status, said.json["accepted"], said.json["rejected"]) == (202, 1, 1)
    result = said.json["results"][1]
    assert (result["reason"], result["field"]) == (reason, field)
    (letter,) = door.publisher.records("dead-letters")
    assert isinstance(letter, DeadLetter)
    assert (letter.door, letter.original) == ("adjustments", orjson.dumps(item))


def test_the_same_one_twice_in_a_body_is_a_duplicate_and_the_key_is_taken(tmp_path: Path) -> None:
    door = FrontDoor(data_dir=tmp_path)
    body = orjson.dumps([{**ORDER, "action": "approve"}] * 2)
    first, again = (door.ask("POST", "/v1/adjustments", body, [("idempotency-key", "k")]) for _ in range(2))
    assert [result["status"] for result in first.json["results"]] == ["accepted", "duplicate"]
    assert first.body == again.body
    assert len(door.publisher.messages) == 2, "the copy is in the log, where the audit counts it"


def test_a_refused_adjustment_can_be_taken_again_as_it_was_sent() -> None:
    door = FrontDoor(index=INDEX)
    post(door, {**ORDER, "advertiser_id": "later", "status": "approved"})
    (letter,) = door.publisher.records("dead-letters")
    assert isinstance(letter, DeadLetter)
    grown = replace(INDEX, advertisers=INDEX.advertisers | {"later"})
    kept = Kept()
    assert send_again(letter, Intake(KEYS, lambda _: grown), cast(Any, kept), PostbackConfig()).startswith(
        "adjustment "
    )
    record = decode(kept.messages[0].value)
    assert isinstance(record, Adjustment)
    assert (record.action, record.occurred_at) == ("approve", letter.received_at)
