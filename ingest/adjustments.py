"""``POST /v1/adjustments``: approve, reject, reverse or amend conversions after the fact (RULES R35 to R38).

An item is an adjustment event as ``/v1/events`` takes it, with less to write: ``type`` goes without saying,
``occurred_at`` is now, ``status`` may say what became of the conversion instead of ``action``, ``reason`` is the note.
It names its conversion by ``advertiser_id``, ``goal`` and ``order_id`` (or ``click_id``), or by ``conversion_id``.
Every action says where a conversion ends, not what is added to it, so the same one twice is the same as once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ingest.door import DoorContext
from ingest.events import BulkDoor
from ingest.idempotency import Idempotency
from schemas.errors import InvalidEvent
from schemas.times import format_time

DOOR = "adjustments"
ACTIONS: Mapping[str, str] = {
    "approved": "approve",
    "confirmed": "approve",
    "rejected": "reject",
    "declined": "reject",
    "reversed": "reverse",
    "returned": "reverse",
    "refunded": "reverse",
    "amended": "amend",
    "corrected": "amend",
}
"""What networks and shops call the state of a conversion → the action that leads there."""


def adjustments_door(context: DoorContext, idempotency: Idempotency) -> BulkDoor:
    return BulkDoor(context, idempotency, door=DOOR, permission="adjustments:write", shape=adjustment_fields)


def adjustment_fields(item: Any, now: int) -> Any:
    """The public adjustment that an item stands for; InvalidEvent where it is something else or contradicts itself."""
    if not isinstance(item, dict):
        return item
    if item.get("type", "adjustment") != "adjustment":
        raise InvalidEvent("INVALID_FIELD", "type", "only adjustments are taken here; send the rest to /v1/events")
    fields = {**item, "type": "adjustment"}
    fields.setdefault("occurred_at", format_time(now))
    for short, name in (("status", "action"), ("reason", "note")):
        value = fields.pop(short, None)
        if short == "status" and isinstance(value, str):
            value = ACTIONS.get(value.strip().lower(), value)
        if value is None:
            continue
        if fields.get(name, value) != value:
            raise InvalidEvent("INVALID_FIELD", short, f"contradicts {name}; send one of the two")
        fields[name] = value
    return fields
