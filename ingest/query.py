"""URL-encoded parameters: query strings and forms. Never fails: what is not UTF-8 becomes U+FFFD."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_plus

from schemas.events import TEXT_LIMIT

PARAMS_LIMIT: Final = 100
"""Parameters of one request that are looked at; the hot path must not be slowed by a thousand."""
CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


def parse_query(text: str) -> dict[str, str]:
    """``a=1&b=2`` to a dict. Of a name given twice the first that is not empty counts; empty ones are not given."""
    found: dict[str, str] = {}
    for pair in text.split("&", PARAMS_LIMIT)[:PARAMS_LIMIT]:
        name, _, value = pair.partition("=")
        if not value or not name:
            continue
        if "%" in name or "+" in name:
            name = unquote_plus(name, errors="replace")
        if name not in found:
            if "%" in value or "+" in value:
                value = unquote_plus(value, errors="replace")
            found[name] = value
    return found


def clean(value: str) -> str | None:
    """A visitor's parameter as it may stand in a record: trimmed, no control characters, at most 1,024 characters."""
    if not value.isprintable():
        value = CONTROL.sub("", value)
    return value.strip()[:TEXT_LIMIT] or None


def split_known(given: Mapping[str, str], aliases: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Parameters by the name of our field, and the rest by their own. A field's own name goes before its aliases."""
    known: dict[str, str] = {}
    rest: dict[str, str] = {}
    for name, value in given.items():
        field = aliases.get(name)
        if field is None:
            rest[name] = value
        elif field == name or field not in known:
            known[field] = value
    return known, rest
