"""Landing URLs with macros: compiled once per catalog, filled in per click, always ASCII and percent-encoded."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

MACRO = re.compile(r"\{([A-Za-z][A-Za-z0-9_]*)\}")
UNRESERVED = re.compile(r"[A-Za-z0-9_.~-]*")
URL_SAFE = "%/:?#[]@!$&'()*+,;=~-._"


class LandingUrl:
    """A URL template. Known macros are those of the values it is filled with; unknown ones become empty."""

    __slots__ = ("_literals", "_macros")

    def __init__(self, template: str) -> None:
        parts = MACRO.split(template)
        self._literals = [quote(literal, safe=URL_SAFE) for literal in parts[::2]]
        self._macros = parts[1::2]

    def fill(self, values: Mapping[str, str | None]) -> str:
        """The URL for one click, every value percent-encoded."""
        out = self._literals[0]
        for macro, literal in zip(self._macros, self._literals[1:], strict=True):
            value = values.get(macro)
            if value:
                out += value if UNRESERVED.fullmatch(value) is not None else quote(value, safe="")
            out += literal
        return out
