"""A plain touch, checked without pydantic: most of what is loaded, at half the cost.

It never judges: whatever is not plain (an unknown field, an odd character, a country in lower case, anything wrong) is
left to ``schemas.events.parse_event``, whose record for a plain touch is the same. A property test holds them equal.
"""

from __future__ import annotations

import re
from typing import Any

from schemas.events import FUTURE_TOLERANCE, TEXT_LIMIT, TouchIn
from schemas.ids import touch_id
from schemas.records import NO_PARAMS, Click
from schemas.times import parse_time

PLAIN_SESSION = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PLAIN_COUNTRY = re.compile(r"[A-Z]{2}")
NAMES = frozenset(TouchIn.model_fields)
TEXT = {str}


def quick_touch(fields: Any, received_at: int, door: str) -> Click | None:
    """The click or impression that ``fields`` are, or None: let ``parse_event`` judge."""
    if type(fields) is not dict or not NAMES.issuperset(fields):
        return None
    values = fields.values()
    if {*map(type, values)} != TEXT or not all(values) or max(map(len, values)) > TEXT_LIMIT:
        return None
    # Printable text has no white space but the blank: nothing is left to strip where none stands at an end.
    together = "|".join(values)
    if not together.isprintable() or "| " in together or " |" in together or " " in (together[0], together[-1]):
        return None
    try:
        kind, session_id, partner_id = fields["type"], fields["session_id"], fields["partner_id"]
        offer_id, occurred_at = fields["offer_id"], parse_time(fields["occurred_at"])
    except (KeyError, ValueError):
        return None
    get = fields.get
    country = get("country")
    if (
        (kind != "click" and kind != "impression")
        or PLAIN_SESSION.fullmatch(session_id) is None
        or occurred_at > received_at + FUTURE_TOLERANCE
        or "received_at" in fields  # is checked, though it does not count
        or (country is not None and PLAIN_COUNTRY.fullmatch(country) is None)
    ):
        return None
    return Click(
        get("click_id") or touch_id(kind, session_id, occurred_at, offer_id, partner_id),
        occurred_at,
        received_at,
        kind,
        partner_id,
        offer_id,
        get("invalid"),
        country,
        session_id,
        get("source"),
        get("sub1"),
        get("sub2"),
        get("sub3"),
        get("sub4"),
        get("sub5"),
        get("device"),
        get("os"),
        get("browser"),
        get("promo_code"),
        get("referrer"),
        get("user_agent"),
        get("ip"),
        NO_PARAMS,
        door,
    )
