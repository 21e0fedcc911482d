"""A column mapping: which column of a foreign file is which field of ours. YAML, written by hand.

::

    type: conversion                  # or a column of theirs named type
    columns: {Order No: order_id, Total: amount, Bought: occurred_at, Remarks: null}
    constants: {advertiser_id: shop, goal: sale}
    defaults: {currency: EUR}
    times: {format: "%d.%m.%Y %H:%M", timezone: Europe/Berlin}
    delimiter: ";"
    encoding: latin-1

A column that is not named keeps its own name: a field of ours if there is one, else kept in ``params``; ``null`` leaves
it out. ``constants`` go before what the row says, ``defaults`` after.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from ingest.errors import FileUnreadable
from schemas.errors import InvalidEvent
from schemas.events import MODELS
from schemas.money import plain_number
from schemas.times import EPOCH, MILLISECOND, format_time

TIME_FIELDS = ("occurred_at", "received_at")
EPOCH_UNITS = {"epoch_s": Decimal(1_000), "epoch_ms": Decimal(1)}
FIELDS = frozenset(name for model in MODELS.values() for name in model.model_fields)


def known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise ValueError(f"{name!r} is no time zone; write one like Europe/Berlin or UTC") from None
    return name


def time_format(text: str) -> str:
    if text != "iso" and text not in EPOCH_UNITS and "%" not in text:
        raise ValueError(f"{text!r} is none of iso, epoch_s, epoch_ms, nor a format like '%d.%m.%Y %H:%M:%S'")
    return text


def ascii_compatible(name: str) -> str:
    try:
        if "\n,;\t".encode(name) == b"\n,;\t":
            return name
    except LookupError:
        pass
    raise ValueError(f"{name!r} is no encoding like utf-8, latin-1 or cp1252; convert the file to utf-8 first")


class TimeFormat(BaseModel):
    """How times are written, and in which zone where they do not say it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Annotated[str, AfterValidator(time_format)] = "iso"
    timezone: Annotated[str, AfterValidator(known_zone)] | None = None

    @cached_property
    def zone(self) -> tzinfo | None:
        """None: a time has to say its offset (a datetime of Parquet, which cannot, is UTC)."""
        return None if self.timezone is None else ZoneInfo(self.timezone)

    def read(self, value: Any) -> Any:
        """A time as RFC 3339 text. ValueError, or OverflowError, for what is none; what has another type stays."""
        if isinstance(value, datetime | date):
            moment = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
            return shown((moment.replace(tzinfo=moment.tzinfo or self.zone or UTC) - EPOCH) // MILLISECOND)
        if self.format in EPOCH_UNITS:
            return shown(int(Decimal(str(value)) * EPOCH_UNITS[self.format]))
        if not isinstance(value, str):
            return value
        if self.format == "iso" and self.zone is None:
            return value
        text = value.strip()
        moment = datetime.fromisoformat(text) if self.format == "iso" else datetime.strptime(text, self.format)
        if moment.tzinfo is None:
            if self.zone is None:
                raise ValueError(f"{text!r} says no offset; name the timezone in the mapping's times")
            moment = moment.replace(tzinfo=self.zone)
        return shown((moment - EPOCH) // MILLISECOND)


class ColumnMapping(BaseModel):
    """The file. Without one, columns bear our names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    type: Literal["click", "impression", "conversion", "adjustment"] | None = None
    columns: Mapping[str, str | None] = Field(default_factory=dict)
    constants: Mapping[str, str] = Field(default_factory=dict)
    defaults: Mapping[str, str] = Field(default_factory=dict)
    times: TimeFormat = TimeFormat()
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    encoding: Annotated[str, AfterValidator(ascii_compatible)] = "utf-8"

    @model_validator(mode="after")
    def check_names(self) -> ColumnMapping:
        """A field of ours that does not exist is a slip of the pen: it would be kept where nobody looks for it."""
        ours = [name for name in self.columns.values() if name is not None]
        known = FIELDS if self.type is None else frozenset(MODELS[self.type].model_fields)
        for name in (*ours, *self.constants, *self.defaults):
            if name not in known:
                raise ValueError(f"{name!r} is no field of {self.type or 'any event'}; see examples in docs/bulk.md")
        twice = {name for name in ours if ours.count(name) > 1}
        if twice:
            raise ValueError(f"more than one column is {', '.join(sorted(twice))}")
        return self

    @cached_property
    def taken(self) -> frozenset[str]:
        return frozenset(name for name in self.columns.values() if name is not None)

    def event(self, row: Any) -> dict[str, Any]:
        """The public event that a row is. InvalidEvent names the column that cannot be read."""
        if not isinstance(row, dict):
            raise InvalidEvent("INVALID_EVENT", None, f"a row is an object, not {type(row).__name__}")
        fields: dict[str, Any] = dict(self.defaults)
        for name, value in row.items():
            field = self.columns.get(name, f"column_{name}" if name in self.taken else name)
            if field is None or value is None or value == "":
                continue
            fields[field] = value if field in TIME_FIELDS else as_text(field, value)
        for field in TIME_FIELDS:
            if field in fields:
                try:
                    fields[field] = self.times.read(fields[field])
                except (ValueError, ArithmeticError) as error:
                    detail = f"{error}" if isinstance(error, ValueError) else f"{fields[field]!r} is not a time"
                    raise InvalidEvent("INVALID_TIME", field, detail) from None
        fields.update(self.constants)
        if self.type is not None:
            fields["type"] = self.type
        return fields


def shown(milliseconds: int) -> str:
    if milliseconds < 0:
        raise ValueError("it is before 1970")
    return format_time(milliseconds)


def as_text(field: str, value: Any) -> Any:
    """A cell as our events have it: text. Floats by their shortest decimal text; NaN is nothing."""
    if isinstance(value, str):
        return plain_number(value) if field == "amount" else value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, float):
        if value != value:
            return None
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else plain_number(repr(value))
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return str(value) if isinstance(value, int) else value


def read_mapping(path: Path | None) -> ColumnMapping:
    """The mapping of a file; the one that maps nothing for None. FileUnreadable names the field and why."""
    if path is None:
        return ColumnMapping()
    try:
        content = yaml.safe_load(path.read_text())
        return ColumnMapping.model_validate({} if content is None else content)
    except ValidationError as error:
        shown = [(".".join(str(part) for part in one["loc"]), one["msg"]) for one in error.errors()]
        problems = [f"{name}: {said}" if name else said for name, said in shown]
        raise FileUnreadable(f"{path}: {'; '.join(problems)}") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError) as error:
        raise FileUnreadable(f"{path}: {error}") from None
