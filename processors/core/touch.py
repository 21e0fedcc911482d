"""A touch as crediting sees it: the leading fields of a click."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Touch(NamedTuple):
    """The fields of ``click.v1.avsc`` up to ``country``, in its order. Times in milliseconds."""

    click_id: str
    occurred_at: int
    received_at: int
    type: str
    partner_id: str
    offer_id: str
    invalid: str | None
    country: str | None


def copy_order(touch: Touch) -> tuple[int, int, str, str, str, str, str]:
    return (
        touch.received_at,
        touch.occurred_at,
        touch.type,
        touch.partner_id,
        touch.offer_id,
        touch.invalid or "",
        touch.country or "",
    )


def distinct_touches(touches: Iterable[Touch]) -> list[Touch]:
    """One touch per click id, whatever the order: the copy received first, and invalid if any copy says so.

    A later check flags a touch by sending it again with ``invalid`` (RULES 2, details).
    """
    by_id: dict[str, Touch] = {}
    for touch in touches:
        known = by_id.setdefault(touch.click_id, touch)
        if known is not touch and known != touch:
            by_id[touch.click_id] = merged(known, touch)
    return list(by_id.values())


def merged(one: Touch, other: Touch) -> Touch:
    first, second = sorted((one, other), key=copy_order)
    if first.invalid is None and second.invalid is not None:
        return first._replace(invalid=second.invalid)
    return first
