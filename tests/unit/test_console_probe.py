"""Why a process says that it is not ready, in whichever form it says it."""

from __future__ import annotations

import pytest

from console.probe import reason_of
from console.topics import TopicState, rows


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b'{"ready": false, "reason": "waiting for the first catalog"}', "waiting for the first catalog"),
        (b'{"ready": false, "missing": ["kafka: away", "catalog: none"]}', "kafka: away, catalog: none"),
        (b'{"status": 503}', '{"status": 503}'),
        (b"Internal\n  Server Error", "Internal Server Error"),
        (b"[1, 2]", "[1, 2]"),
        (b"", ""),
    ],
)
def test_the_reason_is_found(body: bytes, reason: str) -> None:
    assert reason_of(body) == reason


def test_topics_as_rows() -> None:
    assert rows([TopicState("clicks", "session", "click", None)]) == [("clicks", "session", "click", None)]
