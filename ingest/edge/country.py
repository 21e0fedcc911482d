"""Which country an address is in: by iptocc's table of the registries' allocations, or by a MaxMind database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import iptocc
import maxminddb

from ingest.edge.watched import Watched

if TYPE_CHECKING:
    from collections.abc import Callable


class Countries:
    """``of(address)`` is ISO 3166 alpha-2, or None. ``look`` once in a while, so that a new file is taken up."""

    def __init__(self, file: Path | None) -> None:
        self._file = Watched(file, open_database) if file is not None else None
        self.of: Callable[[str], str | None] = iptocc.country_code if self._file is None else self._by_file

    def look(self, now: int) -> bool:
        """Whether the answers may have changed."""
        return self._file is not None and self._file.look(now)

    def _by_file(self, address: str) -> str | None:
        assert self._file is not None
        try:
            found = self._file.content.get(address)
        except ValueError:
            return None
        if not isinstance(found, dict):
            return None
        # Where a network is used goes before where it is registered.
        for part in ("country", "registered_country"):
            country = found.get(part)
            if isinstance(country, dict) and isinstance(code := country.get("iso_code"), str):
                return code
        return None


def open_database(path: Path) -> maxminddb.Reader:
    """The whole file in memory, so that replacing it in place cannot pull the pages away. ValueError."""
    try:
        return maxminddb.open_database(path, maxminddb.MODE_MEMORY)
    except maxminddb.InvalidDatabaseError as error:
        raise ValueError(str(error)) from error
