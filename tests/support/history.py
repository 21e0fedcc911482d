"""A generated history: sessions with competing touches, sales, duplicates, late and invalid events. Seeded."""

from __future__ import annotations

import json
import random
from pathlib import Path
from uuid import UUID

from processors.core.offline import History
from processors.core.terms import OneCatalog
from schemas.catalog import load_catalog
from schemas.events import parse_event
from schemas.records import Click, Conversion
from schemas.times import DAY, MINUTE, format_time, parse_time

BEGAN = parse_time("2026-03-01T00:00:00Z")
PARTNERS = 12
GROUPS = ("preferred", "default", "non_preferred")

CATALOG = "\n".join(
    [
        "advertisers: [{id: shop, currency: EUR}]",
        'offers: [{id: lamps, advertiser_id: shop, landing_url: "https://shop.example/", window: 7d}]',
        "partners:",
        *(f"  - {{id: p{i}, type: publisher}}" for i in range(PARTNERS)),
        "contracts:",
        *(
            f"  - {{id: c{i}, partner_id: p{i}, program_id: shop, credit_group: {GROUPS[i % 3]}, "
            f'from: 2026-01-01T00:00:00Z, payout: [{{goal: sale, percent: "{i + 1}"}}]}}'
            for i in range(PARTNERS)
        ),
    ]
)


def history(clicks: int, seed: int) -> list[dict[str, object]]:
    """``clicks`` clicks and a sale for each tenth, shuffled, so that many clicks come after their sale."""
    chance = random.Random(seed)
    sessions = [str(UUID(int=chance.getrandbits(128), version=4)) for _ in range(clicks // 5)]
    events: list[dict[str, object]] = []
    for number in range(clicks):
        event = {
            "type": "click",
            "click_id": f"click-{number:07d}",
            "session_id": chance.choice(sessions),
            "occurred_at": format_time(BEGAN + chance.randrange(20 * DAY)),
            "offer_id": "lamps",
            "partner_id": f"p{chance.randrange(PARTNERS)}",
        }
        if chance.random() < 0.05:
            event["invalid"] = "bot"
        events.append(event)
    touches = list(events)
    for number in range(clicks // 10):
        click = chance.choice(touches)
        at = parse_time(str(click["occurred_at"])) + chance.randrange(MINUTE, 3 * DAY)
        sale = {
            "type": "conversion",
            "session_id": click["session_id"],
            "advertiser_id": "shop",
            "goal": "sale",
            "order_id": f"order-{number:06d}",
            "occurred_at": format_time(at),
            "amount": f"{chance.randrange(100, 50_000) / 100:.2f}",
        }
        events += [sale] * (2 if chance.random() < 0.05 else 1)
    chance.shuffle(events)
    for number, event in enumerate(events):  # every one received later than it occurred, and no two at once
        event_at = BEGAN + 30 * DAY + number
        events[number] = {**event, "received_at": format_time(event_at)}
    return events


def write(path: Path, events: list[dict[str, object]]) -> None:
    """As NDJSON."""
    path.write_text("".join(json.dumps(event) + "\n" for event in events))


def expected(events: list[dict[str, object]]) -> dict[tuple[str, str], tuple[str, ...]]:
    """What every undisturbed run comes to, by order and goal, as `accredit report --by order` shows it."""
    known = History()
    for fields in events:
        event = parse_event(fields, received_at=None, door="file")
        if isinstance(event, Click):
            known.add_click(event)
        elif isinstance(event, Conversion):
            known.add_conversion(event)
    standings, refused, conflicts = known.settle(OneCatalog(load_catalog(CATALOG)))
    assert not refused
    assert not conflicts
    found = {}
    for credit in (standing.credit for standing in standings):
        values = (credit.status, credit.partner_id, credit.decided_by, credit.payout, credit.currency)
        found[(credit.order_id or "", credit.goal)] = tuple(value or "" for value in values)
    return found
