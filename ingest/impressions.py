"""Impressions: ``GET /i/{offer_id}.gif?partner=…`` and TUNE's ``/aff_i?offer_id=…&aff_id=…``, an image of one pixel."""

from __future__ import annotations

from http import HTTPStatus

from ingest.catalog_index import CatalogIndex, unknown
from ingest.door import DoorContext, request_line
from ingest.http import NO_STORE, Answer, HeaderList, Outcome, Pending, Scope, refusal_of
from ingest.previews import is_uncounted
from ingest.touches import Asked, Touches
from schemas.errors import InvalidEvent

DOOR = "impression"
PREFIX = "/i/"
GIF = (
    b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00"
    b",\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
)
"""One transparent pixel, 43 bytes."""


class ImpressionDoor:
    """Records that a visitor saw something. The image always comes; its status says whether it was recorded."""

    methods = ("GET", "HEAD")

    def __init__(self, context: DoorContext) -> None:
        self._context = context
        self._touches = Touches(context, "impression")

    def by_path(self, scope: Scope) -> Outcome:
        """``/i/{offer_id}.gif``"""
        asked = self._touches.asked(scope.query_string)
        return self._see(scope, scope.path[len(PREFIX) :].removesuffix(".gif"), asked)

    def by_query(self, scope: Scope) -> Outcome:
        """``/aff_i?offer_id=…``"""
        asked = self._touches.asked(scope.query_string)
        return self._see(scope, asked.offer_id or "", asked)

    def _see(self, scope: Scope, offer_id: str, asked: Asked) -> Outcome:
        context = self._context
        now = context.now()
        index: CatalogIndex = context.intake.catalog_at(now)
        headers = scope.headers
        if is_uncounted(scope, headers):
            return image(HTTPStatus.OK, [])
        entry = index.offers.get(offer_id)
        try:
            if entry is None:
                raise unknown("offer", offer_id)
            taken = self._touches.take(self._touches.link(asked, entry, DOOR), scope, headers, now, index)
        except InvalidEvent as error:
            return self._refused(error, scope, now, HTTPStatus.NOT_FOUND if entry is None else HTTPStatus.BAD_REQUEST)
        durable = context.publisher.publish(taken.message)
        return Pending(durable, image(HTTPStatus.OK, taken.headers), "impression", raised)

    async def _refused(self, error: InvalidEvent, scope: Scope, now: int, status: HTTPStatus) -> Answer:
        await self._context.refuse(error, request_line(scope), now=now, door=DOOR)
        return image(status, list(refusal_of(error, status).headers))


def raised(error: BaseException) -> Answer:
    """An image that could not be recorded is a 503."""
    raise error


def image(status: int, headers: HeaderList) -> Answer:
    return Answer(status, [("content-type", "image/gif"), NO_STORE, *headers], GIF)
