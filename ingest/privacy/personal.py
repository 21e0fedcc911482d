"""Parameters that name a person: dropped from what is kept, and from referrers."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final
from urllib.parse import unquote_plus

from schemas.customer import without_emails

OURS: Final = "accredit_"
"""Names in ``params`` that begin so are ours; a sender's are dropped."""


def without_personal(params: Mapping[str, str], names: Collection[str]) -> dict[str, str]:
    """Params without those of these names (lower case); an e-mail address in any other becomes its hash."""
    return {
        name: without_emails(value) if "@" in value or "%40" in value else value
        for name, value in params.items()
        if name.lower() not in names
    }


def referrer_without_personal(referrer: str, names: Collection[str]) -> str:
    """A referring URL without user name and fragment, and without query parameters of these names."""
    if not ("?" in referrer or "#" in referrer or "@" in referrer or "%40" in referrer):
        return referrer
    url = referrer.partition("#")[0]
    url, mark, query = url.partition("?")
    scheme, slashes, rest = url.partition("://")
    if slashes:
        authority, slash, path = rest.partition("/")
        url = scheme + slashes + authority.rpartition("@")[2] + slash + path
    if mark:
        pairs = [
            p for p in query.split("&") if unquote_plus(p.partition("=")[0], errors="replace").lower() not in names
        ]
        url = f"{url}?{'&'.join(pairs)}" if pairs else url
    return without_emails(url) if "@" in url or "%40" in url else url
