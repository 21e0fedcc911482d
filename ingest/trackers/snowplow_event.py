"""One event of Snowplow's tracker protocol: its parameters, and what its self-describing JSON says."""

from __future__ import annotations

import binascii
from base64 import urlsafe_b64decode
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from ingest.trackers.reading import parse_json
from schemas.errors import InvalidEvent

KINDS: Mapping[str, str] = {
    "pv": "page_view",
    "pp": "page_ping",
    "tr": "transaction",
    "ti": "transaction_item",
    "se": "structured",
    "ue": "self_describing",
}
ECOMMERCE = "com.snowplowanalytics.snowplow.ecommerce"
ENHANCED = "com.google.analytics.enhanced-ecommerce"
ACTIONS = {
    f"{ECOMMERCE}/snowplow_ecommerce_action": ("type", "transaction", f"{ECOMMERCE}/transaction"),
    f"{ENHANCED}/action": ("action", "purchase", f"{ENHANCED}/actionFieldObject"),
}
"""Schema of an e-commerce action → what in it says that it is a purchase, and the entity that has its numbers."""


class SnowplowEvent(NamedTuple):
    """``kind`` is one of ``KINDS`` or ``other``; ``schema`` is ``vendor/name`` of a self-describing event.

    ``data``: what that event says, or the purchase's entity.
    """

    kind: str
    params: Mapping[str, Any]
    schema: str | None
    data: Mapping[str, Any]
    is_transaction: bool


def read_event(params: Mapping[str, Any]) -> SnowplowEvent:
    """InvalidEvent names the parameter that cannot be read."""
    code = params.get("e")
    kind = KINDS.get(code, "other") if isinstance(code, str) else "other"
    if kind != "self_describing":
        return SnowplowEvent(kind, params, None, {}, kind == "transaction")
    _, event = described(self_describing(params, "ue_px", "ue_pr"))
    schema, said = described(event)
    data: Mapping[str, Any] = said if isinstance(said, Mapping) else {}
    action = ACTIONS.get(schema or "")
    if action is None or data.get(action[0]) != action[1]:
        return SnowplowEvent(kind, params, schema, data, False)
    entities = dict(entities_of(params))
    return SnowplowEvent(kind, params, schema, {**data, **entities.get(action[2], {})}, True)


def self_describing(params: Mapping[str, Any], encoded: str, plain: str) -> Any:
    """The JSON of a parameter, in base64 or as it is; None where there is neither."""
    for name in (encoded, plain):
        text = params.get(name)
        if not isinstance(text, str):
            continue
        try:
            return parse_json(from_base64(text) if name == encoded else text.encode())
        except (ValueError, InvalidEvent) as error:
            raise InvalidEvent("INVALID_FIELD", name, f"cannot be read: {error}") from None
    return None


def from_base64(text: str) -> bytes:
    """Base64 in either alphabet, with or without its padding. ValueError for anything else."""
    bare = text.replace("+", "-").replace("/", "_").rstrip("=")
    try:
        return urlsafe_b64decode(bare + "=" * (-len(bare) % 4))
    except binascii.Error as error:
        raise ValueError(f"not base64: {error}") from None


def described(content: Any) -> tuple[str | None, Any]:
    """``{"schema": "iglu:vendor/name/jsonschema/1-0-0", "data": …}`` as ``vendor/name`` and data ({} for none)."""
    if not isinstance(content, Mapping):
        return None, {}
    schema, data = content.get("schema"), content.get("data")
    parts = schema.removeprefix("iglu:").split("/") if isinstance(schema, str) else []
    return "/".join(parts[:2]) if len(parts) >= 2 else None, data if isinstance(data, Mapping | list) else {}


def entities_of(params: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The context entities of an event by their ``vendor/name``."""
    _, entities = described(self_describing(params, "cx", "co"))
    for entity in entities if isinstance(entities, list) else ():
        schema, data = described(entity)
        if schema is not None and isinstance(data, Mapping):
            yield schema, data
