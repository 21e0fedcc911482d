"""Segment's tracking API: ``/v1/track`` and its kin, as server libraries and analytics.js call them.

A ``track`` call whose event name is in ``segment.events`` is a conversion. The section in ingest.yaml::

    segment:
      write_keys: {k1VbX…: shop}           # of browsers: public, so as good as a pixel
      events: {Order Completed: sale, Signed Up: lead}
      fields: {order_id: properties.orderNumber, adv1: [properties.affiliation, context.app.name]}

A server sends an API key of its advertiser's as its write key (user of Basic authentication, or ``writeKey`` in the
body). The session is that of a click id of ours, wherever it stands in the properties, the campaign or the page's URL;
else ``anonymousId``, where it is a UUID. Without an order id and a click id a message is told by its ``messageId``.
"""

from __future__ import annotations

from base64 import b64decode
from functools import partial
from http import HTTPStatus
from typing import Any, NamedTuple

from ingest.bodies import read_body
from ingest.compression import decompressed
from ingest.door import DoorContext
from ingest.edge.visitor import Visitor
from ingest.errors import Refusal
from ingest.http import Answer, Exchange, HeaderList, Scope, json_answer
from ingest.trackers.reading import (
    Ignored,
    conversion_fields,
    find,
    occurred_at,
    own_click_id,
    parse_json,
    query_values,
    time_of,
)
from ingest.trackers.taking import BODY_LIMIT, TrackerIntake
from schemas.customer import without_emails
from schemas.errors import InvalidEvent

DOOR = "segment"
CALLS = {
    **{name: name for name in ("track", "page", "screen", "identify", "group", "alias", "batch")},
    **{name[0]: name for name in ("track", "page", "screen", "identify", "group", "alias", "batch")},
    "import": "batch",
    "m": "metrics",
}
"""Path below ``/v1/`` → call: servers write it out, analytics.js has one letter; ``m`` are its own metrics."""
KINDS = frozenset(CALLS.values())
PATHS = {
    "order_id": ("properties.order_id", "properties.orderId"),
    "amount": ("properties.revenue", "properties.total", "properties.value"),
    "currency": ("properties.currency",),
    "promo_code": ("properties.coupon", "properties.promo_code"),
    "program_id": ("properties.program_id",),
    "offer_id": ("properties.offer_id",),
    "customer_id": ("userId",),
    "session_id": ("properties.session_id", "anonymousId"),
    "user_agent": ("context.userAgent",),
}
CLICK_ID_PATHS = ("click_id", "transaction_id", "clickId", "transactionId", "tid")
CAMPAIGN = ("name", "source", "medium", "term", "content")
ANYWHERE: HeaderList = [("access-control-allow-origin", "*")]
PREFLIGHT: HeaderList = [
    *ANYWHERE,
    ("access-control-allow-methods", "POST"),
    ("access-control-allow-headers", "authorization, content-type, content-encoding"),
    ("access-control-max-age", "86400"),
]


class Caller(NamedTuple):
    """Whose conversions a request reports; ``visitor`` where it comes from a browser."""

    advertiser_id: str | None
    visitor: Visitor | None


