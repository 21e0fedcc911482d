"""The catalog: who advertises, what is promoted, who may be credited, under which contracts."""

from schemas.catalog.load import load_catalog
from schemas.catalog.log import CatalogLog
from schemas.catalog.model import (
    Advertiser,
    Cashback,
    Catalog,
    Contract,
    Link,
    Offer,
    OfferStatus,
    Partner,
    Program,
    PromoCode,
    Rate,
)

__all__ = [
    "Advertiser",
    "Cashback",
    "Catalog",
    "CatalogLog",
    "Contract",
    "Link",
    "Offer",
    "OfferStatus",
    "Partner",
    "Program",
    "PromoCode",
    "Rate",
    "load_catalog",
]
