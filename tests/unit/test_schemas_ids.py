"""Ids: what they contain, what cannot be forged, what stays the same for ever."""

from __future__ import annotations

import hashlib
import os
import uuid
from base64 import urlsafe_b64decode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import ids
from schemas.errors import InvalidClickId

OLD = ids.ClickIdKeys(1, {1: b"old secret"})
ROTATED = ids.ClickIdKeys(2, {1: b"old secret", 2: b"new secret"})
NEW_ONLY = ids.ClickIdKeys(2, {2: b"new secret"})
SESSION = uuid.UUID("018f3c1e-0000-7000-8000-000000000001").bytes


@given(st.binary(min_size=16, max_size=16), st.integers(0, 2**48 - 1), st.text(min_size=1, max_size=20))
def test_a_click_id_says_session_time_and_advertiser(session: bytes, at: int, advertiser: str) -> None:
    text = OLD.mint(session, at, advertiser, os.urandom(6))
    parts = OLD.verify(text)
    assert len(text) == ids.CLICK_ID_LENGTH
    assert (ids.session_key(parts.session_id), parts.clicked_at) == (session, at)
    assert parts.advertiser_tag == ids.advertiser_tag(advertiser)
    assert ids.read_click_id(text) == parts


def test_keys_rotate() -> None:
    text = OLD.mint(SESSION, 5, "shop", b"random")
    assert ROTATED.verify(text) == OLD.verify(text)
    with pytest.raises(InvalidClickId, match="key 1"):
        NEW_ONLY.verify(text)
    assert NEW_ONLY.verify(ROTATED.mint(SESSION, 5, "shop", b"random"))


@pytest.mark.parametrize("length", [1, 32, 33, 200])
def test_the_signature_is_keyed_blake2s(length: int) -> None:
    """Under the secret, or under its hash where it is longer than such a key may be."""
    secret = bytes(range(length))
    raw = urlsafe_b64decode(ids.ClickIdKeys(7, {7: secret}).mint(SESSION, 5, "shop", b"random"))
    key = secret if length <= 32 else hashlib.blake2s(secret).digest()
    assert raw[:33] == b"\7" + SESSION + bytes(5) + b"\5random" + ids.advertiser_tag("shop")
    assert raw[33:] == hashlib.blake2s(raw[:33], key=key, digest_size=12, person=b"click id").digest()


@given(st.integers(0, ids.CLICK_ID_LENGTH - 1), st.characters(codec="ascii"))
def test_no_changed_character_passes(position: int, other: str) -> None:
    text = OLD.mint(SESSION, 5, "shop", b"random")
    forged = text[:position] + other + text[position + 1 :]
    if forged != text:
        with pytest.raises(InvalidClickId) as caught:
            OLD.verify(forged, "transaction_id")
        assert caught.value.field == "transaction_id"


@given(st.text(max_size=80))
def test_any_text_is_refused_clearly(text: str) -> None:
    with pytest.raises(InvalidClickId):
        OLD.verify(text)


def test_the_same_order_is_the_same_conversion() -> None:
    assert ids.conversion_id("a", "sale", "7", "click") == ids.conversion_id("a", "sale", "7", None)
    assert ids.conversion_id("a", "sale", "7", None) != ids.conversion_id("a", "lead", "7", None)
    assert ids.conversion_id("ab", "c", "7", None) != ids.conversion_id("a", "bc", "7", None)
    assert ids.conversion_id("a", "sale", None, "k") != ids.conversion_id("a", "sale", "k", None)
    with pytest.raises(ValueError, match="order_id or a click_id"):
        ids.conversion_id("a", "sale", None, None)


def test_sessions_are_uuids() -> None:
    made = uuid.UUID(ids.new_session_id(1_700_000_000_000, os.urandom(10)))
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert made.int >> 80 == 1_700_000_000_000
    assert uuid.UUID(ids.session_of_conversion("00ff")).version == 8
    assert ids.session_text(ids.session_key(str(made))) == str(made)
