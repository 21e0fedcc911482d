"""A catalog file to a checked ``Catalog``, or every problem in it with file, line and field."""

from __future__ import annotations

from pydantic import ValidationError

from schemas.catalog.check import check_overlaps, check_references
from schemas.catalog.document import Document, read_document
from schemas.catalog.model import Catalog
from schemas.errors import CatalogInvalid, Problem


def load_catalog(text: str, file: str = "catalog.yaml", *, refuse_overlaps: bool = True) -> Catalog:
    """Parse and check ``text``. CatalogInvalid lists every problem; nothing is returned by halves.

    ``refuse_overlaps`` False accepts contracts of one partner and scope that are in force at once, and a code owned
    twice at once; the greatest ``from`` then governs (RULES 2, details).
    """
    document = read_document(text, file)
    try:
        catalog = Catalog.model_validate(document.data)
    except ValidationError as error:
        raise CatalogInvalid(shape_problems(error, document)) from None
    problems = check_references(catalog, document)
    if refuse_overlaps:
        problems += check_overlaps(catalog, document)
    if problems:
        raise CatalogInvalid(problems)
    return catalog


def shape_problems(error: ValidationError, document: Document) -> list[Problem]:
    """pydantic's findings in the words of a catalog's author."""
    problems = []
    for found in error.errors(include_url=False):
        detail = found["msg"].removeprefix("Value error, ")
        if found["type"] == "missing":
            detail = "is required"
        elif found["type"] == "extra_forbidden":
            detail = "is not a field here; see the names in the documentation's catalog page"
        elif found["type"] in ("tuple_type", "list_type"):
            detail = "is a list: [ … ], or a line with a dash for each"
        elif found["type"] == "literal_error":
            detail = f"{found['input']!r} is none of {found['ctx']['expected']}"
        problems.append(document.problem(found["loc"], detail))
    return problems
