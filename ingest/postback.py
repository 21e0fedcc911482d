"""Postbacks: ``GET|POST /pb`` with parameters in the query, in a form or in a JSON object; the body's go first."""

from __future__ import annotations

from typing import Any

import orjson

from ingest.bodies import read_body
from ingest.conversion_link import ConversionLink
from ingest.door import DoorContext
from ingest.errors import Refusal
from ingest.http import Answer, Exchange, Scope, json_answer
from ingest.query import parse_query
from schemas.errors import InvalidEvent

DOOR = "postback"
BODY_LIMIT = 64 * 1024


class PostbackDoor:
    """Takes one conversion, or a change of its status, from an advertiser's server."""

    methods = ("GET", "POST")

    def __init__(self, context: DoorContext) -> None:
        self._context = context
        self._link = ConversionLink(context, DOOR)

    async def __call__(self, scope: Scope, exchange: Exchange) -> Answer:
        context = self._context
        now = context.now()
        context.gate.admit(scope, now)
        body = await body_of(scope, exchange, context.settings.body_timeout_s)
        try:
            given = request_params(scope, body)
        except (InvalidEvent, Refusal) as error:
            raise await self._link.refused(error, scope, body, now) from None
        return json_answer(200, (await self._link.take(scope, given, body, now)).public)


async def body_of(scope: Scope, exchange: Exchange, timeout_s: float) -> bytes:
    """The body of a POST; a GET has none that counts."""
    if scope.method != "POST":
        return b""
    return await read_body(scope, exchange, limit=BODY_LIMIT, timeout_s=timeout_s)


def request_params(scope: Scope, body: bytes) -> dict[str, Any]:
    """Query and body together. InvalidEvent for a broken body, Refusal 415 for one of another kind."""
    content_type = scope.headers.get("content-type") or ""
    return {**parse_query(scope.query_string), **body_params(content_type, body)}


def body_params(content_type: str, body: bytes) -> dict[str, Any]:
    """A form's or a JSON object's parameters. An empty content type: whichever of the two it looks like."""
    if not body.strip():
        return {}
    content_type = content_type.partition(";")[0].strip().lower()
    if content_type.endswith("json") or (content_type in ("", "text/plain") and body.lstrip()[:1] == b"{"):
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
