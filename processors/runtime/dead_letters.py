"""What the worker could not use, as dead letters with the original bytes (DESIGN 1.6)."""

from __future__ import annotations

from collections.abc import Iterator

from processors.runtime.evaluate import Unusable
from processors.runtime.intake import Refused
from schemas.events import dead_letter_id
from schemas.records import DeadLetter

STAGE = "attribution"
STAGE_SETTLEMENT = "settlement"


def of_record(topic: str, partition: int, refused: Refused, now: int, stage: str = STAGE) -> DeadLetter:
    """A record that never reached the store, with its place in the log. ``now`` in milliseconds."""
    original = refused.value or b""
    return letter(topic, partition, refused.reason, None, refused.detail, original, now, stage)._replace(
        offset=refused.offset, record_at=max(refused.record_at, 0), key=refused.key
    )


def of_events(partition: int, unusable: list[Unusable], now: int) -> Iterator[DeadLetter]:
    """What a session's evaluation could not use. Its place in the log is not kept in the store, so has no offset."""
    for one in unusable:
        received_at = one.received_at or now
        yield letter(one.topic, partition, one.reason, one.field, one.detail, one.value, received_at)._replace(
            key=one.session
        )


def letter(
    topic: str,
    partition: int,
    reason: str,
    field: str | None,
    detail: str,
    original: bytes,
    received_at: int,
    stage: str = STAGE,
) -> DeadLetter:
    return DeadLetter(
        dead_letter_id=dead_letter_id(stage, reason, original),
        version=received_at << 16 | 1,
        withdrawn=False,
        reason=reason,
        detail=detail,
        field=field,
        stage=stage,
        door=None,
        received_at=received_at,
        topic=topic,
        partition=partition,
        offset=None,
        record_at=None,
        key=None,
        original=original,
    )
