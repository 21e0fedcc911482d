"""A conversion link's request out of a dead letter, taken anew. The operator vouches for it: no secret was kept."""

from __future__ import annotations

from typing import Any

from ingest.catalog_index import CatalogIndex
from ingest.conversion_config import PostbackConfig
from ingest.conversions import Browser, ConversionReader
from ingest.pixel import DOOR as BROWSER_DOOR
from ingest.postback import body_params
from ingest.query import parse_query
from schemas.ids import ClickIdKeys

PATHS = ("/pb", "/px", "/px.gif", "/px.html", "/aff_lsr", "/aff_l", "/aff_goal")
STRANGER = Browser(None, None, None, None)
"""A browser of which nothing was kept."""


def is_conversion_link(original: bytes) -> bool:
    """Whether the bytes are a conversion link's request as dead letters keep them."""
    return path_of(original) in PATHS


def path_of(original: bytes) -> str:
    method, _, target = original.partition(b"\r\n")[0].partition(b" ")
    return target.partition(b"?")[0].decode(errors="replace") if method in (b"GET", b"POST") else ""


def reported_again(
    original: bytes, door: str, config: PostbackConfig, keys: ClickIdKeys, index: CatalogIndex, at: int
) -> list[dict[str, Any]]:
    """The public events of the request, which first came at ``at``. InvalidEvent says what is still wrong."""
    line, _, body = original.partition(b"\r\n\r\n")
    query = line.decode(errors="replace").partition("?")[2]
    given = {**parse_query(query), **body_params("", body)}
    browser = STRANGER if door == BROWSER_DOOR else None
    reported = ConversionReader(config, keys).read(given, index, at, browser)
    return [event for event in (reported.conversion, reported.adjustment) if event is not None]
