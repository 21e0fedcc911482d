"""Who is let in: keys, scopes, tenants, postback proofs, limits; nothing secret in what is kept."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64encode
from ipaddress import ip_network
from typing import Any

import orjson
import pytest
import structlog

from ingest.access.book import AccessBook, ApiKey, PostbackAuth, SigningSecret, Token
from ingest.access.config import AccessConfig, RateLimit
from ingest.access.follow import Access
from ingest.access.gate import Gate
from ingest.access.secrets import NewKey, masked, new_key, new_token
from ingest.config import IngestConfig
from schemas.records import Conversion, DeadLetter
from tests.support.front_door import KEYS, NOW, SESSION, FrontDoor, Said

TID = KEYS.mint(bytes.fromhex(SESSION.replace("-", "")), NOW - 1_000, "shop", b"123456")
CLICK = {"type": "click", "session_id": SESSION, "occurred_at": "2026-05-10T11:00:00Z", "offer_id": "shoes"}
SALE = {"type": "conversion", "occurred_at": "2026-05-10T11:30:00Z", "goal": "sale", "order_id": "o-1"}
SECRET = "ab" * 32


def key(kind: str, tenant: str | None, *scopes: str, **more: Any) -> tuple[NewKey, ApiKey]:
    fresh = new_key()
    fields = {"id": fresh.id, "sha256": fresh.sha256, "created_at": 0, "kind": kind, "tenant": tenant, **more}
    return fresh, ApiKey.model_validate({**fields, "scopes": scopes or ("events:write", "adjustments:write")})


def front(book: AccessBook | None = None, **config: Any) -> FrontDoor:
    access = AccessConfig(**config)
    found = Access.of(book or AccessBook())
    return FrontDoor(config=IngestConfig(access=access), gate=Gate(access, lambda: found, lambda: NOW))


def bearer(text: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {text}")]


def send(
    door: FrontDoor, events: list[dict[str, Any]], headers: list[tuple[str, str]], path: str = "/v1/events"
) -> Said:
    return door.ask("POST", path, orjson.dumps(events), headers)


def reasons(said: Said) -> list[str | None]:
    assert said.status == 202, said.body
    return [result.get("reason") for result in said.json["results"]]


ANNA, ANNA_KEY = key("partner", "anna", "events:write")
SHOP, SHOP_KEY = key("advertiser", "shop")
BOSS, BOSS_KEY = key("operator", None)
GONE, GONE_KEY = key("operator", None, revoked_at=NOW - 1)
OLD, OLD_KEY = key("operator", None, expires_at=NOW)
BOOK = AccessBook(keys=(ANNA_KEY, SHOP_KEY, BOSS_KEY, GONE_KEY, OLD_KEY))


def test_without_keys_anyone_may_send_and_in_production_nobody() -> None:
    assert reasons(send(front(), [{**CLICK, "partner_id": "x"}], [])) == [None]
    said = send(front(production=True), [{**CLICK, "partner_id": "x"}], [])
    assert (said.status, said.json["reason"]) == (401, "UNAUTHORIZED")
    assert said.headers["www-authenticate"].startswith("Bearer")


def test_a_revoked_key_does_not_open_the_door_again() -> None:
    assert send(front(AccessBook(keys=(GONE_KEY,))), [CLICK], []).status == 401


@pytest.mark.parametrize(
    "headers",
    [
        [],
        bearer(GONE.text),
        bearer(OLD.text),
        bearer(ANNA.text[:-1] + ("A" if ANNA.text[-1] != "A" else "B")),
        bearer(new_key().text),
        bearer("ak_"),
        bearer("é"),
        [("authorization", "Basic !!!")],
        [("authorization", "Basic")],
        [("x-api-key", "")],
    ],
    ids=["none", "revoked", "expired", "wrong", "unknown", "stub", "letter", "no-base64", "bare", "empty"],
)
def test_what_is_no_valid_key_is_401_and_says_no_more(headers: list[tuple[str, str]]) -> None:
    said = send(front(BOOK), [CLICK], headers)
    assert (said.status, said.json["reason"]) == (401, "UNAUTHORIZED")


@pytest.mark.parametrize(
    "headers",
    [
        bearer(BOSS.text),
        [("x-api-key", BOSS.text)],
        [("authorization", "Basic " + b64encode(f"{BOSS.text}:".encode()).decode())],
        [("authorization", "Basic " + b64encode(f"me:{BOSS.text}".encode()).decode())],
    ],
    ids=["bearer", "header", "basic-user", "basic-password"],
)
def test_a_key_comes_in_the_usual_ways(headers: list[tuple[str, str]]) -> None:
    assert reasons(send(front(BOOK), [{**CLICK, "partner_id": "anna"}], headers)) == [None]


def test_tenants_send_their_own_alone() -> None:
    mine, others = {**CLICK, "partner_id": "anna"}, {**CLICK, "partner_id": "bert"}
    sale, foreign = {**SALE, "advertiser_id": "shop"}, {**SALE, "advertiser_id": "other"}
    adjust = {**sale, "type": "adjustment", "action": "approve"}
    by_id = {"advertiser_id": "shop", "type": "adjustment", "action": "approve", "conversion_id": "0" * 32}
    by_id["occurred_at"] = SALE["occurred_at"]
    everything = [mine, others, sale, foreign, adjust, by_id]
    theirs = "NOT_YOURS"
    anna = reasons(send(front(BOOK), everything, bearer(ANNA.text)))
    assert anna == [None, theirs, theirs, theirs, "NOT_PERMITTED", "NOT_PERMITTED"]
    assert reasons(send(front(BOOK), everything, bearer(SHOP.text))) == [theirs, theirs, None, theirs, None, theirs]
    assert reasons(send(front(BOOK), everything, bearer(BOSS.text))) == [None] * 6


def test_a_key_without_the_scope_is_403() -> None:
    said = send(front(BOOK), [SALE], bearer(ANNA.text), "/v1/adjustments")
    assert (said.status, said.json["reason"]) == (403, "NOT_PERMITTED")
    assert front(BOOK).ask("GET", "/v1/catalog", headers=bearer(BOSS.text)).status == 403


def signed(body: bytes = b"", *, query: str = "", at: int = NOW, secret: str = SECRET, method: str = "POST") -> Any:
    stamp = str(at // 1_000)
    text = "\n".join(("v1", stamp, method, "/pb", query, hashlib.sha256(body).hexdigest()))
    made = hmac.new(bytes.fromhex(secret), text.encode(), "sha256").hexdigest()
    return [("x-accredit-timestamp", stamp), ("x-accredit-signature", f"v1={made}")]


TOKEN, SECOND = new_token(), new_token()
BY_TOKEN = PostbackAuth(
    tokens=(
        Token(id="a", created_at=0, sha256=TOKEN.sha256),
        Token(id="b", created_at=0, sha256=SECOND.sha256, expires_at=NOW),
    )
)
BY_HMAC = PostbackAuth(hmac=(SigningSecret(id="c", created_at=0, secret=SECRET),))
BY_ADDRESS = PostbackAuth(addresses=(ip_network("203.0.113.0/29"), ip_network("2001:db8::/48")))


def shop(auth: PostbackAuth, **config: Any) -> FrontDoor:
    return front(AccessBook(advertisers={"shop": auth}), **config)


def test_production_demands_a_proof() -> None:
    door = front(production=True)
    said = door.ask("GET", f"/pb?transaction_id={TID}")
    assert (said.status, said.json["reason"]) == (403, "POSTBACK_AUTH_MISSING")
    assert shop(BY_TOKEN, production=True).ask("GET", f"/pb?transaction_id={TID}&token={TOKEN.text}").status == 200


def test_tokens() -> None:
    door = shop(BY_TOKEN)
    for query in ("", "&token=wrong", f"&token={SECOND.text}", f"&token={TOKEN.sha256}"):
        said = door.ask("GET", f"/pb?transaction_id={TID}{query}")
        assert (said.status, said.json["reason"], said.json["field"]) == (401, "POSTBACK_TOKEN", "token")
    assert door.ask("GET", f"/pb?transaction_id={TID}&security_token={TOKEN.text}").status == 200
    assert door.ask("GET", f"/pb?transaction_id={TID}", headers=[("x-accredit-token", TOKEN.text)]).status == 200
    assert door.ask("POST", "/pb", f"transaction_id={TID}&token={TOKEN.text}".encode()).status == 200
    for record in door.publisher.records("conversions"):
        assert isinstance(record, Conversion)
        assert not {"token", "security_token"} & set(record.params)


def test_signatures() -> None:
    door, body = shop(BY_HMAC), f"transaction_id={TID}".encode()
    query = "order_id=7&amount=5%20"
    assert door.ask("POST", "/pb", body, signed(body)).status == 200
    assert door.ask("POST", f"/pb?{query}", body, signed(body, query=query)).status == 200
    wrong = [
        signed(body, at=NOW - 301_000),
        signed(body, at=NOW + 301_000),
        signed(body + b"&amount=9"),
        signed(body, query="x=1"),
        signed(body, secret="cd" * 32),
        signed(body, method="GET"),
        signed(body)[:1],
        signed(body)[1:],
        [("x-accredit-timestamp", "1e9"), signed(body)[1]],
        [signed(body)[0], ("x-accredit-signature", signed(body)[1][1].replace("v1", "v0"))],
        [signed(body)[0], ("x-accredit-signature", "v1=é")],
    ]
    for headers in wrong:
        said = door.ask("POST", "/pb", body, headers)
        assert (said.status, said.json["reason"]) == (401, "POSTBACK_SIGNATURE"), headers


def test_addresses_and_all_that_is_set_up_must_hold() -> None:
    url = f"/pb?transaction_id={TID}"
    door = shop(BY_ADDRESS)
    assert door.ask("GET", url, client="203.0.113.6:1").status == 200
    assert door.ask("GET", url, client="[::ffff:203.0.113.6]:1").status == 200
    assert door.ask("GET", url, client="[2001:db8:0:1::5]:1").status == 200
    said = door.ask("GET", url, client="203.0.113.9:1")
    assert (said.status, said.json["reason"]) == (403, "POSTBACK_ADDRESS")
    both = shop(BY_ADDRESS.model_copy(update={"tokens": BY_TOKEN.tokens}))
    assert both.ask("GET", url, client="203.0.113.6:1").status == 401
    assert both.ask("GET", f"{url}&token={TOKEN.text}", client="203.0.113.9:1").status == 403
    assert both.ask("GET", f"{url}&token={TOKEN.text}", client="203.0.113.6:1").status == 200


def test_a_pixel_is_no_way_around_the_proof() -> None:
    url = f"/px.gif?transaction_id={TID}&order_id=1"
    assert front().ask("GET", url).status == 200
    for door in (front(production=True), shop(BY_TOKEN), shop(PostbackAuth(pixel=False))):
        said = door.ask("GET", url)
        assert (said.status, said.json["reason"]) == (403, "PIXEL_NOT_ALLOWED")
    assert shop(BY_TOKEN.model_copy(update={"pixel": True}), production=True).ask("GET", url).status == 200


def test_limit_per_key_and_per_address_is_honest() -> None:
    few = RateLimit(per_second=0.5, burst=3)
    door = front(BOOK, per_key=few)
    assert [send(door, [CLICK], bearer(BOSS.text)).status for _ in range(4)] == [202, 202, 202, 429]
    said = send(door, [CLICK], bearer(BOSS.text))
    assert (said.json["reason"], said.headers["retry-after"]) == ("RATE_LIMITED", "2")
    assert said.headers["ratelimit"] == '"key";r=0;t=2'
    assert said.headers["ratelimit-policy"] == '"key";q=3;w=6'
    assert send(door, [CLICK], bearer(SHOP.text)).status == 202
    door = front(per_address=few)
    asked = [door.ask("GET", f"/pb?transaction_id={TID}").status for _ in range(4)]
    assert asked == [200, 200, 200, 429]
    assert door.ask("GET", f"/pb?transaction_id={TID}", client="203.0.113.10:1").status == 200
    assert door.ask("GET", "/c/shoes?partner=anna").status == 302  # a visitor is never refused


def test_nothing_secret_is_logged_or_kept() -> None:
    secrets = [BOSS.text, GONE.text, TOKEN.text, "wrong-secret-token", SECRET]
    with structlog.testing.capture_logs() as logs:
        door = front(AccessBook(keys=BOOK.keys, advertisers={"shop": BY_TOKEN}))
        send(door, [CLICK], bearer(GONE.text))
        send(door, [{**CLICK, "partner_id": "anna", "note": BOSS.text, "occurred_at": BOSS.text}], bearer(BOSS.text))
        door.ask("POST", "/v1/events", b'{"x": "' + BOSS.text.encode(), bearer(BOSS.text))
        door.ask("GET", f"/pb?transaction_id={TID}&token=wrong-secret-token")
        door.ask("GET", f"/pb?transaction_id={TID}&%74oken={TOKEN.text}&amount=x")
        door.ask("POST", "/pb", orjson.dumps({"transaction_id": TID, "token": TOKEN.text, "amount": "x"}))
        door.ask("POST", "/pb", f"transaction_id=nonsense&security_token={TOKEN.text}".encode())
        door.ask("GET", "/pb?transaction_id=x", headers=[*signed(), ("x-accredit-token", TOKEN.text)])
        door.ask("GET", f"/aff_lsr?transaction_id={TID}&security_token=wrong-secret-token")
    letters = [record for record in door.publisher.records() if isinstance(record, DeadLetter)]
    assert len(letters) >= 7
    kept = b"".join(message.value for message in door.publisher.messages) + repr(logs).encode()
    for secret in secrets:
        assert secret.encode() not in kept
    assert f"ak_{BOSS.id}_***".encode() in kept  # which key it was may be known


def test_masking_leaves_the_rest() -> None:
    assert masked(f"a {BOSS.text} b".encode()) == f"a ak_{BOSS.id}_*** b".encode()
    assert masked(b"ak_nothing") == b"ak_nothing"
