"""A visitor's request as the touch that it is, click or impression, and the cookie that goes back with it.

This is the hot path: a redirect costs what this costs. What all visits of one link have in common is read, checked and
encoded once per link, and a visit is written from those parts and its own, without making its record first.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from ingest.catalog_index import CatalogIndex, LinkEntry, OfferEntry
from ingest.cookies import SessionCookie
from ingest.door import DoorContext
from ingest.edge.visitor import FLAGS, Visitor
from ingest.envelope import Message, click_message
from ingest.http import HeaderList, RequestHeaders, Scope
from ingest.intake import checked_size
from ingest.landing import BoundUrl, LandingUrl
from ingest.privacy.consent import consent_of
from ingest.privacy.keeper import Keeper
from ingest.privacy.personal import OURS
from ingest.query import clean, parse_query, split_known
from schemas.codec import frame_before, run_writer
from schemas.compiled import write_entries, write_map, write_text
from schemas.errors import InvalidEvent
from schemas.ids import ENTROPY_CLICK, ENTROPY_SESSION, session_key, session_text
from schemas.sealing import SEALED

ID_LIMIT: Final = 256
QUERIES_KEPT: Final = 4_096
KEPT_QUERY_LENGTH: Final = 512
"""Longer ones would let a stranger fill the memory."""
LINKS_KEPT: Final = 4
"""Offers, and short links, of one query string."""
OF_THE_VISIT: Final = ("transaction_id", "country", "device", "os", "browser", "timestamp")
"""Macros of a page that only the single visit has a value for; a parameter of that name on the link is none."""

TIMES: Final = ("occurred_at", "received_at")
WHAT: Final = ("type", "partner_id", "offer_id")
WHENCE: Final = ("invalid", "country")
TAGS: Final = ("source", "sub1", "sub2", "sub3", "sub4", "sub5")
AGENT: Final = ("device", "os", "browser")
PERSONAL: Final = ("promo_code", "referrer", "user_agent", "ip")
REST: Final = ("params", "door")
write_what: Final = run_writer("click", *WHAT)
write_tags: Final = run_writer("click", *TAGS)
write_times: Final = lru_cache(maxsize=64)(run_writer("click", *TIMES))
write_personal: Final = run_writer("click", *PERSONAL)
write_door: Final = run_writer("click", "door")
NOTHING_PERSONAL: Final = write_personal((None, None, None, None))
SEALED_NAME: Final = write_text(SEALED)
FRAME: Final = frame_before("click", ("click_id",), TIMES, WHAT, WHENCE, ("session_id",), TAGS, AGENT, PERSONAL, REST)
write_agent: Final = lru_cache(maxsize=4_096)(run_writer("click", *AGENT))
write_whence: Final = lru_cache(maxsize=4_096)(run_writer("click", *WHENCE))
write_flags: Final = lru_cache(maxsize=4_096)(lambda flags: write_entries([(FLAGS, ",".join(flags))]))


class Asked:
    """What stands on a link. ``fields`` by our names, ``params`` what we have no field for.

    ``url``: the deep link, untouched; ``offer_id``: where the path names none; ``consent``: the visitor's choice, where
    the link carries it. Many visitors follow one link, and share this; ``prepared`` keeps what was made of it.
    """

    __slots__ = ("consent", "fields", "offer_id", "params", "prepared", "through", "url")

    def __init__(
        self,
        fields: dict[str, str],
        params: dict[str, str],
        consent: dict[str, str],
        url: str | None = None,
        offer_id: str | None = None,
    ) -> None:
        self.fields = fields
        self.params = params
        self.consent = consent
        self.url = url
        self.offer_id = offer_id
        self.prepared: dict[tuple[str, str], PreparedLink] = {}
        self.through: dict[str, tuple[LinkEntry, Asked]] = {}


class PreparedLink:
    """What all visits of one link to one offer have in common; all but the pages are parts of the record.

    ``clear``: parameters, ``count`` of them; ``secret``: those that are sealed; ``end``: the door.
    """

    __slots__ = ("asked", "clear", "count", "end", "entry", "fallback", "landing", "secret", "tags", "what")

    def __init__(self, asked: Asked, entry: OfferEntry, kind: str, door: str, keeper: Keeper) -> None:
        fields, offer = asked.fields, entry.offer
        self.asked = asked
        self.entry = entry
        self.what = write_what((kind, fields.get("partner_id", ""), offer.id))
        self.tags = write_tags(tuple(map(fields.get, TAGS)))
        self.end = write_door((door,))
        clear, self.secret = keeper.params(asked.params)
        self.clear, self.count = write_entries(clear.items()), len(clear)
        landing = entry.landing if asked.url is None else entry.deep_links.page(asked.url) or entry.landing
        self.landing = self._bound(landing)
        self.fallback = None if entry.fallback is None else self._bound(entry.fallback)

    def _bound(self, page: LandingUrl) -> BoundUrl:
        return page.bound(OF_THE_VISIT, {**self.asked.fields, "offer_id": self.entry.offer.id}, self.asked.params)

    def page(self, now: int) -> BoundUrl | None:
        """Where a visit at the millisecond ``now`` goes; None: nowhere, the offer is inactive."""
        return self.landing if self.entry.active(now) else self.fallback


class Taken:
    """A touch as its message, and the headers of its answer: the cookie, where one may be set."""

    __slots__ = ("click_id", "headers", "message", "visitor")

    def __init__(self, click_id: str, visitor: Visitor, message: Message, headers: HeaderList) -> None:
        self.click_id = click_id
        self.visitor = visitor
        self.message = message
        self.headers = headers


class Touches:
    """Makes touches of one kind, click or impression. One per process and kind."""

    def __init__(self, context: DoorContext, kind: str) -> None:
        self._kind = kind
        self._edge = context.edge
        self._keeper = context.edge.keeper
        self._mint = context.intake.keys.mint
        self._entropy = context.entropy
        self._births = context.births
        self._cookie = SessionCookie(context.settings)
        self._aliases = context.settings.config.links.click_aliases
        self._known = lru_cache(maxsize=QUERIES_KEPT)(self._read)

    def asked(self, query: str) -> Asked:
        """A link's query string."""
        return self._known(query) if len(query) <= KEPT_QUERY_LENGTH else self._read(query)

    def _read(self, query: str) -> Asked:
        raw = parse_query(query)
        known, others = split_known(raw, self._aliases)
        url, offer_id = known.pop("url", None), known.pop("offer_id", None)
        if "aff_click_id" in known:
            others["aff_click_id"] = known.pop("aff_click_id")
        fields = {name: text for name, value in known.items() if (text := clean(value)) is not None}
        return Asked(fields, cleaned(others), consent_of(raw), url, offer_id)

    def through(self, entry: LinkEntry, asked: Asked) -> Asked:
        """What a short link says of itself, which goes before what somebody appended to it."""
        link = entry.link
        kept = asked.through.get(link.slug)
        if kept is not None and kept[0] is entry:
            return kept[1]
        fields, params = {**asked.fields, **entry.fields}, {**asked.params, "link": link.slug}
        found = Asked(fields, params, asked.consent, link.url or asked.url)
        keep(asked.through, link.slug, (entry, found))
        return found

    def link(self, asked: Asked, entry: OfferEntry, door: str) -> PreparedLink:
        """What is known of a visit before anybody comes."""
        name = door, entry.offer.id
        link = asked.prepared.get(name)
        if link is None or link.entry is not entry:
            link = PreparedLink(asked, entry, self._kind, door, self._keeper)
            keep(asked.prepared, name, link)
        return link

    def take(self, link: PreparedLink, scope: Scope, headers: RequestHeaders, now: int, index: CatalogIndex) -> Taken:
        """The touch of a request. InvalidEvent if it names no partner.

        Where the visitor's choice forbids to know it again there is no cookie, and the session is the touch's own.
        """
        asked, offer = link.asked, link.entry.offer
        partner_id = partner_of(asked.fields)
        edge, entropy = self._edge, self._entropy
        visitor = edge.visitor(scope, now, asked.consent, headers)
        answer: HeaderList = []
        if visitor.may_identify:
            sid = self._cookie.read(headers.get_all("cookie"))
            if sid is None or not edge.may_join(sid):
                key = self._births.key(now, entropy(ENTROPY_SESSION))
                sid = session_text(key)
            else:
                key = session_key(sid)
            host = scope.authority or headers.get("host") or ""
            answer.append(("set-cookie", self._cookie.write(sid, scope.scheme, host, index.cookie_age_s)))
        else:
            key = self._births.key(now, entropy(ENTROPY_SESSION))
            sid = session_text(key)
        click_id = self._mint(key, now, offer.advertiser_id, entropy(ENTROPY_CLICK))
        invalid, flags = edge.marks(visitor, sid, offer.id, partner_id, now, self._kind)
        entries, count = link.clear, link.count
        if flags:
            entries, count = entries + write_flags(flags), count + 1
        personal = visitor.address, visitor.user_agent, referrer_of(headers)
        (address, agent, referrer), sealed = self._keeper.visit(sid, personal, link.secret)
        if sealed is not None:
            entries, count = entries + SEALED_NAME + write_text(sealed), count + 1
        promo_code = asked.fields.get("promo_code")
        if promo_code is None and referrer is None and agent is None and address is None:
            clear = NOTHING_PERSONAL
        else:
            clear = write_personal((promo_code, referrer, agent, address))
        value = b"".join(
            (
                FRAME,
                write_text(click_id),
                write_times((now, now)),
                link.what,
                write_whence((invalid, visitor.country)),
                write_text(sid),
                link.tags,
                write_agent((visitor.device, visitor.os, visitor.browser)),
                clear,
                write_map(entries, count),
                link.end,
            )
        )
        message = click_message(click_id, key, checked_size(value), now, headers.get("traceparent"))
        return Taken(click_id, visitor, message, answer)


def keep(kept: dict[Any, Any], name: Any, value: Any) -> None:
    if len(kept) >= LINKS_KEPT:
        kept.clear()
    kept[name] = value


def partner_of(fields: dict[str, str]) -> str:
    """The partner; one that the catalog does not know is taken too, crediting then says NO_CONTRACT."""
    partner_id = fields.get("partner_id")
    if partner_id is None:
        raise InvalidEvent("MISSING_FIELD", "partner_id", "is required: add partner=ID to the link")
    if len(partner_id) > ID_LIMIT:
        raise InvalidEvent("INVALID_FIELD", "partner_id", f"has more than {ID_LIMIT} characters")
    return partner_id


def referrer_of(headers: RequestHeaders) -> str | None:
    referrer = headers.get("referer")
    return None if referrer is None else clean(referrer)


def cleaned(params: dict[str, str]) -> dict[str, str]:
    """What we have no field for, as a record may keep it."""
    kept: dict[str, str] = {}
    for name, value in params.items():
        name_text, text = clean(name), clean(value)
        if name_text is not None and text is not None and not name_text.startswith(OURS):
            kept[name_text] = text
    return kept
