"""Pages with macros: compiled once per catalog, filled in per click, always ASCII and percent-encoded."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import Final
from urllib.parse import quote

from ingest.aliases import MACROS

MACRO: Final = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*)\}")
OURS: Final = re.compile("{(" + "|".join(sorted(MACROS, key=len, reverse=True)) + ")}")
UNRESERVED: Final = re.compile(r"[A-Za-z0-9_.~-]*")
URL_SAFE: Final = "%/:?#[]@!$&'()*+,;=~-._"
NO_PARAMS: Final[Mapping[str, str]] = {}


class LandingUrl:
    """A URL template. Its macros are our names and TUNE's (``MACROS``); any other is a parameter's on the link.

    ``foreign``: written by a partner, not by the operator: only our own macros are any, other braces are kept as text.
    """

    __slots__ = ("_literals", "macros", "template")

    def __init__(self, template: str, *, foreign: bool = False) -> None:
        self.template = template
        parts = (OURS if foreign else MACRO).split(template)
        self._literals = [quote(literal, safe=URL_SAFE) for literal in parts[::2]]
        self.macros = [MACROS.get(name, name) for name in parts[1::2]]

    def fill(self, values: Mapping[str, str | None], params: Mapping[str, str] = NO_PARAMS) -> str:
        """The URL for one click, every value percent-encoded. A macro without a value becomes empty."""
        return self.bound((), values, params).fill(NO_PARAMS)

    def bound(
        self, later: Collection[str], values: Mapping[str, str | None], params: Mapping[str, str] = NO_PARAMS
    ) -> BoundUrl:
        """The URL with all macros filled in but those ``later``, whose values only the single click has."""
        literals, macros = [self._literals[0]], []
        for macro, literal in zip(self.macros, self._literals[1:], strict=True):
            if macro in later:
                macros.append(macro)
                literals.append(literal)
            else:
                literals[-1] += encoded(values[macro] if macro in values else params.get(macro)) + literal
        return BoundUrl(literals, macros)

    def told(self) -> tuple[str, ...]:
        """The parameters of its query in which macros stand, like ``tid={transaction_id}``."""
        query = self.template.partition("#")[0].partition("?")[2]
        return tuple(pair for pair in query.split("&") if MACRO.search(pair) is not None and "=" in pair)


class BoundUrl:
    """A URL in which little is open: what visits of one link have in common is filled in."""

    __slots__ = ("_first", "_last", "_rest", "is_told_the_id_alone")

    def __init__(self, literals: Sequence[str], macros: Sequence[str]) -> None:
        self._first, self._last = literals[0], literals[-1]
        self._rest = tuple(zip(macros, literals[1:], strict=True))
        self.is_told_the_id_alone = list(macros) == ["transaction_id"]

    def fill(self, values: Mapping[str, str | None]) -> str:
        """The URL for one click."""
        out = self._first
        for macro, literal in self._rest:
            out += encoded(values.get(macro)) + literal
        return out

    def with_id(self, click_id: str) -> str:
        """The URL, where the click id is all that is open, as it mostly is. A click id needs no encoding."""
        return self._first + click_id + self._last


def encoded(value: str | None) -> str:
    if not value:
        return ""
    return value if UNRESERVED.fullmatch(value) is not None else quote(value, safe="", errors="replace")
