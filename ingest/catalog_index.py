"""A catalog as the front door asks it: offers by id with their landing pages, advertisers by the tag in a click id."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ingest.landing import LandingUrl
from schemas.catalog import Catalog, Offer
from schemas.errors import InvalidEvent
from schemas.ids import advertiser_tag
from schemas.records import Adjustment, Click, Event


@dataclass(frozen=True, slots=True)
class OfferEntry:
    """An offer with its URLs compiled. ``fallback``: the offer's, else its program's, else the landing page."""

    offer: Offer
    landing: LandingUrl
    fallback: LandingUrl

    def destination(self, at: int) -> LandingUrl:
        """Where a click at the millisecond ``at`` goes."""
        return self.landing if self.offer.active(at) else self.fallback


@dataclass(frozen=True, slots=True)
class CatalogIndex:
    """One catalog version, indexed. ``program_owners``: program id → advertiser id."""

    version: int
    offers: Mapping[str, OfferEntry]
    advertisers: frozenset[str]
    program_owners: Mapping[str, str]
    tags: Mapping[bytes, str]

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
        offers: dict[str, OfferEntry] = {}
        for offer in catalog.offers:
            landing = LandingUrl(offer.landing_url)
            fallback = offer.fallback_url or fallbacks.get(offer.program)
            offers[offer.id] = OfferEntry(offer, landing, LandingUrl(fallback) if fallback else landing)
        advertisers = frozenset(advertiser.id for advertiser in catalog.advertisers)
        return cls(version, offers, advertisers, owners, {advertiser_tag(name): name for name in advertisers})

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


def unknown(what: str, name: str, advertiser: str | None = None) -> InvalidEvent:
    """``UNKNOWN_OFFER``, ``UNKNOWN_ADVERTISER`` or ``UNKNOWN_PROGRAM``, naming the field."""
    whose = f"{advertiser}'s part of the catalog" if advertiser is not None else "the catalog"
    shown = name if len(name) <= 64 else name[:64] + "…"
    return InvalidEvent(f"UNKNOWN_{what.upper()}", f"{what}_id", f"no {what} {shown!r} in {whose}")
