"""A visitor's request as the touch that it is, click or impression, and the cookie that goes back with it."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from ingest.catalog_index import CatalogIndex, OfferEntry
from ingest.cookies import SessionCookie
from ingest.door import DoorContext
from ingest.http import HeaderList, Scope, host_of
from ingest.query import clean, parse_query, split_known
from schemas.errors import InvalidEvent
from schemas.ids import new_session_id, session_key
from schemas.records import Click

ID_LIMIT = 256
SESSION_ENTROPY = 10
CLICK_ENTROPY = 6
QUERIES_KEPT = 4_096
KEPT_QUERY_LENGTH = 512
"""Longer ones would let a stranger fill the memory."""


class Asked(NamedTuple):
    """What stands on a link. ``fields`` by our names, ``params`` what we have no field for, ``raw`` as it was sent.

    ``url``: the deep link, untouched; ``offer_id``: where the path names none.
    """

    fields: dict[str, str]
    params: dict[str, str]
    url: str | None
    offer_id: str | None
    raw: dict[str, str]


class Taken(NamedTuple):
    """A touch, and the headers of its answer: the cookie, where one may be set."""

    touch: Click
    headers: HeaderList


class Touches:
    """Makes touches. One per process."""

    def __init__(self, context: DoorContext) -> None:
        self._context = context
        self._cookie = SessionCookie(context.settings)
        self._aliases = context.settings.config.links.click_aliases
        self._known = lru_cache(maxsize=QUERIES_KEPT)(self._read)

    def asked(self, query: str) -> Asked:
        """A link's query string. Many visitors follow one link: what is returned is shared, and not to be changed."""
        return self._known(query) if len(query) <= KEPT_QUERY_LENGTH else self._read(query)

    def _read(self, query: str) -> Asked:
        raw = parse_query(query)
        known, others = split_known(raw, self._aliases)
        url, offer_id = known.pop("url", None), known.pop("offer_id", None)
        if "aff_click_id" in known:
            others["aff_click_id"] = known.pop("aff_click_id")
        fields = {name: text for name, value in known.items() if (text := clean(value)) is not None}
        return Asked(fields, cleaned(others), url, offer_id, raw)

    def take(
        self, kind: str, door: str, scope: Scope, now: int, index: CatalogIndex, entry: OfferEntry, asked: Asked
    ) -> Taken:
        """The touch of a request. InvalidEvent if it names no partner.

        Where the visitor's choice forbids to know it again there is no cookie, and the session is the touch's own.
        """
        context = self._context
        fields = asked.fields
        partner_id = partner_of(fields)
        edge, keys, entropy = context.edge, context.intake.keys, context.entropy
        visitor = edge.visitor(scope, now, asked.raw)
        get = scope.headers.get
        sid: str | None = None
        headers: HeaderList = []
        if visitor.may_identify:
            sid = self._cookie.read(scope.headers.get_all("cookie"))
            if sid is None or not edge.may_join(sid):
                sid = new_session_id(now, entropy(SESSION_ENTROPY))
            cookie = self._cookie.write(sid, scope.scheme, host_of(scope), index.cookie_age_s)
            headers.append(("set-cookie", cookie))
        else:
            sid = new_session_id(now, entropy(SESSION_ENTROPY))
        offer = entry.offer
        click_id = keys.mint(session_key(sid), now, offer.advertiser_id, entropy(CLICK_ENTROPY))
        marks = edge.marks(visitor, sid, offer.id, partner_id, now, kind)
        field = fields.get
        touch = Click(
            click_id,
            now,
            now,
            kind,
            partner_id,
            offer.id,
            marks.invalid,
            visitor.country,
            sid,
            field("source"),
            field("sub1"),
            field("sub2"),
            field("sub3"),
            field("sub4"),
            field("sub5"),
            visitor.device,
            visitor.os,
            visitor.browser,
            field("promo_code"),
            header_text(get("referer")),
            visitor.user_agent,
            visitor.address,
            edge.flagged(asked.params, marks.flags),
            door,
        )
        return Taken(touch, headers)


def partner_of(fields: dict[str, str]) -> str:
    """The partner; one that the catalog does not know is taken too, crediting then says NO_CONTRACT."""
    partner_id = fields.get("partner_id")
    if partner_id is None:
        raise InvalidEvent("MISSING_FIELD", "partner_id", "is required: add partner=ID to the link")
    if len(partner_id) > ID_LIMIT:
        raise InvalidEvent("INVALID_FIELD", "partner_id", f"has more than {ID_LIMIT} characters")
    return partner_id


def header_text(value: str | None) -> str | None:
    return None if value is None else clean(value)


def cleaned(params: dict[str, str]) -> dict[str, str]:
    """What we have no field for, as a record may keep it."""
    kept: dict[str, str] = {}
    for name, value in params.items():
        name_text, text = clean(name), clean(value)
        if name_text is not None and text is not None:
            kept[name_text] = text
    return kept
