"""Ids: sessions, signed click ids, conversions (DESIGN 3). All functions are pure: clock and entropy come in.

A click id is 60 characters of URL-safe base64 over 45 bytes::

    key id 1 | session 16 | milliseconds 6 | random 6 | advertiser tag 4 | MAC 12

The MAC is keyed BLAKE2s (RFC 7693) over all before it. The key id allows rotation: ids signed with an older
key verify as long as that key is kept. The advertiser tag lets a postback name nothing but the transaction id.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import b2a_base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from hashlib import blake2s
from struct import Struct
from typing import Any, Final

from schemas.errors import InvalidClickId

CLICK_ID_LENGTH: Final = 60
ENTROPY_SESSION: Final = 10
ENTROPY_CLICK: Final = 6
MAC_BYTES: Final = 12
BODY_BYTES: Final = 33
ENTROPY: Final = Struct(">HQ")
UUID7: Final = Struct(">QQ")
UUID7_VERSION: Final = 0x7 << 12
UUID7_VARIANT: Final = 0x2 << 62
"""What tells a UUIDv7 (RFC 9562): before 12 random bits, and before 62."""
URL_SAFE: Final = bytes.maketrans(b"+/", b"-_")


def new_session_key(at: int, entropy: bytes) -> bytes:
    """The 16 bytes of a UUIDv7 (RFC 9562) for the millisecond ``at`` from 10 bytes of entropy."""
    few, many = ENTROPY.unpack(entropy)
    return UUID7.pack(at << 16 | UUID7_VERSION | few & 0xFFF, UUID7_VARIANT | many & (1 << 62) - 1)


def new_session_id(at: int, entropy: bytes) -> str:
    """The text of a session that begins at the millisecond ``at``, from 10 bytes of entropy."""
    return session_text(new_session_key(at, entropy))


def session_key(session_id: str) -> bytes:
    """The 16 bytes of a session, which key its records in Kafka."""
    return bytes.fromhex(session_id.replace("-", ""))


def session_text(key: bytes) -> str:
    """The canonical text of 16 session bytes, as UUID writes it."""
    text = key.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


@lru_cache(maxsize=4_096)
def advertiser_tag(advertiser_id: str) -> bytes:
    """Four bytes that name an advertiser inside a click id."""
    return hashlib.blake2b(advertiser_id.encode(), digest_size=4, person=b"accredit-adv").digest()


@dataclass(frozen=True, slots=True)
class ClickIdParts:
    """What a verified click id says. ``session_id`` is UUID text, ``clicked_at`` milliseconds."""

    session_id: str
    clicked_at: int
    advertiser_tag: bytes


def read_click_id(text: str) -> ClickIdParts:
    """Take a click id apart *without* checking its signature. InvalidClickId if it has not the form of one of ours."""
    body, _ = split_click_id(text, "click_id")
    return ClickIdParts(session_text(body[1:17]), int.from_bytes(body[17:23], "big"), body[29:33])


def split_click_id(text: str, field: str) -> tuple[bytes, bytes]:
    """Body and MAC of a click id's text."""
    if len(text) != CLICK_ID_LENGTH:
        raise InvalidClickId(f"a transaction id of ours has {CLICK_ID_LENGTH} characters, this one {len(text)}", field)
    try:
        raw = urlsafe_b64decode(text.encode("ascii"))
    except ValueError:
        raise InvalidClickId("not a transaction id of ours", field) from None
    if len(raw) != BODY_BYTES + MAC_BYTES or urlsafe_b64encode(raw) != text.encode():
        raise InvalidClickId("not a transaction id of ours", field)
    return raw[:BODY_BYTES], raw[BODY_BYTES:]


@cache
def keyed(secret: bytes) -> Any:
    """The MAC begun with a key, to be copied: half the price of HMAC-SHA-256."""
    key = secret if len(secret) <= blake2s.MAX_KEY_SIZE else blake2s(secret).digest()
    return blake2s(key=key, digest_size=MAC_BYTES, person=b"click id")


@dataclass(frozen=True, slots=True)
class ClickIdKeys:
    """The signing keys: ``current`` signs, every key of ``keys`` (id 0–255 → secret) verifies."""

    current: int
    keys: Mapping[int, bytes]

    def mint(self, session: bytes, at: int, advertiser_id: str, entropy: bytes) -> str:
        """A new click id for 16 session bytes, the click's millisecond and 6 bytes of entropy."""
        signer = self.current.to_bytes(1, "big")
        body = b"".join(
            (signer, session, at.to_bytes(6, "big"), entropy[:ENTROPY_CLICK], advertiser_tag(advertiser_id))
        )
        return b2a_base64(body + self.mac(self.current, body), newline=False).translate(URL_SAFE).decode()

    def mac(self, key_id: int, body: bytes) -> bytes:
        state = keyed(self.keys[key_id]).copy()
        state.update(body)
        found: bytes = state.digest()
        return found

    def verify(self, text: str, field: str = "click_id") -> ClickIdParts:
        """The parts of a click id that we signed. InvalidClickId names ``field`` and what is wrong otherwise."""
        body, mac = split_click_id(text, field)
        if body[0] not in self.keys:
            raise InvalidClickId(f"signed with key {body[0]}, which is not known here", field)
        if not hmac.compare_digest(mac, self.mac(body[0], body)):
            raise InvalidClickId("the signature does not match: not a transaction id of ours", field)
        return ClickIdParts(session_text(body[1:17]), int.from_bytes(body[17:23], "big"), body[29:33])


def digest_of(person: bytes, parts: Iterable[str]) -> bytes:
    """16 bytes of BLAKE2b over length-prefixed parts, so that no two lists of parts collide by concatenation."""
    joined = "".join([f"{len(part)}:{part}" for part in parts])
    return hashlib.blake2b(joined.encode(), digest_size=16, person=person).digest()


TOUCH: Final = hashlib.blake2b(digest_size=16, person=b"touch")


def conversion_id(advertiser_id: str, goal: str, order_id: str | None, click_id: str | None) -> str:
    """The same order is the same conversion for ever: 32 hex digits. ValueError without order id and click id."""
    if order_id is not None:
        return digest_of(b"order", (advertiser_id, goal, order_id)).hex()
    if click_id is None:
        raise ValueError("a conversion needs an order_id or a click_id")
    return digest_of(b"click-goal", (click_id, goal)).hex()


def session_of_conversion(of_conversion: str) -> str:
    """The session of a conversion that brings none: UUIDv8 text derived from its own id."""
    value = int.from_bytes(digest_of(b"session", (of_conversion,)), "big")
    value = value & ~(0xF << 76) | (0x8 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return session_text(value.to_bytes(16, "big"))


def touch_id(kind: str, session_id: str, occurred_at: int, offer_id: str, partner_id: str) -> str:
    """The click id of a touch whose sender gave none: the same touch gets the same one (RULES 2, details)."""
    at = str(occurred_at)
    # What ``digest_of`` would say, written out: it is asked for every touch that is loaded.
    state = TOUCH.copy()
    state.update(
        f"{len(kind)}:{kind}{len(session_id)}:{session_id}{len(at)}:{at}"
        f"{len(offer_id)}:{offer_id}{len(partner_id)}:{partner_id}".encode()
    )
    return state.hexdigest()
