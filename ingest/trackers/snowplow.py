"""Snowplow's collector: ``POST /com.snowplowanalytics.snowplow/tp2`` and ``GET /i``, as its trackers call them.

Purchases become conversions: the e-commerce plugins' transactions (today's, and Google Analytics' shape), ``e=tr``,
and those structured and self-describing events that configuration names. The section in ingest.yaml::

    snowplow:
      apps: {web-shop: shop}                       # app id (aid) → advertiser
      structured: {checkout/purchase: sale}        # category/action → goal
      self_describing: {com.acme/sign_up: lead}    # vendor/name of the schema → goal
      fields: {order_id: data.basket_id, adv1: event.tr_af}

The protocol has no authentication, so it is worth what a pixel is, and is allowed where pixels are. Without an order id
and a click id of ours an event is told by its id (``eid``).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from http import HTTPStatus
from typing import Any

from ingest.bodies import read_body
from ingest.compression import decompressed
from ingest.cookies import SessionCookie
from ingest.door import DoorContext, request_line
from ingest.errors import Refusal
from ingest.http import NO_STORE, Answer, Exchange, HeaderList, Scope
from ingest.impressions import GIF
from ingest.pixel import cors
from ingest.query import parse_query
from ingest.trackers.reading import (
    Ignored,
    conversion_fields,
    occurred_at,
    own_click_id,
    parse_json,
    query_values,
    time_of,
)
from ingest.trackers.snowplow_event import SnowplowEvent, read_event
from ingest.trackers.taking import BODY_LIMIT, TrackerIntake
from schemas.customer import without_emails
from schemas.errors import InvalidEvent

DOOR = "snowplow"
POST_PATH = "/com.snowplowanalytics.snowplow/tp2"
GET_PATH = "/i"
PATHS = {
    "order_id": ("event.tr_id", "data.transaction_id", "data.order_id", "data.orderId", "data.id", "event.se_la"),
    "amount": ("event.tr_tt", "data.revenue", "data.total", "data.value", "data.amount", "event.se_va"),
    "currency": ("event.tr_cu", "data.currency"),
    "promo_code": ("data.discount_code", "data.coupon", "data.promo_code"),
    "customer_id": ("event.uid",),
    "session_id": ("event.duid",),
}
NOT_OF_THE_VISITOR = ("ip", "ua", "tnuid")
"""A tracker that says these of a visitor is a server: its own address and agent are not the visitor's."""
ALLOWED: HeaderList = [
    ("access-control-allow-methods", "GET, POST"),
    ("access-control-allow-headers", "content-type, sp-anonymous"),
    ("access-control-max-age", "86400"),
]


