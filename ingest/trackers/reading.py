"""A tracker's message read by paths: which of its values is which field of a conversion."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple
from urllib.parse import parse_qsl, urlsplit

import orjson
from pydantic import AfterValidator, BeforeValidator

from schemas.customer import customer_hash
from schemas.errors import InvalidClickId, InvalidEvent
from schemas.events import UUID_TEXT, ConversionIn
from schemas.ids import CLICK_ID_LENGTH, ClickIdKeys
from schemas.money import plain_number
from schemas.times import EPOCH, MILLISECOND, format_time

QUERY_FIELDS = 100
MAPPED = frozenset(ConversionIn.model_fields) - {"type", "received_at", "occurred_at", "goal"}


class Ignored(NamedTuple):
    """A message that is no conversion. ``kind`` is a label of a metric: one of a few, never a sender's text."""

    kind: str


def known_fields(paths: Mapping[str, Sequence[str]]) -> Mapping[str, Sequence[str]]:
    for name in paths:
        if name not in MAPPED:
            raise ValueError(f"{name!r} is no field of a conversion; these are: {', '.join(sorted(MAPPED))}")
    return paths


def one_or_more(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


Paths = Annotated[Mapping[str, Annotated[tuple[str, ...], BeforeValidator(one_or_more)]], AfterValidator(known_fields)]
"""Field of a conversion → where to find it (``properties.order_id``); the first that is there counts."""


def parse_json(body: bytes) -> Any:
    """JSON whose fractions stay text, since they may be money. InvalidEvent for anything else.

    orjson looks first: it refuses what Python's json lets through (lone surrogates, NaN, endless nesting).
    """
    try:
        orjson.loads(body)
        return json.loads(body, parse_float=str)
    except ValueError as error:
        raise InvalidEvent("INVALID_JSON", None, f"not JSON: {error}") from None


def find(message: Any, paths: Iterable[str]) -> str | None:
    """The first text or number, as text, that stands at one of the paths."""
    for path in paths:
        found = message
        for name in path.split("."):
            found = found.get(name) if isinstance(found, Mapping) else None
        if isinstance(found, str) and found.strip():
            return found.strip()
        if isinstance(found, int) and not isinstance(found, bool):
            return str(found)
    return None


def conversion_fields(message: Any, paths: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The fields that the paths find."""
    fields: dict[str, Any] = {}
    for name, where in paths.items():
        value = find(message, where)
        if value is None:
            continue
        if name == "amount":
            value = plain_number(value)
        elif name == "customer_id":
            value = customer_hash(value)
        elif name == "session_id" and UUID_TEXT.fullmatch(value) is None:
            continue
        fields[name] = value
    return fields


def own_click_id(keys: ClickIdKeys, texts: Iterable[Any]) -> str | None:
    """The first of the texts that is a click id we signed. A shop's own transaction id is not, and is no mistake."""
    for text in texts:
        if isinstance(text, str) and len(text) == CLICK_ID_LENGTH:
            try:
                keys.verify(text)
            except InvalidClickId:
                continue
            return text
    return None


def query_values(urls: Iterable[Any]) -> Iterator[str]:
    """Every parameter's value of the URLs: under whichever name a landing page was given its click id."""
    for url in urls:
        if isinstance(url, str) and "?" in url:
            try:
                yield from (value for _, value in parse_qsl(urlsplit(url).query, max_num_fields=QUERY_FIELDS))
            except ValueError:
                continue


def time_of(value: Any) -> int | None:
    """ISO 8601 with an offset, or milliseconds since the epoch, as milliseconds; None for anything else."""
    if not isinstance(value, str):
        return None
    if value.isascii() and value.isdecimal() and len(value) <= 14:
        return int(value)
    try:
        moment = datetime.fromisoformat(value)
        return None if moment.tzinfo is None else max((moment - EPOCH) // MILLISECOND, 0)
    except (ValueError, OverflowError):
        return None


def occurred_at(now: int, happened: int | None, sent: int | None) -> str:
    """When it happened by our clock: as long ago as it was, by the device's own clock, when the device sent it.

    That is Segment's and Snowplow's correction of wrong clocks, too. Never in the future.
    """
    if happened is None:
        return format_time(now)
    if sent is None:
        return format_time(min(happened, now))
    return format_time(max(now - max(sent - happened, 0), 0))