class SegmentDoor:
    """Answers ``{"success": true}`` to what it takes or ignores, as SDKs expect, and the truth beside it."""

    methods = ("POST", "OPTIONS")
    paths = tuple(f"/v1/{name}" for name in CALLS)

    def __init__(self, context: DoorContext) -> None:
        self._context = context
        self._config = context.settings.config.segment
        self._events = {" ".join(name.lower().split()): goal for name, goal in self._config.events.items()}
        self._paths = {**PATHS, **self._config.fields}
        self._taking = TrackerIntake(context, DOOR)

    async def __call__(self, scope: Scope, exchange: Exchange) -> Answer:
        if scope.method == "OPTIONS":
            return Answer(HTTPStatus.NO_CONTENT, PREFLIGHT)
        try:
            answer = await self._answer(scope, exchange)
        except Refusal as refusal:
            refusal.headers = (*refusal.headers, *ANYWHERE)
            raise
        answer.headers.extend(ANYWHERE)
        return answer

    async def _answer(self, scope: Scope, exchange: Exchange) -> Answer:
        context = self._context
        now = context.now()
        raw = await read_body(scope, exchange, limit=BODY_LIMIT, timeout_s=context.settings.body_timeout_s)
        call = CALLS[scope.path.rpartition("/")[2]]
        try:
            body = await decompressed(raw, scope.headers.get("content-encoding"), limit=4 * BODY_LIMIT)
            content = parse_json(body)
            if not isinstance(content, dict):
                raise InvalidEvent("INVALID_EVENT", None, "a call is one JSON object")
            messages = content.get("batch") if call == "batch" else [{**content, "type": call}]
            if not isinstance(messages, list):
                raise InvalidEvent("MISSING_FIELD", "batch", "is required: a list of calls")
        except InvalidEvent as error:
            raise await self._taking.unusable(error, raw, now) from None
        caller, may_send = self._caller(scope, content, now)
        read = partial(self._read, scope=scope, caller=caller, sent=content.get("sentAt"), now=now)
        taken = await self._taking.take(scope, messages, read, now, may_send)
        said: dict[str, Any] = {"success": True}
        if taken.rejected:
            said["rejected"] = [
                {"index": index, "reason": error.reason, "field": error.field, "detail": error.detail}
                for index, error in taken.rejected
            ]
        return json_answer(HTTPStatus.OK, said)

    def _caller(self, scope: Scope, content: dict[str, Any], now: int) -> tuple[Caller, Any]:
        """Who calls, and what that sender may send. Refusal 401, 403 or 429."""
        context = self._context
        in_body = find(content, ("writeKey", "context.writeKey"))
        key = in_body or basic_user(scope.headers.get("authorization"))
        advertiser_id = None if key is None else self._config.write_keys.get(key)
        if advertiser_id is not None:
            context.gate.admit(scope, now)
            return Caller(advertiser_id, context.edge.visitor(scope, now, {})), None
        sender = context.gate.bulk(scope, "events:write", in_body)
        return Caller(sender.id if sender.kind == "advertiser" else None, None), sender.may_send

    def _read(self, message: Any, *, scope: Scope, caller: Caller, sent: Any, now: int) -> dict[str, Any] | Ignored:
        """A call as the public conversion that it is, or why it is none. InvalidEvent for what is no call at all."""
        if not isinstance(message, dict):
            raise InvalidEvent("INVALID_EVENT", None, "a call is one JSON object")
        kind = message.get("type")
        if kind != "track":
            return Ignored(kind if isinstance(kind, str) and kind in KINDS else "other")
        event = message.get("event")
        if not isinstance(event, str):
            raise InvalidEvent("MISSING_FIELD", "event", "is required: a track call names its event")
        goal = self._events.get(" ".join(event.lower().split()))
        if goal is None:
            return Ignored("track")
        fields = {"type": "conversion", "goal": goal, "advertiser_id": caller.advertiser_id}
        fields |= conversion_fields(message, self._paths)
        if fields["advertiser_id"] is None:
            detail = "is not known by this write key; list the key under segment.write_keys, or use an advertiser's own"
            raise InvalidEvent("MISSING_FIELD", "advertiser_id", detail)
        if caller.visitor is not None:
            self._context.gate.pixel(scope, fields["advertiser_id"], now)
        happened = time_of(message.get("timestamp")) or time_of(message.get("originalTimestamp"))
        fields["occurred_at"] = occurred_at(now, happened, time_of(message.get("sentAt") or sent))
        fields |= campaign(message)
        fields["event"] = without_emails(event)
        self._join(fields, message, caller.visitor)
        return fields

    def _join(self, fields: dict[str, Any], message: dict[str, Any], visitor: Visitor | None) -> None:
        """What ties the conversion to a session, and what tells it from others."""
        named = [fields.pop("click_id", None), *(find(message, (f"properties.{name}",)) for name in CLICK_ID_PATHS)]
        tags = (message.get("context") or {}).get("campaign") if isinstance(message.get("context"), dict) else None
        named += tags.values() if isinstance(tags, dict) else ()
        urls = [find(message, (path,)) for path in ("context.page.url", "properties.url", "context.page.referrer")]
        click_id = own_click_id(self._context.intake.keys, [*named, *query_values(urls)])
        message_id = find(message, ("messageId",))
        if click_id is not None:
            fields["click_id"] = click_id
        if click_id is not None or (visitor is not None and not visitor.may_identify):
            fields.pop("session_id", None)
        if visitor is not None:
            fields |= {"ip": visitor.address, "country": visitor.country or fields.get("country")}
        if message_id is not None:
            fields["message_id"] = without_emails(message_id)
            if click_id is None:
                fields.setdefault("order_id", f"message:{fields['message_id']}")


def campaign(message: dict[str, Any]) -> dict[str, str]:
    """UTM parameters under their usual names."""
    found = {f"utm_{name}": find(message, (f"context.campaign.{name}",)) for name in CAMPAIGN}
    found["utm_campaign"] = found.pop("utm_name")
    return {name: without_emails(value) for name, value in found.items() if value is not None}


def basic_user(header: Any) -> str | None:
    """The user of ``Authorization: Basic``: Segment's write key."""
    if not isinstance(header, str) or not header.lower().startswith("basic "):
        return None
    try:
        return b64decode(header[6:].strip(), validate=True).decode().partition(":")[0] or None
    except ValueError:
        return None
