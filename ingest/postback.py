"""Postbacks: ``GET|POST /pb`` with parameters in the query, in a form or in a JSON object; the body's go first."""

from __future__ import annotations

from typing import Any

import orjson

from ingest.bodies import read_body
from ingest.catalog_index import CatalogIndex
from ingest.door import DoorContext, request_line
from ingest.errors import Refusal
from ingest.http import Answer, Exchange, Scope, json_answer, traceparent_of
from ingest.query import parse_query, split_known
from schemas.errors import InvalidEvent
from schemas.times import format_time

DOOR = "postback"
BODY_LIMIT = 64 * 1024
DEFAULT_GOAL = "sale"
RESERVED = ("type", "received_at")
"""Ours to say, not a sender's; theirs are kept in ``params`` under ``param_…``."""


class PostbackDoor:
    """Takes one conversion."""

    methods = ("GET", "POST")

    def __init__(self, context: DoorContext) -> None:
        self._context = context

    async def __call__(self, scope: Scope, exchange: Exchange) -> Answer:
        context = self._context
        body = b""
        if scope.method == "POST":
            timeout_s = context.settings.body_timeout_s
            body = await read_body(scope, exchange, limit=BODY_LIMIT, timeout_s=timeout_s)
        now = context.now()
        try:
            given: dict[str, Any] = {**parse_query(scope.query_string), **body_params(scope, body)}
            fields = self._fields(given, now)
            accepted = context.intake.accept(fields, now=now, door=DOOR, traceparent=traceparent_of(scope))
        except InvalidEvent as error:
            original = request_line(scope) + (b"\r\n\r\n" + body if body else b"")
            return await context.refuse(in_senders_words(error), original, now=now, door=DOOR)
        await context.publish(accepted, DOOR)
        return json_answer(200, {"status": "accepted", "conversion_id": accepted.id})

    def _fields(self, given: dict[str, Any], now: int) -> dict[str, Any]:
        """The public conversion event that these parameters are."""
        known, rest = split_known(given, self._context.settings.conversion_aliases)
        fields: dict[str, Any] = {**{f"param_{k}" if k in RESERVED else k: v for k, v in rest.items()}, **known}
        fields["type"] = "conversion"
        fields.setdefault("goal", DEFAULT_GOAL)
        fields.setdefault("occurred_at", format_time(now))
        click_id = known.get("click_id")
        if click_id is not None:
            index = self._context.intake.catalog_at(now)
            of_click = self._advertiser_of(click_id, index)
            if known.get("advertiser_id") is None:
                if of_click is None:
                    detail = "the transaction id's advertiser is not in the catalog; send advertiser_id"
                    raise InvalidEvent("UNKNOWN_ADVERTISER", "advertiser_id", detail)
                fields["advertiser_id"] = of_click
        elif known.get("advertiser_id") is None:
            detail = "is required; or send advertiser_id and order_id"
            raise InvalidEvent("MISSING_FIELD", "transaction_id", detail)
        return fields

    def _advertiser_of(self, click_id: Any, index: CatalogIndex) -> str | None:
        """The advertiser by the tag in a click id that we signed; InvalidClickId for any other."""
        if not isinstance(click_id, str):
            raise InvalidEvent("INVALID_FIELD", "transaction_id", "is text")
        parts = self._context.intake.keys.verify(click_id, "transaction_id")
        return index.tags.get(parts.advertiser_tag)


def body_params(scope: Scope, body: bytes) -> dict[str, Any]:
    """A form's or a JSON object's parameters. InvalidEvent for a body that is neither."""
    if not body.strip():
        return {}
    content_type = (scope.headers.get("content-type") or "").partition(";")[0].strip().lower()
    if content_type.endswith("json") or (not content_type and body.lstrip()[:1] == b"{"):
        try:
            content = orjson.loads(body)
        except orjson.JSONDecodeError as error:
            raise InvalidEvent("INVALID_JSON", None, str(error)) from None
        if not isinstance(content, dict):
            raise InvalidEvent("INVALID_EVENT", None, "a postback is one JSON object")
        return {name: as_text(value) for name, value in content.items() if value is not None and value != ""}
    if content_type in ("application/x-www-form-urlencoded", "", "text/plain"):
        return dict(parse_query(body.decode(errors="replace").strip()))
    raise Refusal(415, "UNSUPPORTED_MEDIA_TYPE", f"{content_type[:80]!r} is not taken here; send a form or JSON")


def as_text(value: Any) -> Any:
    """Whole numbers as a query string would have brought them; what is no text otherwise is judged by the schema."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def in_senders_words(error: InvalidEvent) -> InvalidEvent:
    """On this door a click id is called transaction id."""
    if error.field != "click_id":
        return error
    return InvalidEvent(error.reason, "transaction_id", error.detail)
