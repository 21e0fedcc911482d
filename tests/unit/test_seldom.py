"""What happens thousands of times a second is said now and then."""

from ingest.seldom import Seldom


def test_said_at_once_then_seldom_with_the_number() -> None:
    now = 0.0
    seldom = Seldom(5.0, lambda: now)
    assert [seldom.due() for _ in range(3)] == [1, 0, 0]
    now = 4.9
    assert seldom.due() == 0
    now = 5.0
    assert [seldom.due(), seldom.due()] == [4, 0]
