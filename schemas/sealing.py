"""Personal fields sealed per subject, so that a subject is forgotten by destroying one key (docs/adr/012-erasure.md).

What is sealed stays in the log for ever and is read by nobody without its subject's key. Subjects are sessions and
customers. A customer goes by a pseudonym made with its key: the same for all its orders, and computed by nobody any
more once the key is gone.
"""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode
from binascii import b2a_base64
from collections.abc import Mapping
from hashlib import blake2s
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from schemas.ids import URL_SAFE
from schemas.key_tree import DEPTH, KeyTree

SEALED: Final = "accredit_sealed"
"""The name in a record's ``params`` under which its sealed fields stand."""
VERSION: Final = "1"
NONCE_BYTES: Final = 12
KEYS_KEPT: Final = 16
"""Enough to derive the key of one request once; more would be ciphers that are cold when they are used again."""
PSEUDONYM_BYTES: Final = 24
CHECK_BYTES: Final = 8


class Sealer:
    """Seals and opens under the keys of a tree. ``salt``: 16 secret bytes that keep subjects' names out of paths."""

    def __init__(self, tree: KeyTree, salt: bytes) -> None:
        self.tree = tree
        self._salt = salt
        self._of_session: dict[str, tuple[bytes, AESGCM] | None] = {}

    def leaf(self, kind: str, name: str) -> str:
        """Where the subject's key is in the tree. ``kind``: session or customer."""
        return blake2s(self._salt + f"{kind}\0{name}".encode(errors="replace")).hexdigest()[:DEPTH]

    def knows(self, session_id: str) -> bool:
        """False for a session that was forgotten."""
        return self._session_key(session_id) is not None

    def seal(self, session_id: str, fields: Mapping[str, Any]) -> str | None:
        """The fields as one text; None for a session that was forgotten: then they are kept nowhere.

        The nonce is a keyed hash of the content: the same event sealed twice is the same bytes.
        """
        found = self._session_key(session_id)
        if found is None:
            return None
        key, cipher = found
        content = orjson.dumps(fields)
        nonce = blake2s(key + content).digest()[:NONCE_BYTES]
        sealed = b2a_base64(nonce + cipher.encrypt(nonce, content, None), newline=False)
        return VERSION + sealed.translate(URL_SAFE).decode()

    def open(self, session_id: str, text: str) -> dict[str, Any] | None:
        """The fields; None when the session was forgotten, or the text is none of ours."""
        found = self._session_key(session_id)
        if found is None or not text.startswith(VERSION):
            return None
        try:
            raw = urlsafe_b64decode(text[len(VERSION) :])
            opened = orjson.loads(found[1].decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], None))
        except (ValueError, InvalidTag):
            return None
        return opened if isinstance(opened, dict) else None

    def pseudonym(self, customer: str) -> str | None:
        """64 hex digits for a customer's name; None for one that was forgotten. A pseudonym stays what it is."""
        if self.is_pseudonym(customer):
            return customer
        key = self.tree.key(self.leaf("customer", customer))
        if key is None:
            return None
        name = hashlib.sha256(key + customer.encode(errors="replace")).digest()[:PSEUDONYM_BYTES]
        return (name + self._check(name)).hex()

    def is_pseudonym(self, text: str) -> bool:
        """Whether `pseudonym` made it."""
        if len(text) != 2 * (PSEUDONYM_BYTES + CHECK_BYTES):
            return False
        try:
            raw = bytes.fromhex(text)
        except ValueError:
            return False
        return raw[PSEUDONYM_BYTES:] == self._check(raw[:PSEUDONYM_BYTES])

    def daily(self, day: int, text: str) -> str:
        """A keyed hash that is another one every day (``day`` counts from the epoch): 32 hex digits."""
        salt = hashlib.sha256(self._salt + f"day\0{day}".encode()).digest()
        return hashlib.sha256(salt + text.encode()).hexdigest()[:32]

    def _check(self, name: bytes) -> bytes:
        return hashlib.sha256(self._salt + b"pseudonym\0" + name).digest()[:CHECK_BYTES]

    def _session_key(self, session_id: str) -> tuple[bytes, AESGCM] | None:
        kept = self._of_session
        if session_id in kept:
            return kept[session_id]
        if len(kept) >= KEYS_KEPT:
            kept.clear()
        key = self.tree.key(self.leaf("session", session_id))
        found = kept[session_id] = None if key is None else (key, AESGCM(key))
        return found
