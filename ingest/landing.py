"""Pages with macros: compiled once per catalog, filled in per click, always ASCII and percent-encoded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from ingest.aliases import MACROS

MACRO = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*)\}")
OURS = re.compile("{(" + "|".join(sorted(MACROS, key=len, reverse=True)) + ")}")
UNRESERVED = re.compile(r"[A-Za-z0-9_.~-]*")
URL_SAFE = "%/:?#[]@!$&'()*+,;=~-._"
NO_PARAMS: Mapping[str, str] = {}


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
        out = self._literals[0]
        for macro, literal in zip(self.macros, self._literals[1:], strict=True):
            value = values[macro] if macro in values else params.get(macro)
            if value:
                out += value if UNRESERVED.fullmatch(value) is not None else quote(value, safe="", errors="replace")
            out += literal
        return out

    def told(self) -> tuple[str, ...]:
        """The parameters of its query in which macros stand, like ``tid={transaction_id}``."""
        query = self.template.partition("#")[0].partition("?")[2]
        return tuple(pair for pair in query.split("&") if MACRO.search(pair) is not None and "=" in pair)
