"""Conversions reported by a visitor's browser: an image, an iframe, or the script's beacon.

``GET /px.gif``, ``GET /px.html``, ``GET|POST /px``. The tracking domain's session cookie comes along where the browser
sends it, so that a conversion is joined by the cookie alone; a visitor who may not be identified is joined by a
transaction id alone.
"""

from __future__ import annotations

from html import escape
from http import HTTPStatus

from ingest.conversion_link import ConversionLink, Taken
from ingest.conversions import Browser
from ingest.cookies import SessionCookie
from ingest.door import DoorContext
from ingest.errors import Refusal
from ingest.http import NO_STORE, Answer, Exchange, HeaderList, Scope, json_answer
from ingest.impressions import GIF
from ingest.postback import body_of, request_params
from schemas.errors import InvalidEvent

DOOR = "pixel"
ANYWHERE = ("cross-origin-resource-policy", "cross-origin")
FRAME_POLICY = ("content-security-policy", "default-src 'none'")
PREFLIGHT_S = "86400"


class PixelDoor:
    """Takes one conversion from a browser and answers in the form of the path."""

    methods = ("GET", "POST", "OPTIONS")
    image_methods = ("GET",)

    def __init__(self, context: DoorContext) -> None:
        self._context = context
        self._cookie = SessionCookie(context.settings)
        self._link = ConversionLink(context, DOOR)

    async def beacon(self, scope: Scope, exchange: Exchange) -> Answer:
        """``/px``: JSON, readable for the page that asked."""
        allowed = cors(scope)
        if scope.method == "OPTIONS":
            return preflight(allowed)
        try:
            taken = await self.take(scope, exchange)
        except Refusal as refusal:
            refusal.headers = (*refusal.headers, *allowed)
            raise
        answer = json_answer(HTTPStatus.OK, taken.public)
        answer.headers.extend(allowed)
        return answer

    async def image(self, scope: Scope, exchange: Exchange) -> Answer:
        """``/px.gif``. What was refused is no image, so that the page's ``onerror`` sees it."""
        return gif(await self.take(scope, exchange))

    async def frame(self, scope: Scope, exchange: Exchange) -> Answer:
        """``/px.html``: a page that says what became of it."""
        taken = await self.take(scope, exchange)
        text = f"<!doctype html><title>{escape(taken.standing)}</title>{escape(taken.standing)}\n"
        headers = [("content-type", "text/html; charset=utf-8"), NO_STORE, FRAME_POLICY, result(taken)]
        return Answer(HTTPStatus.OK, headers, text.encode())

    async def take(self, scope: Scope, exchange: Exchange) -> Taken:
        """The conversion of a browser's request. Refusal for what cannot be taken."""
        context = self._context
        now = context.now()
        context.gate.admit(scope, now)
        body = await body_of(scope, exchange, context.settings.body_timeout_s)
        try:
            given = request_params(scope, body)
        except (InvalidEvent, Refusal) as error:
            raise await self._link.refused(error, scope, body, now) from None
        texts = {name: value for name, value in given.items() if isinstance(value, str)}
        return await self._link.take(scope, given, body, now, self._browser(scope, now, texts))

    def _browser(self, scope: Scope, now: int, params: dict[str, str]) -> Browser:
        visitor = self._context.edge.visitor(scope, now, params)
        session_id = self._cookie.read(scope.headers.get_all("cookie")) if visitor.may_identify else None
        if session_id is not None and not self._context.edge.may_join(session_id):
            session_id = None
        return Browser(session_id, visitor.country, visitor.address, visitor.user_agent)


def gif(taken: Taken) -> Answer:
    """The pixel, with what became of the conversion in a header."""
    return Answer(HTTPStatus.OK, [("content-type", "image/gif"), NO_STORE, ANYWHERE, result(taken)], GIF)


def result(taken: Taken) -> tuple[str, str]:
    return ("accredit-result", taken.standing)


def cors(scope: Scope) -> HeaderList:
    """Any page may report and read the answer, cookies included: it says nothing that the page did not send."""
    origin = scope.headers.get("origin")
    if not isinstance(origin, str) or not origin.isascii() or not origin.isprintable():
        return [ANYWHERE]
    return [
        ("access-control-allow-origin", origin),
        ("access-control-allow-credentials", "true"),
        ("vary", "origin"),
        ANYWHERE,
    ]


def preflight(allowed: HeaderList) -> Answer:
    """What a browser asks before it sends JSON across origins."""
    offered = [
        ("access-control-allow-methods", "GET, POST"),
        ("access-control-allow-headers", "content-type"),
        ("access-control-max-age", PREFLIGHT_S),
    ]
    return Answer(HTTPStatus.NO_CONTENT, [*allowed, *offered])
