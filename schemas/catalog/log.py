"""The catalog log as far as it has been read: which version was in effect when (DESIGN 5)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from schemas.catalog.load import load_catalog
from schemas.catalog.model import Catalog
from schemas.records import CatalogVersion


class CatalogLog:
    """Versions 1, 2, 3, … in the log's order. Pure: whoever reads the log adds what it reads."""

    def __init__(self) -> None:
        self.versions: list[CatalogVersion] = []
        self._effective: list[int] = []
        self._catalogs: dict[int, Catalog] = {}

    def add(self, version: CatalogVersion) -> bool:
        """Take the next version. False for one whose number is taken: of two appliers at once the log's first won."""
        if version.version != len(self.versions) + 1:
            return False
        self.versions.append(version)
        self._effective.append(max(version.effective_at, self._effective[-1] if self._effective else 0))
        return True

    @property
    def latest(self) -> CatalogVersion | None:
        """The newest version, in effect already or a few seconds ahead; None before there is any."""
        return self.versions[-1] if self.versions else None

    def in_effect(self, at: int) -> tuple[int, Catalog]:
        """Version number and catalog that decide what was received at ``at``; the first has always been in effect.

        LookupError while there is no version.
        """
        number = self.number_in_effect(at)
        return number, self.catalog(number)

    def number_in_effect(self, at: int) -> int:
        """The version's number alone. LookupError while there is no version."""
        if not self.versions:
            raise LookupError("no catalog has been applied yet")
        return max(bisect_right(self._effective, at), 1)

    def catalog(self, number: int) -> Catalog:
        """The parsed catalog of a version that has been added."""
        if number not in self._catalogs:
            document = self.versions[number - 1].document
            self._catalogs[number] = load_catalog(document, f"version {number}", refuse_overlaps=False)
        return self._catalogs[number]

    @classmethod
    def of(cls, versions: Sequence[CatalogVersion]) -> CatalogLog:
        """A log of these versions."""
        log = cls()
        for version in versions:
            log.add(version)
        return log
