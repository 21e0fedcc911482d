"""Rows as CSV and JSON."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

from console.tables import to_csv, to_json

COLUMNS = ("order_id", "payout", "at", "notes")
ROWS = [
    ("A,1", Decimal("1E+1"), datetime(2026, 5, 1, 10, tzinfo=UTC), ["DUPLICATES 1"]),
    (None, None, datetime(2026, 5, 1, 10, 0, 0, 20_000), []),
]


def test_csv_has_plain_money_and_nothing_for_null() -> None:
    assert to_csv(COLUMNS, ROWS) == (
        'order_id,payout,at,notes\n"A,1",10,2026-05-01T10:00:00Z,"[""DUPLICATES 1""]"\n,,2026-05-01T10:00:00.020Z,[]\n'
    )


def test_json_keeps_money_as_text() -> None:
    first, second = json.loads(to_json(COLUMNS, ROWS))
    assert first == {"order_id": "A,1", "payout": "10", "at": "2026-05-01T10:00:00Z", "notes": ["DUPLICATES 1"]}
    assert second["payout"] is None
