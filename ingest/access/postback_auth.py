"""How an advertiser's server proves that a postback is its own: a token, a signature with a time, an address.

What is signed, with HMAC-SHA-256 under the secret's bytes, is these lines, joined by ``\\n``::

    v1
    1767225600                 X-Accredit-Timestamp, seconds since the epoch
    POST                       the method
    /pb                        the path
    order_id=7&amount=5        the query string as it is sent, empty if there is none
    e3b0c44298fc1c149afb…      SHA-256 of the body as it is sent, in hex

and goes into ``X-Accredit-Signature: v1=HEX``. A copy that is sent again inside the window is the same conversion,
and therefore a duplicate: nothing needs to remember what was seen.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from ingest.access.book import PostbackAuth
from ingest.access.secrets import same
from ingest.http import Scope, address_of
from schemas.errors import InvalidEvent

SECRET_PARAMETERS = frozenset({"token", "security_token"})
"""Where a token comes as a parameter. A door drops these names from what it keeps (``params``)."""
TOKEN_HEADER = "x-accredit-token"
TIMESTAMP_HEADER = "x-accredit-timestamp"
SIGNATURE_HEADER = "x-accredit-signature"


def check_postback(
    auth: PostbackAuth, scope: Scope, given: Mapping[str, Any], body: bytes, *, now: int, window_s: int
) -> None:
    """InvalidEvent ``POSTBACK_ADDRESS``, ``POSTBACK_TOKEN`` or ``POSTBACK_SIGNATURE`` unless all of it holds."""
    if auth.addresses and not from_one_of(auth, address_of(scope)):
        raise InvalidEvent("POSTBACK_ADDRESS", None, "postbacks of this advertiser do not come from this address")
    if auth.tokens and not has_token(auth, scope, given, now):
        detail = "the advertiser's token is missing or wrong: send it as X-Accredit-Token, or as token="
        raise InvalidEvent("POSTBACK_TOKEN", "token", detail)
    if auth.hmac:
        check_signature(auth, scope, body, now, window_s)


def from_one_of(auth: PostbackAuth, address: str) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return any((mapped or found) in network for network in auth.addresses)


def has_token(auth: PostbackAuth, scope: Scope, given: Mapping[str, Any], now: int) -> bool:
    brought = [scope.headers.get(TOKEN_HEADER), *(given.get(name) for name in SECRET_PARAMETERS)]
    live = [token.sha256 for token in auth.tokens if token.live(now)]
    # no short cut: how long it takes says nothing about which one fits
    return sum(same(text, sha256) for text in brought if isinstance(text, str) for sha256 in live) > 0


def check_signature(auth: PostbackAuth, scope: Scope, body: bytes, now: int, window_s: int) -> None:
    timestamp = scope.headers.get(TIMESTAMP_HEADER) or ""
    signature = scope.headers.get(SIGNATURE_HEADER) or ""
    if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 12):
        detail = "X-Accredit-Timestamp is required: seconds since the epoch"
        raise InvalidEvent("POSTBACK_SIGNATURE", None, detail)
    apart = abs(now // 1_000 - int(timestamp))
    if apart > window_s:
        detail = f"X-Accredit-Timestamp is {apart} s from our clock; {window_s} s are allowed"
        raise InvalidEvent("POSTBACK_SIGNATURE", None, detail)
    signed = canonical(timestamp, scope.method, scope.path, scope.query_string, body)
    version, _, given = signature.partition("=")
    fits = sum(
        hmac.compare_digest(signature_of(each.secret, signed).encode(), given.strip().lower().encode(errors="replace"))
        for each in auth.hmac
        if each.live(now)
    )
    if version != "v1" or not fits:
        detail = "X-Accredit-Signature is missing or wrong: v1= and the HMAC-SHA-256 of the canonical string, in hex"
        raise InvalidEvent("POSTBACK_SIGNATURE", None, detail)


def canonical(timestamp: str, method: str, path: str, query_string: str, body: bytes) -> bytes:
    """The bytes that are signed."""
    digest = hashlib.sha256(body).hexdigest()
    return "\n".join(("v1", timestamp, method, path, query_string, digest)).encode(errors="replace")


def signature_of(secret: str, signed: bytes) -> str:
    """HMAC-SHA-256 in hex. ``secret`` is hex."""
    return hmac.new(bytes.fromhex(secret), signed, "sha256").hexdigest()
