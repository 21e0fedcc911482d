"""API keys and tokens: made, taken apart, hashed, compared.

A key is ``ak_ID_SECRET``: the id (12 hex digits) is public and finds the record, the secret is 256 random bits. With
that much entropy one SHA-256 is as good at rest as a slow hash, which would cost each request its milliseconds.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import NamedTuple

KEY = re.compile(r"ak_([0-9a-f]{12})_([A-Za-z0-9_-]{43})")
ID_BYTES = 6
SECRET_BYTES = 32


class NewKey(NamedTuple):
    """``text`` is shown once and kept nowhere."""

    id: str
    text: str
    sha256: str


def digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="surrogatepass")).hexdigest()


def new_key() -> NewKey:
    """A fresh key."""
    key_id, secret = secrets.token_hex(ID_BYTES), secrets.token_urlsafe(SECRET_BYTES)
    return NewKey(key_id, f"ak_{key_id}_{secret}", digest(secret))


def new_token() -> NewKey:
    """A fresh token for postbacks; it has an id only to be told apart in a list."""
    text = secrets.token_urlsafe(SECRET_BYTES)
    return NewKey(secrets.token_hex(ID_BYTES), text, digest(text))


def split_key(text: str) -> tuple[str, str] | None:
    """Id and secret of what has a key's form."""
    found = KEY.fullmatch(text)
    return None if found is None else (found[1], found[2])


def same(secret: str, sha256: str) -> bool:
    """Whether the hash is the secret's, in constant time."""
    return hmac.compare_digest(digest(secret), sha256)


def masked(text: bytes) -> bytes:
    """``text`` with the secret part of every key in it gone."""
    return KEY_BYTES.sub(rb"ak_\1_***", text) if b"ak_" in text else text


KEY_BYTES = re.compile(rb"ak_([0-9a-f]{12})_[A-Za-z0-9_-]{8,}")
