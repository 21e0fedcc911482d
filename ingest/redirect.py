"""Tracking links: ``/c/{offer_id}?partner=…``, TUNE's ``/aff_c?offer_id=…&aff_id=…``, short links ``/l/{slug}``.

The click is durable before the visitor goes on. A visitor is never the one to suffer: where a page is known they get
there, whatever is wrong with the link, and what could not be recorded is a dead letter or counted as lost.
"""

from __future__ import annotations

from http import HTTPStatus

import structlog

from ingest.catalog_index import CatalogIndex, OfferEntry, unknown
from ingest.door import DoorContext, request_line
from ingest.errors import NotAcknowledged, PublisherFull, Refusal
from ingest.http import NO_STORE, Answer, HeaderList, Scope, refusal_of, traceparent_of
from ingest.landing import LandingUrl
from ingest.pages import is_browser, sorry
from ingest.previews import is_uncounted
from ingest.qr import qr_answer
from ingest.seldom import Seldom
from ingest.touches import Asked, Touches
from schemas.errors import InvalidEvent
from schemas.records import Click

log = structlog.get_logger(__name__)

DOOR = "redirect"
LINK_DOOR = "short_link"
PREFIX = "/c/"
LINK_PREFIX = "/l/"
OF_THE_CLICK = ("transaction_id", "country", "device", "os", "browser")
"""Macros that only a recorded click has a value for; a parameter of that name on the link is none."""
REFERRER_POLICY = ("referrer-policy", "strict-origin-when-cross-origin")


class RedirectDoor:
    """Records a click and answers 302. HEAD, prefetches and previews go to the same place without being counted."""

    methods = ("GET", "HEAD")

    def __init__(self, context: DoorContext) -> None:
        self._context = context
        self._touches = Touches(context)
        self._said = Seldom()
        self._base_url = context.settings.config.links.base_url

    async def by_path(self, scope: Scope) -> Answer:
        """``/c/{offer_id}``"""
        now = self._context.now()
        index = self._context.intake.catalog_at(now)
        asked = self._touches.asked(scope.query_string)
        return await self._follow(scope, now, index, scope.path[len(PREFIX) :], asked, DOOR)

    async def by_query(self, scope: Scope) -> Answer:
        """``/aff_c?offer_id=…``"""
        now = self._context.now()
        index = self._context.intake.catalog_at(now)
        asked = self._touches.asked(scope.query_string)
        return await self._follow(scope, now, index, asked.offer_id or "", asked, DOOR)

    async def by_slug(self, scope: Scope) -> Answer:
        """``/l/{slug}``, and its QR code under ``/l/{slug}.svg`` and ``.png``."""
        now = self._context.now()
        index = self._context.intake.catalog_at(now)
        slug, _, kind = scope.path[len(LINK_PREFIX) :].partition(".")
        entry = index.link(slug, now)
        if entry is not None and kind:
            return await qr_answer(scope, self._base_url, entry.link.slug, kind)
        if entry is None:
            shown = scope.path[len(LINK_PREFIX) :][:64]
            return await self._nowhere(
                InvalidEvent("UNKNOWN_LINK", "slug", f"no link {shown!r}"), scope, now, LINK_DOOR
            )
        link = entry.link
        asked = self._touches.asked(scope.query_string)
        if not entry.active(now):
            error = InvalidEvent("LINK_NOT_ACTIVE", "slug", f"link {link.slug!r} is not in force now")
            offer = index.offers[link.offer_id]
            answer = None if offer.fallback is None else self._moved(offer.fallback, offer, asked, now, None)
            return await self._nowhere(error, scope, now, LINK_DOOR, answer)
        # What the link says of itself goes before what somebody appended to it.
        fields, params = {**asked.fields, **entry.fields}, {**asked.params, "link": link.slug}
        asked = asked._replace(fields=fields, params=params, url=link.url or asked.url)
        return await self._follow(scope, now, index, link.offer_id, asked, LINK_DOOR)

    async def _follow(
        self, scope: Scope, now: int, index: CatalogIndex, offer_id: str, asked: Asked, door: str
    ) -> Answer:
        entry = index.offers.get(offer_id)
        if entry is None:
            return await self._nowhere(unknown("offer", offer_id), scope, now, door)
        page = entry.destination(now, asked.url)
        click: Click | None = None
        headers: HeaderList = []
        if not is_uncounted(scope):
            context = self._context
            try:
                click, headers = self._touches.take("click", door, scope, now, index, entry, asked)
                accepted = context.intake.accept_record(click, traceparent_of(scope))
            except InvalidEvent as error:
                click, headers = None, []
                await self._keep(error, scope, now, door)
            else:
                try:
                    await context.publish(accepted, door)
                except NotAcknowledged as error:
                    self._lose(error, scope, door)
        if page is None:
            detail = "the offer is not active, and it has no fallback page"
            return with_headers(sorry(scope, Refusal(HTTPStatus.NOT_FOUND, "OFFER_INACTIVE", detail)), headers)
        return with_headers(self._moved(page, entry, asked, now, click), headers)

    def _moved(self, page: LandingUrl, entry: OfferEntry, asked: Asked, now: int, click: Click | None) -> Answer:
        """302 to the page, its macros filled in. What a click would say is empty where there is none."""
        values: dict[str, str | None] = {**asked.fields, "offer_id": entry.offer.id, "timestamp": str(now // 1_000)}
        for name in OF_THE_CLICK:
            values[name] = None
        if click is not None:
            values["transaction_id"] = click.click_id
            values["country"] = click.country
            values["device"] = click.device
            values["os"] = click.os
            values["browser"] = click.browser
        return Answer(302, [("location", page.fill(values, asked.params)), NO_STORE, REFERRER_POLICY])

    async def _nowhere(
        self, error: InvalidEvent, scope: Scope, now: int, door: str, answer: Answer | None = None
    ) -> Answer:
        """A link that leads to no offer: kept as a dead letter, and the visitor is told, or sent to ``answer``."""
        if not is_uncounted(scope):
            await self._keep(error, scope, now, door)
        return answer or sorry(scope, refusal_of(error, HTTPStatus.NOT_FOUND))

    async def _keep(self, error: InvalidEvent, scope: Scope, now: int, door: str) -> None:
        try:
            await self._context.refuse(error, request_line(scope), now=now, door=door)
        except NotAcknowledged as error:
            self._lose(error, scope, door)

    def _lose(self, error: NotAcknowledged, scope: Scope, door: str) -> None:
        """The visitor goes on though nothing is durable: counted, and said. It may be in the log all the same.

        A program is told to come again, unless the spool is full: then nothing helps for a while.
        """
        if not isinstance(error, PublisherFull) and not is_browser(scope):
            raise error
        self._context.metrics.lost.labels(door).inc()
        if times := self._said.due():
            log.error("visits_not_recorded", door=door, times=times, reason=str(error))


def with_headers(answer: Answer, headers: HeaderList) -> Answer:
    if headers:
        answer.headers.extend(headers)
    return answer
