"""What is wrong with a link, or odd about it, in words for whoever made it. Pure: a link and a catalog in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import NamedTuple
from urllib.parse import parse_qsl

from console.links.address import BY_PATH, BY_QUERY, BY_SLUG, VIEW_BY_PATH, VIEW_BY_QUERY, Address, Ground, read_address
from ingest.aliases import CLICK_FIELDS
from ingest.catalog_index import LinkEntry, OfferEntry
from ingest.landing import MACRO
from processors.core.terms import CompiledCatalog
from schemas.events import TEXT_LIMIT
from schemas.times import format_time
from schemas.urls import URL_LIMIT, DeepLinkHosts, read_web_url

ERROR, WARNING = "error", "warning"


class Finding(NamedTuple):
    """``level``: ``error``, the link does not do its work; ``warning``: perhaps not what was meant."""

    level: str
    text: str


class Meant(NamedTuple):
    """Whom and what a link means, as far as the catalog knows; ``link`` where it is a short one."""

    partner_id: str | None
    offer: OfferEntry | None
    url: str | None
    link: LinkEntry | None = None


def check(text: str, ground: Ground, now: int) -> list[Finding]:
    """Everything about a link; an empty list is a good link."""
    address = read_address(text, ground.base)
    if address is None:
        return [
            Finding(ERROR, f"this is no address that every browser reads alike, like {ground.base}/c/OFFER?partner=ID")
        ]
    found: list[Finding] = []
    if address.origin != ground.base:
        found.append(Finding(WARNING, f"it leads to {address.origin}; the tracking domain here is {ground.base}"))
    if len(text) > URL_LIMIT:
        found.append(Finding(WARNING, f"it has {len(text)} characters; old software cuts off after {URL_LIMIT}"))
    meant = meaning(address, ground, now)
    if isinstance(meant, Finding):
        return [*found, meant]
    found += names(address, ground)
    found += partner(meant, ground, now)
    if meant.offer is not None:
        found += offer(meant, meant.offer, now, is_view=address.is_view)
    return found


def meaning(address: Address, ground: Ground, now: int) -> Meant | Finding:
    """Whom and what the link means, or why it means nothing."""
    aliases = ground.config.links.click_aliases
    known: dict[str, str] = {}
    for name, value in parse_qsl(address.query):
        field = aliases.get(name)
        if field is not None and (field == name or field not in known):
            known[field] = value
    path = address.path
    if path.startswith(BY_SLUG):
        slug = path[len(BY_SLUG) :].lower()
        entry = ground.index.link(slug, now)
        if entry is None:
            return Finding(ERROR, f"no link {slug!r} in the catalog{like(slug, ground.index.links)}")
        offer_id, partner_id = entry.link.offer_id, entry.link.partner_id
        return Meant(partner_id, ground.index.offers.get(offer_id), entry.link.url or known.get("url"), entry)
    if path.startswith(BY_PATH):
        offer_id = path[len(BY_PATH) :]
    elif path.startswith(VIEW_BY_PATH):
        offer_id = path[len(VIEW_BY_PATH) :].removesuffix(".gif")
    elif path in (BY_QUERY, VIEW_BY_QUERY):
        offer_id = known.get("offer_id", "")
    else:
        return Finding(
            ERROR, f"{path[:80]} is no path of a tracking link: /c/OFFER, /l/SLUG, /i/OFFER.gif, /aff_c, /aff_i"
        )
    if offer_id not in ground.index.offers:
        return Finding(ERROR, f"no offer {offer_id[:80]!r} in the catalog{like(offer_id, ground.index.offers)}")
    return Meant(known.get("partner_id"), ground.index.offers[offer_id], known.get("url"))


def names(address: Address, ground: Ground) -> Iterator[Finding]:
    """The parameters: given twice, left unfilled, too long."""
    aliases = ground.config.links.click_aliases
    by_field: dict[str, str] = {}
    for name, value in parse_qsl(address.query):
        field = aliases.get(name, name)
        if field in by_field:
            both = name if by_field[field] == name else f"{by_field[field]} and {name}"
            kept = field if field in (name, by_field[field]) else by_field[field]
            yield Finding(WARNING, f"{both} mean the same ({field}); only {kept} counts")
        by_field.setdefault(field, name)
        if field != "url" and MACRO.search(value):
            yield Finding(WARNING, f"{name}={value[:60]} is recorded as it stands: macros belong into landing pages")
        if field in CLICK_FIELDS and len(value) > TEXT_LIMIT:
            yield Finding(WARNING, f"{name} has {len(value)} characters; {TEXT_LIMIT} are kept")


def partner(meant: Meant, ground: Ground, now: int) -> Iterator[Finding]:
    """Whether somebody is there to be credited."""
    partner_id = meant.partner_id
    if not partner_id:
        yield Finding(ERROR, "no partner: nobody is credited, and the click is a dead letter; add partner=ID")
        return
    known = {each.id for each in ground.catalog.partners}
    if partner_id not in known:
        yield Finding(ERROR, f"no partner {partner_id[:80]!r} in the catalog{like(partner_id, known)}")
    elif meant.offer is not None:
        offer = meant.offer.offer
        contract = CompiledCatalog(ground.catalog).contract(partner_id, offer.id, offer.program, now)
        if contract is None:
            where = f"offer {offer.id!r} or its program {offer.program!r}"
            yield Finding(ERROR, f"{partner_id!r} has no contract on {where} now: a sale would not be credited")


def offer(meant: Meant, entry: OfferEntry, now: int, *, is_view: bool) -> Iterator[Finding]:
    """Whether it leads where it should."""
    offer_id = entry.offer.id
    if meant.link is not None and not meant.link.active(now):
        link = meant.link.link
        since = f"begins at {format_time(link.starts_at)}" if link.starts_at > now else "has ended"
        yield Finding(ERROR, f"link {link.slug!r} {since}: nothing is recorded")
    if not entry.active(now):
        where = "its fallback page" if entry.fallback is not None else "a page that says so: it has no fallback_url"
        yield Finding(ERROR, f"offer {offer_id!r} is not active now; visitors see {where}")
    if is_view:
        return
    if meant.url is not None:
        domains = entry.offer.deep_link_domains
        if read_web_url(meant.url.strip(" ")) is None:
            yield Finding(ERROR, f"url={meant.url[:80]} is no plain http address; visitors see the landing page")
        elif DeepLinkHosts(domains).read(meant.url.strip(" ")) is None:
            allowed = ", ".join(domains) or "none"
            yield Finding(
                ERROR, f"url= leads off the offer's deep_link_domains ({allowed}); visitors see the landing page"
            )
    elif "transaction_id" not in entry.landing.macros:
        yield Finding(
            WARNING, f"the landing page of {offer_id!r} does not get {{transaction_id}}: only cookies credit a sale"
        )


def like(name: str, known: Iterable[str]) -> str:
    close = get_close_matches(name, list(known), 3, 0.6)
    return f"; perhaps {' or '.join(map(repr, close))}" if close else ""
