"""The questions that doors ask about a sender. Who is not let in gets a Refusal: 401, 403 or 429."""

from __future__ import annotations

import time
from base64 import b64decode
from collections.abc import Callable, Mapping
from http import HTTPStatus
from math import ceil
from typing import Any

import structlog

from ingest.access.book import PostbackAuth
from ingest.access.config import AccessConfig
from ingest.access.follow import Access
from ingest.access.limits import TokenBuckets, limited_name
from ingest.access.postback_auth import SECRET_PARAMETERS, check_postback
from ingest.access.secrets import same, split_key
from ingest.access.sender import ANYONE, Sender
from ingest.errors import Refusal
from ingest.http import CHALLENGE, Scope, address_of
from ingest.seldom import Seldom
from schemas.errors import InvalidEvent

__all__ = ["SECRET_PARAMETERS", "Gate", "Sender"]

log = structlog.get_logger(__name__)

OPEN = PostbackAuth()


def clock() -> int:
    return time.time_ns() // 1_000_000


class Gate:
    """Asks for keys where the installation has any, or is in production. One per process."""

    def __init__(
        self,
        config: AccessConfig | None = None,
        access: Callable[[], Access] = Access,
        now: Callable[[], int] = clock,
    ) -> None:
        """``access`` gives the keys and secrets of this moment."""
        self._config = config = config or AccessConfig()
        self._access = access
        self._now = now
        self._no_key, self._no_scope, self._no_proof, self._no_pixel = Seldom(), Seldom(), Seldom(), Seldom()
        self._of_key = None if config.per_key is None else TokenBuckets(config.per_key)
        self._of_address = None if config.per_address is None else TokenBuckets(config.per_address)

    def admit(self, scope: Scope, now: int) -> None:
        """The limit per address: 429. Asked first by every door whose sender may be refused: postbacks, pixels.

        Tracking links, impressions and short links do not ask: a visitor is never refused, the edge flags a flood.
        """
        if self._of_address is not None:
            name = limited_name(address_of(scope))
            if name is not None:
                take(self._of_address, name, "address", now)

    def bulk(self, scope: Scope, permission: str, key: str | None = None) -> Sender:
        """A server-to-server request; ``permission`` is what its key must carry, like ``events:write``.

        The key comes as ``Authorization: Bearer``, as the user or password of ``Basic`` (Segment's way), or as
        ``X-Api-Key``; ``key`` is one that the door found elsewhere (Segment's ``writeKey`` in the body). The limits
        per address and per key are asked in here. Ask ``may_send`` of the Sender for each event.
        """
        now = self._now()
        self.admit(scope, now)
        access = self._access()
        if not access.keys and not self._config.production:
            return ANYONE
        sender = self._known(access, key or brought_key(scope), now)
        if self._of_key is not None and sender.key_id is not None:
            take(self._of_key, sender.key_id, "key", now)
        if permission not in sender.scopes:
            detail = f"this key has no scope {permission}"
            if times := self._no_scope.due():
                log.info("sender_refused", key=sender.key_id, sender=sender.name, missing=permission, times=times)
            raise Refusal(HTTPStatus.FORBIDDEN, "NOT_PERMITTED", detail)
        return sender

    def postback(self, scope: Scope, given: Mapping[str, Any], body: bytes, advertiser_id: str, now: int) -> None:
        """A conversion reported by an advertiser's server, with all its parameters and its raw body.

        InvalidEvent, so that the postback is kept as a dead letter and can be sent again once the secret is mended.
        """
        auth = self._access().advertisers.get(advertiser_id, OPEN)
        try:
            if not auth.proves and self._config.production:
                detail = f"nothing is set up to prove postbacks of {advertiser_id}; ask the operator for a token"
                raise InvalidEvent("POSTBACK_AUTH_MISSING", "advertiser_id", detail)
            check_postback(auth, scope, given, body, now=now, window_s=self._config.signature_window_s)
        except InvalidEvent as error:
            if times := self._no_proof.due():
                log.warning("postback_refused", advertiser=advertiser_id, reason=error.reason, times=times)
            raise

    def pixel(self, scope: Scope, advertiser_id: str, now: int) -> None:
        """A conversion reported from a visitor's browser (image, iframe, script), where no secret can be kept.

        InvalidEvent ``PIXEL_NOT_ALLOWED`` where the advertiser's are refused: by its entry, else in production and
        where its postbacks have to prove themselves, which a pixel would be the way around.
        """
        auth = self._access().advertisers.get(advertiser_id, OPEN)
        allowed = auth.pixel if auth.pixel is not None else not (self._config.production or auth.proves)
        if not allowed:
            if times := self._no_pixel.due():
                log.warning("pixel_refused", advertiser=advertiser_id, times=times)
            detail = f"{advertiser_id}'s conversions are not taken from browsers; the operator can allow it"
            raise InvalidEvent("PIXEL_NOT_ALLOWED", "advertiser_id", detail)

    def _known(self, access: Access, key: str | None, now: int) -> Sender:
        """Whose the key is. Refusal 401, which does not say what was wrong with it."""
        parts = split_key(key) if key else None
        found = access.keys.get(parts[0]) if parts is not None else None
        if parts is None or found is None or not same(parts[1], found.sha256) or found.state(now) != "live":
            known = found.id if found is not None else None
            if times := self._no_key.due():
                log.info("sender_refused", key=known, brought=key is not None, times=times)
            detail = "a valid API key is required: Authorization: Bearer ak_…"
            raise Refusal(HTTPStatus.UNAUTHORIZED, "UNAUTHORIZED", detail, headers=[CHALLENGE])
        return access.senders[found.id]


def brought_key(scope: Scope) -> str | None:
    """The API key of a request's headers."""
    authorization = scope.headers.get("authorization") or ""
    kind, _, value = authorization.partition(" ")
    if kind.lower() == "bearer":
        return str(value).strip()
    if kind.lower() == "basic":
        try:
            user, _, password = b64decode(value.strip(), validate=True).decode().partition(":")
        except ValueError:
            return None
        return user if split_key(user) is not None else password
    found = scope.headers.get("x-api-key")
    return found.strip() if isinstance(found, str) else None


def take(buckets: TokenBuckets, name: str, whose: str, now: int) -> None:
    """One from the bucket. Refusal 429 with when to come again (draft-ietf-httpapi-ratelimit-headers)."""
    wait_s = buckets.take(name, now)
    if not wait_s:
        return
    limit, seconds = buckets.limit, max(ceil(wait_s), 1)
    window = max(ceil(limit.burst / limit.per_second), 1)
    headers = [
        ("retry-after", str(seconds)),
        ("ratelimit-policy", f'"{whose}";q={limit.burst};w={window}'),
        ("ratelimit", f'"{whose}";r=0;t={seconds}'),
    ]
    detail = f"more than {limit.per_second:g} requests a second of one {whose}; come again in {seconds} s"
    raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, "RATE_LIMITED", detail, headers=headers)
