"""What a process remembers of conversions: the latest, and no more of them than it may."""

from __future__ import annotations

from ingest.recent import RecentConversions

IDS = [f"{number:032x}" for number in range(5)]


def test_content_is_amount_and_currency() -> None:
    recent = RecentConversions()
    assert recent.meet(IDS[0], "5", "EUR") == "accepted"
    assert recent.meet(IDS[0], "5.00", "EUR") == "duplicate"
    assert recent.meet(IDS[0], "5", "USD") == "conflict"
    assert recent.meet(IDS[0], None, "EUR") == "conflict"
    assert recent.meet(IDS[1], None, None) == "accepted"
    assert recent.meet(IDS[1], None, None) == "duplicate"


def test_the_oldest_go_first() -> None:
    recent = RecentConversions(limit=3)
    for name in IDS:
        recent.meet(name, "5", "EUR")
    assert len(recent) == 3
    assert [recent.meet(name, "5", "EUR") for name in IDS[2:]] == ["duplicate"] * 3
    assert recent.meet(IDS[0], "5", "EUR") == "accepted"


def test_nothing_is_remembered_where_nothing_may_be() -> None:
    recent = RecentConversions(limit=0)
    assert [recent.meet(IDS[0], "5", "EUR") for _ in range(2)] == ["accepted", "accepted"]


def test_forgotten_is_new_again() -> None:
    recent = RecentConversions()
    recent.meet(IDS[0], "5", "EUR")
    recent.forget(IDS[0])
    assert recent.meet(IDS[0], "6", "EUR") == "accepted"
