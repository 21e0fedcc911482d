"""What links are made of: the tracking domain, the catalog, the names of parameters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import quote, unquote

from ingest.catalog_index import CatalogIndex
from ingest.config import IngestConfig
from schemas.catalog import Catalog
from schemas.urls import read_web_url

BY_PATH, BY_QUERY, BY_SLUG, VIEW_BY_PATH, VIEW_BY_QUERY = "/c/", "/aff_c", "/l/", "/i/", "/aff_i"


@dataclass(frozen=True, slots=True)
class Ground:
    """What a link is judged by. ``base``: the tracking domain, like ``https://go.example``."""

    catalog: Catalog
    index: CatalogIndex
    config: IngestConfig
    base: str


class Address(NamedTuple):
    """A link taken apart: where it stands, its decoded path, its query as written."""

    origin: str
    path: str
    query: str

    @property
    def is_view(self) -> bool:
        """Whether it is an impression's."""
        return self.path.startswith(VIEW_BY_PATH) or self.path == VIEW_BY_QUERY


def read_address(text: str, base: str) -> Address | None:
    """A whole link, or one without its domain (``/c/shoes?partner=anna``); None for what is neither."""
    text = text.strip()
    url = read_web_url(base + text if text.startswith("/") and not text.startswith("//") else text)
    if url is None:
        return None
    path, _, query = url.rest.partition("#")[0].partition("?")
    return Address(url.origin, unquote(path), query)


def build(base: str, offer_id: str, partner_id: str, parameters: Sequence[tuple[str, str]] = ()) -> str:
    """A tracking link; ``parameters`` in their order, those without a value left out."""
    pairs = [("partner", partner_id), *((name, value) for name, value in parameters if value)]
    query = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)
    return f"{base}{BY_PATH}{quote(offer_id, safe='')}?{query}"