class SnowplowDoor:
    """Answers ``ok``, or the pixel, to what it takes or ignores."""

    post_methods = ("POST", "OPTIONS")
    get_methods = ("GET", "HEAD", "OPTIONS")

    def __init__(self, context: DoorContext) -> None:
        self._context = context
        self._config = context.settings.config.snowplow
        self._paths = {**PATHS, **self._config.fields}
        self._cookie = SessionCookie(context.settings)
        self._taking = TrackerIntake(context, DOOR)

    async def post(self, scope: Scope, exchange: Exchange) -> Answer:
        """Events as JSON: ``{"schema": "iglu:…/payload_data/…", "data": [{…}]}``."""
        allowed = cors(scope)
        if scope.method == "OPTIONS":
            return Answer(HTTPStatus.OK, [*allowed, *ALLOWED])
        try:
            await self._take_body(scope, exchange)
        except Refusal as refusal:
            refusal.headers = (*refusal.headers, *allowed)
            raise
        return Answer(HTTPStatus.OK, [*allowed, NO_STORE, ("content-type", "text/plain; charset=utf-8")], b"ok")

    async def get(self, scope: Scope, _: Exchange) -> Answer:
        """One event as parameters; the answer is an image."""
        allowed = cors(scope)
        if scope.method == "OPTIONS":
            return Answer(HTTPStatus.OK, [*allowed, *ALLOWED])
        now = self._context.now()
        self._context.gate.admit(scope, now)
        event = parse_query(scope.query_string)
        try:
            if "e" not in event:
                original = request_line(scope)
                error = InvalidEvent("MISSING_FIELD", "e", "is required: the kind of event, like pv, tr or ue")
                raise await self._taking.unusable(error, original, now)
            await self._take(scope, [event], now)
        except Refusal as refusal:
            refusal.headers = (*refusal.headers, *allowed)
            raise
        return Answer(HTTPStatus.OK, [*allowed, NO_STORE, ("content-type", "image/gif")], GIF)

    async def _take_body(self, scope: Scope, exchange: Exchange) -> None:
        context = self._context
        now = context.now()
        context.gate.admit(scope, now)
        raw = await read_body(scope, exchange, limit=BODY_LIMIT, timeout_s=context.settings.body_timeout_s)
        try:
            content = parse_json(await decompressed(raw, scope.headers.get("content-encoding"), limit=4 * BODY_LIMIT))
            events = content.get("data") if isinstance(content, dict) else None
            if not isinstance(events, list):
                raise InvalidEvent("MISSING_FIELD", "data", "is required: a list of events (payload_data)")
        except InvalidEvent as error:
            raise await self._taking.unusable(error, raw, now) from None
        await self._take(scope, events, now)

    async def _take(self, scope: Scope, events: Iterable[Any], now: int) -> None:
        await self._taking.take(scope, events, partial(self._read, scope=scope, now=now), now)

    def _read(self, message: Any, *, scope: Scope, now: int) -> dict[str, Any] | Ignored:
        """An event as the public conversion that it is, or why it is none. InvalidEvent for one that is broken."""
        if not isinstance(message, dict):
            raise InvalidEvent("INVALID_EVENT", None, "an event is one JSON object")
        found = read_event(message)
        goal = self._goal(found)
        if goal is None:
            return Ignored(found.kind)
        app = message.get("aid")
        advertiser_id = self._config.apps.get(app) if isinstance(app, str) else None
        if advertiser_id is None:
            detail = "the app id is not listed under snowplow.apps, so nobody knows whose conversion this is"
            raise InvalidEvent("UNKNOWN_ADVERTISER", "aid", detail)
        self._context.gate.pixel(scope, advertiser_id, now)
        fields = {"type": "conversion", "goal": goal, "advertiser_id": advertiser_id}
        fields |= conversion_fields({"event": found.params, "data": found.data}, self._paths)
        happened = time_of(message.get("ttm"))
        if happened is None:
            fields["occurred_at"] = occurred_at(now, time_of(message.get("dtm")), time_of(message.get("stm")))
        else:
            fields["occurred_at"] = occurred_at(now, happened, None)
        self._join(fields, message, scope, now)
        return fields

    def _goal(self, found: SnowplowEvent) -> str | None:
        if found.is_transaction:
            return self._config.transaction_goal
        if found.kind == "structured":
            return self._config.structured.get(f"{found.params.get('se_ca')}/{found.params.get('se_ac')}")
        return None if found.schema is None else self._config.self_describing.get(found.schema)

    def _join(self, fields: dict[str, Any], message: Mapping[str, Any], scope: Scope, now: int) -> None:
        """What ties the conversion to a session, and what tells it from others."""
        context = self._context
        texts = {name: value for name, value in message.items() if isinstance(value, str)}
        urls = [texts.get("url"), texts.get("refr"), scope.headers.get("referer")]
        click_id = own_click_id(context.intake.keys, [fields.pop("click_id", None), *query_values(urls)])
        visitor = context.edge.visitor(scope, now, texts)
        session_id = self._cookie.read(scope.headers.get_all("cookie"))
        if session_id is not None and context.edge.may_join(session_id):
            fields["session_id"] = session_id
        if click_id is not None:
            fields["click_id"] = click_id
        if click_id is not None or not visitor.may_identify:
            fields.pop("session_id", None)
        if not any(name in texts for name in NOT_OF_THE_VISITOR):
            fields |= {"ip": visitor.address, "user_agent": visitor.user_agent}
            fields["country"] = visitor.country or fields.get("country")
        if "eid" in texts:
            fields["event_id"] = without_emails(texts["eid"])
            if click_id is None:
                fields.setdefault("order_id", f"event:{fields['event_id']}")
