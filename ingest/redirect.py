"""Tracking links: ``/c/{offer_id}?partner=…``, TUNE's ``/aff_c?offer_id=…&aff_id=…``, short links ``/l/{slug}``.

The click is durable before the visitor goes on. A visitor is never the one to suffer: where a page is known they get
there, whatever is wrong with the link, and what could not be recorded is a dead letter or counted as lost.
"""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import Final

import structlog

from ingest.catalog_index import CatalogIndex, unknown
from ingest.door import DoorContext, request_line
from ingest.errors import NotAcknowledged, PublisherFull, Refusal
from ingest.http import NO_STORE, Answer, Outcome, Pending, Scope, refusal_of
from ingest.landing import BoundUrl
from ingest.pages import is_browser, sorry
from ingest.previews import is_uncounted
from ingest.qr import qr_answer
from ingest.seldom import Seldom
from ingest.touches import Asked, PreparedLink, Taken, Touches
from schemas.errors import InvalidEvent

log = structlog.get_logger(__name__)

DOOR: Final = "redirect"
LINK_DOOR: Final = "short_link"
PREFIX: Final = "/c/"
LINK_PREFIX: Final = "/l/"
REFERRER_POLICY: Final = ("referrer-policy", "strict-origin-when-cross-origin")


class RedirectDoor:
    """Records a click and answers 302. HEAD, prefetches and previews go to the same place without being counted."""

    methods = ("GET", "HEAD")

    def __init__(self, context: DoorContext) -> None:
        self._context = context
        self._touches = Touches(context, "click")
        self._said = Seldom()
        self._base_url = context.settings.config.links.base_url

    def by_path(self, scope: Scope) -> Outcome:
        """``/c/{offer_id}``"""
        return self._to_offer(scope, scope.path[len(PREFIX) :], self._touches.asked(scope.query_string))

    def by_query(self, scope: Scope) -> Outcome:
        """``/aff_c?offer_id=…``"""
        asked = self._touches.asked(scope.query_string)
        return self._to_offer(scope, asked.offer_id or "", asked)

    def _to_offer(self, scope: Scope, offer_id: str, asked: Asked) -> Outcome:
        now = self._context.now()
        index = self._context.intake.catalog_at(now)
        entry = index.offers.get(offer_id)
        if entry is None:
            return self._nowhere(unknown("offer", offer_id), scope, now, DOOR)
        return self._follow(scope, now, index, self._touches.link(asked, entry, DOOR), DOOR)

    def by_slug(self, scope: Scope) -> Outcome:
        """``/l/{slug}``, and its QR code under ``/l/{slug}.svg`` and ``.png``."""
        now = self._context.now()
        index = self._context.intake.catalog_at(now)
        slug, _, kind = scope.path[len(LINK_PREFIX) :].partition(".")
        entry = index.link(slug, now)
        if entry is not None and kind:
            return qr_answer(scope, self._base_url, entry.link.slug, kind)
        if entry is None:
            shown = scope.path[len(LINK_PREFIX) :][:64]
            return self._nowhere(InvalidEvent("UNKNOWN_LINK", "slug", f"no link {shown!r}"), scope, now, LINK_DOOR)
        asked = self._touches.through(entry, self._touches.asked(scope.query_string))
        link = self._touches.link(asked, index.offers[entry.link.offer_id], LINK_DOOR)
        if not entry.active(now):
            error = InvalidEvent("LINK_NOT_ACTIVE", "slug", f"link {entry.link.slug!r} is not in force now")
            answer = None if link.fallback is None else moved(link.fallback, now, None)
            return self._nowhere(error, scope, now, LINK_DOOR, answer)
        return self._follow(scope, now, index, link, LINK_DOOR)

    def _follow(self, scope: Scope, now: int, index: CatalogIndex, link: PreparedLink, door: str) -> Outcome:
        headers = scope.headers
        if is_uncounted(scope, headers):
            return self._answer(scope, now, link, None)
        try:
            taken = self._touches.take(link, scope, headers, now, index)
        except InvalidEvent as error:
            return self._nowhere(error, scope, now, door, self._answer(scope, now, link, None))
        answer = self._answer(scope, now, link, taken)
        try:
            durable = self._context.publisher.publish(taken.message)
        except NotAcknowledged as error:
            return self._lost(answer, scope, door, error)
        return Pending(durable, answer, "click", partial(self._lost, answer, scope, door))

    def _answer(self, scope: Scope, now: int, link: PreparedLink, taken: Taken | None) -> Answer:
        page = link.page(now)
        if page is not None:
            return moved(page, now, taken)
        detail = "the offer is not active, and it has no fallback page"
        answer = sorry(scope, Refusal(HTTPStatus.NOT_FOUND, "OFFER_INACTIVE", detail))
        if taken is not None:
            answer.headers.extend(taken.headers)
        return answer

    async def _nowhere(
        self, error: InvalidEvent, scope: Scope, now: int, door: str, answer: Answer | None = None
    ) -> Answer:
        """A link that cannot be followed: kept as a dead letter, and the visitor is told, or gets ``answer``."""
        answer = answer or sorry(scope, refusal_of(error, HTTPStatus.NOT_FOUND))
        if not is_uncounted(scope, scope.headers):
            try:
                await self._context.refuse(error, request_line(scope), now=now, door=door)
            except NotAcknowledged as lost:
                return self._lost(answer, scope, door, lost)
        return answer

    def _lost(self, answer: Answer, scope: Scope, door: str, error: BaseException) -> Answer:
        """The visitor goes on though nothing is durable: counted, and said. It may be in the log all the same.

        A program is told to come again, unless the spool is full: then nothing helps for a while.
        """
        if not isinstance(error, PublisherFull) and not is_browser(scope):
            raise error
        self._context.metrics.lost.labels(door).inc()
        if times := self._said.due():
            log.error("visits_not_recorded", door=door, times=times, reason=str(error))
        return answer


def moved(page: BoundUrl, now: int, taken: Taken | None) -> Answer:
    """302 to the page, its macros filled in. What a click would say is empty where there is none."""
    if taken is None:
        return Answer(302, [("location", page.fill({"timestamp": str(now // 1_000)})), NO_STORE, REFERRER_POLICY])
    if page.is_told_the_id_alone:
        location = page.with_id(taken.click_id)
    else:
        visitor = taken.visitor
        location = page.fill(
            {
                "transaction_id": taken.click_id,
                "country": visitor.country,
                "device": visitor.device,
                "os": visitor.os,
                "browser": visitor.browser,
                "timestamp": str(now // 1_000),
            }
        )
    return Answer(302, [("location", location), NO_STORE, REFERRER_POLICY, *taken.headers])
