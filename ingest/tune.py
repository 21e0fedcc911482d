"""TUNE's conversion links: ``/aff_lsr`` (server), ``/aff_l`` (browser), ``/aff_goal?a=lsr|l``, and TUNE's answers.

``success=true;`` or ``success=false;err_code=…;err_msg=…;``, with the status code that the same has on our own paths.
"""

from __future__ import annotations

from http import HTTPStatus

import structlog

from ingest.conversion_link import ConversionLink, Taken
from ingest.door import DoorContext
from ingest.errors import NoCatalog, NotAcknowledged, Refusal
from ingest.http import NO_STORE, Answer, Exchange, Scope
from ingest.pixel import PixelDoor, gif
from ingest.postback import DOOR, body_of, request_params
from ingest.query import parse_query
from schemas.errors import InvalidEvent

log = structlog.get_logger(__name__)

TEXT = ("content-type", "text/plain; charset=utf-8")


class TuneDoor:
    """Takes conversions as TUNE's customers send them."""

    methods = ("GET", "POST")

    def __init__(self, context: DoorContext, pixel: PixelDoor) -> None:
        self._context = context
        self._pixel = pixel
        self._link = ConversionLink(context, DOOR)

    async def server(self, scope: Scope, exchange: Exchange) -> Answer:
        """``/aff_lsr``"""
        try:
            return said(await self._take(scope, exchange))
        except (Refusal, NotAcknowledged, NoCatalog) as error:
            return self._failed(error)

    async def browser(self, scope: Scope, exchange: Exchange) -> Answer:
        """``/aff_l``: an image for an ``<img>``, text for an iframe and for whoever else asks."""
        try:
            taken = await self._pixel.take(scope, exchange)
        except (Refusal, NotAcknowledged, NoCatalog) as error:
            return self._failed(error)
        return gif(taken) if (scope.headers.get("accept") or "").startswith("image/") else said(taken)

    async def goal(self, scope: Scope, exchange: Exchange) -> Answer:
        """``/aff_goal``: ``a`` says which of the two it is."""
        which = parse_query(scope.query_string).get("a")
        if which == "lsr":
            return await self.server(scope, exchange)
        if which == "l":
            return await self.browser(scope, exchange)
        context = self._context
        now = context.now()
        try:
            context.gate.admit(scope, now)
            body = await body_of(scope, exchange, context.settings.body_timeout_s)
            error = InvalidEvent("INVALID_FIELD", "a", "is lsr for a server's request, l for a browser's")
            return self._failed(await self._link.refused(error, scope, body, now))
        except (Refusal, NotAcknowledged) as error_of_ours:
            return self._failed(error_of_ours)

    async def _take(self, scope: Scope, exchange: Exchange) -> Taken:
        context = self._context
        now = context.now()
        context.gate.admit(scope, now)
        body = await body_of(scope, exchange, context.settings.body_timeout_s)
        try:
            given = request_params(scope, body)
        except (InvalidEvent, Refusal) as error:
            raise await self._link.refused(error, scope, body, now) from None
        return await self._link.take(scope, given, body, now)

    def _failed(self, error: Refusal | NotAcknowledged | NoCatalog) -> Answer:
        """TUNE's form of a refusal, and of a 503, which asks to come again."""
        if isinstance(error, Refusal):
            message = error.detail if error.field is None else f"{error.field}: {error.detail}"
            return text(error.status, error.reason, message, list(error.headers))
        log.warning("conversion_not_taken", error=str(error))
        retry = [("retry-after", str(self._context.settings.retry_after_s))]
        code = "NO_CATALOG" if isinstance(error, NoCatalog) else "NOT_DURABLE"
        return text(HTTPStatus.SERVICE_UNAVAILABLE, code, "could not be made durable, send it again", retry)


def said(taken: Taken) -> Answer:
    """What became of it. A copy is no failure: the conversion is known."""
    duplicate = "duplicate=true;" if taken.standing == "duplicate" else ""
    return Answer(HTTPStatus.OK, [TEXT, NO_STORE], f"success=true;{duplicate}".encode())


def text(status: int, code: str, message: str, headers: list[tuple[str, str]]) -> Answer:
    clean = message.replace(";", ",").replace("\n", " ")
    body = f"success=false;err_code={code};err_msg={clean};"
    return Answer(status, [TEXT, NO_STORE, *headers], body.encode(errors="replace"))
