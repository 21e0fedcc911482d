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
NAMES = st.sampled_from(
    ["customer", "email", "customer_id", "order_id", "adv1", "promo_code", "goal", "amount", "currency", "country"]
    + ["status", "user_email", "note"]
)
SECRET_NAMES = st.sampled_from(["token", "security_token", "verification_token", "api_key", "Signature", "a_secret"])
