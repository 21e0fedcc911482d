"""What differs between two catalogs, entry by entry and field by field, in the words of the catalog's file."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NamedTuple

from schemas.catalog.model import Catalog
from schemas.times import DAY, HOUR, MINUTE, SECOND, format_time

KINDS = {
    "advertisers": "advertiser",
    "offers": "offer",
    "partners": "partner",
    "contracts": "contract",
    "promo_codes": "promo code",
    "links": "link",
}
TIMES = {"from", "until"}
DURATIONS = {"window", "impression_window", "min_time", "hold"}


class FieldChange(NamedTuple):
    """A field with its old and new value as text; ``""`` where it is not given."""

    field: str
    old: str
    new: str


class Change(NamedTuple):
    """An entry that was added (``+``), taken out (``-``) or changed (``~``)."""

    sign: str
    kind: str
    name: str
    fields: tuple[FieldChange, ...]


def diff(old: Catalog | None, new: Catalog) -> list[Change]:
    """Every difference, in the order of the catalog's sections: taken out, changed, added."""
    changes: list[Change] = []
    for section, kind in KINDS.items():
        before = entries(old, section) if old is not None else {}
        after = entries(new, section)
        changes += [Change("-", kind, name, ()) for name in before if name not in after]
        for name, fields in after.items():
            if name not in before:
                given = tuple(FieldChange(field, "", value) for field, value in fields.items() if value)
                changes.append(Change("+", kind, name, given))
            elif changed := tuple(field_changes(before[name], fields)):
                changes.append(Change("~", kind, name, changed))
    return changes


def field_changes(old: dict[str, str], new: dict[str, str]) -> Iterator[FieldChange]:
    for field in dict.fromkeys([*old, *new]):
        if old.get(field, "") != new.get(field, ""):
            yield FieldChange(field, old.get(field, ""), new.get(field, ""))


def entries(catalog: Catalog, section: str) -> dict[str, dict[str, str]]:
    """Entries of a section by what names them, each with its fields as text, the naming ones left out."""
    named: dict[str, dict[str, str]] = {}
    for entry in getattr(catalog, section):
        fields = entry.model_dump(by_alias=True, exclude_defaults=True)
        if section == "promo_codes":  # the same code may have another owner from a date on (RULES R50)
            name = f"{entry.code} of {entry.program_id} from {format_time(entry.starts_at)}"
            fields = {field: fields[field] for field in fields if field not in ("code", "program_id", "from")}
        elif section == "links":  # a slug may be handed on, too
            name = f"{entry.slug} from {format_time(entry.starts_at)}" if entry.starts_at else entry.slug
            fields = {field: fields[field] for field in fields if field not in ("slug", "from")}
        else:
            name = fields.pop("id")
        named[name] = {field: value_text(field, value) for field, value in fields.items()}
    return named


def value_text(field: str, value: Any) -> str:
    """A value as the catalog's author would write it."""
    if value is None:
        return ""
    if field in TIMES and isinstance(value, int):
        return format_time(value)
    if field in DURATIONS and isinstance(value, int):
        return duration_text(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        inner = (f"{name}: {value_text(name, each)}" for name, each in value.items() if each not in (None, (), []))
        return "{" + ", ".join(inner) + "}"
    if isinstance(value, frozenset | set):
        value = sorted(value)
    if isinstance(value, list | tuple):
        return "[" + ", ".join(value_text(field, each) for each in value) + "]"
    return str(value)


def duration_text(milliseconds: int) -> str:
    """``30d``, ``12h``, ``90s``: in the largest unit that leaves no rest."""
    for name, unit in (("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND)):
        if milliseconds and milliseconds % unit == 0:
            return f"{milliseconds // unit}{name}"
    return f"{milliseconds}ms"
