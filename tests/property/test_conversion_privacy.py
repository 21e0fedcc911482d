"""Wherever an e-mail address or a secret stands in a conversion link's request, no byte of it is published."""

from __future__ import annotations

from urllib.parse import quote

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.front_door import KEYS, NOW, FrontDoor

TID = KEYS.mint(bytes(16), NOW - 1_000, "shop", b"123456")
ADDRESS = "Quirin.Zz@mail.example"
SECRET = "hush-hush"
OURS = ["customer", "email", "customer_id", "order_id", "adv1", "promo_code", "goal", "amount", "currency", "status"]
NAMES = st.sampled_from([*OURS, "user_email", "note", "x"])
SECRET_NAMES = st.sampled_from(["token", "security_token", "verification_token", "api_key", "Signature", "a_secret"])
AROUND = st.text(st.sampled_from(" ,;:<>()[]{}\"'&=?/%+0aé\n"), max_size=4)
VALUES = st.builds(lambda before, after: f"{before}{ADDRESS}{after}", AROUND, AROUND)
REST = st.dictionaries(
    st.sampled_from(["order_id", "advertiser_id", "transaction_id", "amount"]),
    st.sampled_from(["7", "shop", TID, "ten", "\x00", "é"]),
)


def published(door: FrontDoor) -> bytes:
    return b"".join(message.value for message in door.publisher.messages).lower()


@given(name=NAMES, value=VALUES, secret_name=SECRET_NAMES, rest=REST, path=st.sampled_from(["/pb", "/px", "/aff_lsr"]))
@settings(max_examples=150, deadline=None)
def test_no_address_and_no_secret_is_published(
    name: str, value: str, secret_name: str, rest: dict[str, str], path: str
) -> None:
    params = {**rest, name: value, secret_name: SECRET}
    query = "&".join(f"{quote(key)}={quote(text)}" for key, text in params.items())
    encoded = orjson.dumps(params)
    json = [("content-type", "application/json")]
    requests = [
        ("GET", f"{path}?{query}", b"", []),
        ("POST", path, query.encode(), [("content-type", "application/x-www-form-urlencoded")]),
        ("POST", path, encoded, json),
        ("POST", path, orjson.dumps({"amount": "x", "deep": [params, {"deeper": params}]}), json),
        ("POST", path, encoded[:-1], json),
        ("POST", path, query.encode(), [("content-type", "text/csv")]),
    ]
    for method, url, body, headers in requests:
        door = FrontDoor()
        assert door.ask(method, url, body, headers).status < 500
        found = published(door)
        assert b"quirin" not in found, (method, url, body)
        assert SECRET.encode() not in found, (method, url, body)
