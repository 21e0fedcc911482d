"""What trackers' doors have in common: messages in; conversions and dead letters durable before the answer."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import orjson

from ingest.door import DoorContext
from ingest.envelope import Message
from ingest.errors import Refusal
from ingest.http import Scope, refusal_of, traceparent_of
from ingest.originals import clean, is_secret
from ingest.trackers.reading import Ignored
from schemas.customer import without_emails
from schemas.errors import InvalidEvent
from schemas.records import Event

BODY_LIMIT = 1 << 20
"""Bytes of one request: SDKs send half of it at most."""


class Rejection(NamedTuple):
    """A message that could not be taken, by its place in the request, from 0."""

    place: int
    error: InvalidEvent


class Taken(NamedTuple):
    """What became of a request's messages."""

    accepted: int
    ignored: int
    rejected: list[Rejection]


class TrackerIntake:
    """Takes the messages of one door."""

    def __init__(self, context: DoorContext, door: str) -> None:
        self._context = context
        self._door = door

    async def take(
        self,
        scope: Scope,
        messages: Iterable[Any],
        read: Callable[[Any], dict[str, Any] | Ignored],
        now: int,
        may_send: Callable[[Event], None] | None = None,
    ) -> Taken:
        """All durable when it returns. Refusal when there was something to take and all of it was rejected."""
        context, door = self._context, self._door
        outgoing: list[Message] = []
        kinds: list[str] = []
        rejected: list[Rejection] = []
        ignored = 0
        for index, message in enumerate(messages):
            try:
                found = read(message)
                if isinstance(found, Ignored):
                    context.metrics.ignored.labels(door, found.kind).inc()
                    ignored += 1
                    continue
                accepted = context.intake.accept(
                    found, now=now, door=door, traceparent=traceparent_of(scope), may_send=may_send
                )
            except InvalidEvent as error:
                outgoing.append(context.intake.refuse(error, kept(message), now=now, door=door))
                rejected.append(Rejection(index, error))
            else:
                outgoing.append(accepted.message)
                kinds.append(accepted.kind)
        await context.publisher.publish_all(outgoing)
        for kind in kinds:
            context.metrics.took(door, kind)
        for each in rejected:
            context.metrics.refused.labels(door, each.error.reason).inc()
        if rejected and not kinds and not ignored:
            raise refusal_of(rejected[0].error)
        return Taken(len(kinds), ignored, rejected)

    async def unusable(self, error: InvalidEvent, body: bytes, now: int) -> Refusal:
        """The body as one dead letter; what to tell its sender."""
        original = without_emails(body.decode(errors="replace")).encode(errors="replace")
        await self._context.refuse(error, original, now=now, door=self._door)
        return refusal_of(error)


def kept(message: Any) -> bytes:
    """A message for a dead letter, without e-mail addresses and whatever is named like a secret."""
    try:
        shown = {k: v for k, v in message.items() if not is_secret(k)} if isinstance(message, dict) else message
        return orjson.dumps(clean(shown))
    except (InvalidEvent, TypeError):
        return b"(nested too deeply to be written again)"
