"""What of an event goes into the log, and what of a refused one into its dead letter."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import orjson
import pytest

from ingest.edge.anomalies import REVIEW
from ingest.edge.config import EdgeConfig
from ingest.edge.visitor import edge_of
from ingest.intake import Intake
from ingest.privacy.config import PrivacyConfig
from ingest.privacy.key_file import FILE, KeyFile, forgotten, make_key_file, read_key_file, replace_key_file
from ingest.privacy.redact import redacted
from schemas.codec import decode
from schemas.errors import InvalidEvent
from schemas.ids import session_key
from schemas.records import Adjustment, Click, Conversion, DeadLetter, Record
from schemas.sealing import SEALED
from tests.support.front_door import INDEX, KEYS, NOW, SESSION

AGENT = "Mozilla/5.0 (X11; Linux x86_64) Firefox/132.0"
TOUCH = {"type": "click", "session_id": SESSION, "occurred_at": "2026-05-10T11:00:00Z", "offer_id": "shoes"}
SALE = {"type": "conversion", "occurred_at": "2026-05-10T11:30:00Z", "advertiser_id": "shop", "goal": "sale"}


def intake(folder: Path, **privacy: Any) -> Intake:
    edge = edge_of(EdgeConfig(), PrivacyConfig.model_validate(privacy), folder)
    return Intake(KEYS, lambda _: INDEX, edge.keeper)


def taken(by: Intake, **fields: Any) -> Record:
    return decode(by.accept(fields, now=NOW, door="bulk").message.value)


def test_a_touch_is_sealed_and_only_its_session_s_key_opens_it(tmp_path: Path) -> None:
    referrer = "https://me:pw@blog.example/p?email=jo%40x.example&q=1#here"
    more = {"ip": "203.0.113.9", "user_agent": AGENT, "referrer": referrer, "gclid": "abc", "utm_source": "mail"}
    click = taken(intake(tmp_path), **TOUCH, partner_id="anna", sub1="b", phone="123", **more)
    assert isinstance(click, Click)
    assert (click.ip, click.user_agent, click.referrer, click.sub1) == (None, None, None, "b")
    assert set(click.params) == {"utm_source", SEALED}
    sealer = read_key_file(tmp_path / FILE).sealer()
    assert sealer.open(SESSION, click.params[SEALED]) == {
        "ip": "203.0.113.0",
        "user_agent": AGENT,
        "referrer": "https://blog.example/p?q=1",
        "params": {"gclid": "abc"},
    }


def test_without_sealing_the_rest_is_done(tmp_path: Path) -> None:
    more = {"ip": "2001:db8:1:2::9", "user_agent": AGENT, "email": "jo@x.example", "note": "ask jo@x.example"}
    click = taken(intake(tmp_path, seal=False), **TOUCH, partner_id="anna", **more)
    assert isinstance(click, Click)
    assert (click.ip, click.user_agent) == ("2001:db8:1::", AGENT)
    assert set(click.params) == {"note"}
    assert "jo@x" not in click.params["note"]
    assert not (tmp_path / FILE).exists()


@pytest.mark.parametrize(("how", "kept"), [("truncate", "203.0.113.0"), ("drop", None)])
def test_what_is_kept_of_an_address(tmp_path: Path, how: str, kept: str | None) -> None:
    click = taken(intake(tmp_path, seal=False, address=how), **TOUCH, partner_id="anna", ip="203.0.113.9")
    assert isinstance(click, Click)
    assert click.ip == kept


def test_a_hashed_address_is_another_one_every_day(tmp_path: Path) -> None:
    made = intake(tmp_path, address="hash")
    sealer = read_key_file(tmp_path / FILE).sealer()

    def ip(now: int) -> Any:
        event = {**TOUCH, "occurred_at": "2026-05-01T00:00:00Z", "partner_id": "anna", "ip": "203.0.113.9"}
        click = decode(made.accept(event, now=now, door="bulk").message.value)
        assert isinstance(click, Click)
        opened = sealer.open(SESSION, click.params[SEALED])
        assert opened is not None
        return opened["ip"]

    assert ip(NOW) == ip(NOW + 1_000) != ip(NOW + 86_400_000)
    assert ip(NOW).startswith("day-")


def test_a_customer_goes_by_a_pseudonym_and_a_partner_s_own_stays(tmp_path: Path) -> None:
    made = intake(tmp_path)
    first, second, other = (
        taken(made, **SALE, order_id=n, customer_id=c) for n, c in (("1", "x"), ("2", "x"), ("3", "y"))
    )
    assert isinstance(first, Conversion)
    assert isinstance(second, Conversion)
    assert isinstance(other, Conversion)
    assert first.customer_id == second.customer_id != other.customer_id
    assert first.customer_id is not None
    assert len(first.customer_id) == 64
    again = taken(made, **SALE, order_id="4", customer_id=first.customer_id)  # a restored export
    assert isinstance(again, Conversion)
    assert again.customer_id == first.customer_id
    edge = edge_of(EdgeConfig(), PrivacyConfig(), tmp_path)
    index = INDEX.__class__(
        **{n: getattr(INDEX, n) for n in INDEX.__dataclass_fields__ if n != "buyers"}, buyers=frozenset({"x"})
    )
    own = taken(Intake(KEYS, lambda _: index, edge.keeper), **SALE, order_id="5", customer_id="x")
    assert isinstance(own, Conversion)
    assert own.customer_id == "x"


def test_who_is_forgotten_stays_forgotten(tmp_path: Path) -> None:
    made = intake(tmp_path)
    before = taken(made, **TOUCH, partner_id="anna", user_agent=AGENT)
    path = tmp_path / FILE
    keys = read_key_file(path)
    after = forgotten(keys, [("session", SESSION), ("customer", "x")], "an operator", NOW)
    assert [(e.kind, e.by, e.at) for e in after.erasures] == [
        ("session", "an operator", NOW),
        ("customer", "an operator", NOW),
    ]
    assert forgotten(after, [("session", SESSION)], "an operator", NOW) == after
    replace_key_file(path, after)
    assert read_key_file(path) == after
    edge = edge_of(EdgeConfig(), PrivacyConfig(), tmp_path)
    assert not edge.may_join(SESSION)
    assert edge.may_join("018f3c1e-0000-7000-8000-000000000002")
    later = Intake(KEYS, lambda _: INDEX, edge.keeper)
    click = taken(later, **TOUCH, partner_id="anna", user_agent=AGENT, ip="203.0.113.9", gclid="abc")
    sale = taken(later, **SALE, order_id="1", customer_id="x")
    assert isinstance(before, Click)
    assert isinstance(click, Click)
    assert isinstance(sale, Conversion)
    assert after.sealer().open(SESSION, before.params[SEALED]) is None
    assert (click.user_agent, click.ip, dict(click.params)) == (None, None, {})
    assert (sale.customer_id, dict(sale.params)) == (None, {})


def test_a_damaged_key_file_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / FILE
    for damage in ("", "{}", '{"salt": "00", "nodes": {}, "erasures": []}', "[]"):
        path.write_text(damage)
        with pytest.raises(ValueError, match=r".+"):
            read_key_file(path)
    path.unlink()
    make_key_file(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert isinstance(read_key_file(path), KeyFile)


def click_id_at(at: int) -> str:
    return KEYS.mint(session_key(SESSION), at, "shop", b"e" * 6)


@pytest.mark.parametrize(
    ("fields", "flags"),
    [
        ({}, None),
        ({"country": "DE"}, None),
        ({"country": "QQ"}, "impossible_country"),
        ({"country": "DE", "ip": "81.2.69.142"}, "impossible_country"),
        ({"country": "GB", "ip": "81.2.69.142"}, None),
        ({"click_id": click_id_at(NOW - 1_800_000 - 1_999)}, "too_fast"),
        ({"click_id": click_id_at(NOW - 1_800_000 - 2_000)}, None),
        ({"click_id": click_id_at(NOW - 1_000)}, "before_click"),
    ],
)
def test_conversions_are_flagged_for_review(tmp_path: Path, fields: dict[str, str], flags: str | None) -> None:
    sale = taken(intake(tmp_path), **SALE, order_id="1", **fields)
    assert isinstance(sale, Conversion)
    assert sale.params.get(REVIEW) == flags


def test_an_adjustment_keeps_no_parameter_that_would_be_sealed(tmp_path: Path) -> None:
    fields = {**SALE, "type": "adjustment", "action": "reject", "order_id": "1", "utm_source": "mail", "who": "Jo"}
    found = taken(intake(tmp_path), **fields)
    assert isinstance(found, Adjustment)
    assert found.params == {"utm_source": "mail"}


def test_a_dead_letter_names_no_person(tmp_path: Path) -> None:
    made = intake(tmp_path)
    event = {**TOUCH, "offer_id": "nowhere", "ip": "203.0.113.9", "user_agent": AGENT, "customer_id": "jo@x.example"}
    original = orjson.dumps(event)
    error = InvalidEvent("INVALID_FIELD", "session_id", "'jo@x.example' is not a UUID")
    letter = decode(made.refuse(error, original, now=NOW, door="bulk").value)
    assert isinstance(letter, DeadLetter)
    for gone in (b"203.0.113.9", b"Firefox", b"jo@x"):
        assert gone not in letter.original
    assert "jo@x" not in letter.detail
    kept = orjson.loads(letter.original)
    assert {n: v for n, v in kept.items() if n not in ("ip", "user_agent", "customer_id")} == {
        **TOUCH,
        "offer_id": "nowhere",
    }
    # Taken again, it is the same customer.
    sealer = read_key_file(tmp_path / FILE).sealer()
    assert sealer.is_pseudonym(kept["customer_id"])


@pytest.mark.parametrize(
    ("original", "kept"),
    [
        (b"GET /pb?order_id=A-1&ip=203.0.113.9&goal=sale", b"GET /pb?order_id=A-1&ip=203.0.113.0&goal=sale"),
        (b'{"ip":"2001:db8:1:2:3:4:5:6"}', b'{"ip":"2001:db8:1::"}'),
        (b'{"occurred_at":"2026-05-01T10:00:00+02:00"}', b'{"occurred_at":"2026-05-01T10:00:00+02:00"}'),
        (b'{"user_agent":"a \\" b","amount":"1.5"}', b'{"user_agent":"","amount":"1.5"}'),
        (b"GET /c/x?user_agent=Mozilla%2F5.0&sub1=a", b"GET /c/x?user_agent=&sub1=a"),
        (b"\xff\x00 not text", b"\xff\x00 not text"),
    ],
)
def test_redaction_leaves_the_rest_byte_for_byte(original: bytes, kept: bytes) -> None:
    assert redacted(original, None) == kept
