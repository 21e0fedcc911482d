"""A catalog as the front door asks it: offers with their pages, short links, advertisers by the tag in a click id."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ingest.cookies import MAX_AGE_LIMIT_S
from ingest.deep_links import DeepLinks
from ingest.landing import LandingUrl
from schemas.catalog import Catalog, Link, Offer
from schemas.errors import InvalidEvent
from schemas.ids import advertiser_tag
from schemas.records import Adjustment, Click, Event
from schemas.times import DAY, SECOND

DEFAULT_WINDOW = 30 * DAY
"""RULES 2, details."""
LINK_FIELDS = ("partner_id", "source", "sub1", "sub2", "sub3", "sub4", "sub5")


@dataclass(frozen=True, slots=True)
class OfferEntry:
    """An offer with its pages compiled. ``fallback``: the offer's own, else its program's; None: there is none.

    ``since`` and ``states``: from when on it was active or not, in order; none: always.
    """

    offer: Offer
    landing: LandingUrl
    fallback: LandingUrl | None
    deep_links: DeepLinks
    since: Sequence[int]
    states: Sequence[bool]

    @classmethod
    def of(cls, offer: Offer, program_fallback: str | None) -> OfferEntry:
        """Compile an offer of a checked catalog."""
        landing = LandingUrl(offer.landing_url)
        fallback = offer.fallback_url or program_fallback
        since = sorted({entry.starts_at for entry in offer.status})
        states = [offer.active(at) for at in since]
        deep_links = DeepLinks(offer.deep_link_domains, landing.told())
        return cls(offer, landing, LandingUrl(fallback) if fallback else None, deep_links, since, states)

    def active(self, at: int) -> bool:
        """As ``Offer.active``, without sorting."""
        since = self.since
        if not since:
            return True
        index = bisect_right(since, at)
        return index > 0 and self.states[index - 1]

    def destination(self, at: int, url: str | None) -> LandingUrl | None:
        """Where a click at the millisecond ``at`` goes that asks for ``url``; None: nowhere, the offer is inactive."""
        if not self.active(at):
            return self.fallback
        if url is None:
            return self.landing
        return self.deep_links.page(url) or self.landing


@dataclass(frozen=True, slots=True)
class LinkEntry:
    """A short link: what its clicks say of themselves."""

    link: Link
    fields: Mapping[str, str]

    @classmethod
    def of(cls, link: Link) -> LinkEntry:
        """Compile a link of a checked catalog."""
        given = ((name, getattr(link, name)) for name in LINK_FIELDS)
        return cls(link, {name: value for name, value in given if value is not None})

    def active(self, at: int) -> bool:
        """Whether it is in force at the millisecond ``at``."""
        ends_at = self.link.ends_at
        return self.link.starts_at <= at and (ends_at is None or at < ends_at)


@dataclass(frozen=True, slots=True)
class CatalogIndex:
    """One catalog version, indexed. ``program_owners``: program id → advertiser id; ``links``: slug → its entries."""

    version: int
    offers: Mapping[str, OfferEntry]
    links: Mapping[str, Sequence[LinkEntry]]
    advertisers: frozenset[str]
    program_owners: Mapping[str, str]
    tags: Mapping[bytes, str]
    cookie_age_s: int
    """How long a session can matter: the longest window of the catalog."""
    currencies: Mapping[str, str]
    """Advertiser → the currency of a conversion that names none."""
    buyers: frozenset[str]
    """Customers who are partners (RULES, SELF_REFERRAL)."""

    @classmethod
    def of(cls, version: int, catalog: Catalog) -> CatalogIndex:
        """Index a catalog whose references have been checked."""
        owners: dict[str, str] = {}
        fallbacks: dict[str, str] = {}
        for advertiser in catalog.advertisers:
            owners[advertiser.id] = advertiser.id
            for program in advertiser.programs:
                owners[program.id] = advertiser.id
                if program.fallback_url is not None:
                    fallbacks[program.id] = program.fallback_url
        offers = {offer.id: OfferEntry.of(offer, fallbacks.get(offer.program)) for offer in catalog.offers}
        links: dict[str, list[LinkEntry]] = defaultdict(list)
        for link in catalog.links:
            links[link.slug].append(LinkEntry.of(link))
        advertisers = frozenset(advertiser.id for advertiser in catalog.advertisers)
        tags = {advertiser_tag(name): name for name in advertisers}
        currencies = {advertiser.id: advertiser.currency for advertiser in catalog.advertisers}
        buyers = frozenset(buyer for partner in catalog.partners for buyer in partner.buyer_ids)
        age_s = cookie_age_s(catalog)
        return cls(version, offers, dict(links), advertisers, owners, tags, age_s, currencies, buyers)

    def link(self, slug: str, at: int) -> LinkEntry | None:
        """The short link in force at ``at``, else the last one that had this slug; None for a slug nobody had."""
        entries = self.links.get(slug.lower())
        if not entries:
            return None
        in_force = [entry for entry in entries if entry.active(at)]
        return max(in_force or entries, key=lambda entry: entry.link.starts_at)

    def check(self, event: Event) -> None:
        """InvalidEvent for an event that names an offer, advertiser or program which this catalog does not have.

        An unknown partner is no error: crediting says ``NO_CONTRACT``, and the partner may be added later.
        """
        if isinstance(event, Click):
            if event.offer_id not in self.offers:
                raise unknown("offer", event.offer_id)
            return
        if event.advertiser_id not in self.advertisers:
            raise unknown("advertiser", event.advertiser_id)
        if isinstance(event, Adjustment):
            return
        advertiser = event.advertiser_id
        if event.program_id is not None and self.program_owners.get(event.program_id) != advertiser:
            raise unknown("program", event.program_id, advertiser)
        if event.offer_id is not None:
            entry = self.offers.get(event.offer_id)
            if entry is None or entry.offer.advertiser_id != advertiser:
                raise unknown("offer", event.offer_id, advertiser)


def cookie_age_s(catalog: Catalog) -> int:
    """Seconds of the longest window in which any touch can be credited, as far as browsers go along."""
    windows = [offer.window for offer in catalog.offers]
    windows += [window for contract in catalog.contracts for window in (contract.window, contract.impression_window)]
    longest = max([DEFAULT_WINDOW, *(window for window in windows if window is not None)])
    return min(-(-longest // SECOND), MAX_AGE_LIMIT_S)


def unknown(what: str, name: str, advertiser: str | None = None) -> InvalidEvent:
    """``UNKNOWN_OFFER``, ``UNKNOWN_ADVERTISER`` or ``UNKNOWN_PROGRAM``, naming the field."""
    whose = f"{advertiser}'s part of the catalog" if advertiser is not None else "the catalog"
    shown = name if len(name) <= 64 else name[:64] + "…"
    return InvalidEvent(f"UNKNOWN_{what.upper()}", f"{what}_id", f"no {what} {shown!r} in {whose}")
