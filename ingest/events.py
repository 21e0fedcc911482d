"""Server to server: ``POST /v1/events`` with a JSON array or NDJSON. One bad event does not cost the others.

``BulkDoor`` is the door of ``/v1/adjustments`` too. Each item gets a result, in order: ``accepted`` with the event's
id; ``duplicate`` for the same event again, as far as it is known here (a touch or an adjustment from this body, a
conversion from those that ``RecentConversions`` remembers); ``rejected`` with reason, field and detail, ``CONFLICT``
among them, where the order is known with other content (RULES R29, R30). Duplicates and conflicts go into the log all
the same: what they come to is decided behind it, where the audit counts them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus
from typing import Any

import orjson

from ingest.access.sender import Sender
from ingest.bodies import read_body
from ingest.compression import decompressed
from ingest.door import DoorContext
from ingest.envelope import Message
from ingest.errors import Refusal
from ingest.http import Answer, Exchange, Scope, json_answer, problem, traceparent_of
from ingest.idempotency import HEADER, Idempotency
from ingest.recent import Standing
from schemas.errors import InvalidEvent

DOOR = "bulk"
YIELD_EVERY = 100
NDJSON_TYPES = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"})
UNUSABLE = frozenset({"EMPTY_BODY", "INVALID_JSON", "UNDECODABLE_BODY"})
"""Of such a body nothing can be used: it is one dead letter."""
Item = tuple[Any, bytes, InvalidEvent | None]


class BulkDoor:
    """Takes up to 10 MB of events and answers 202 with a result for each, in their order."""

    methods = ("POST",)

    def __init__(
        self,
        context: DoorContext,
        idempotency: Idempotency,
        *,
        door: str = DOOR,
        permission: str = "events:write",
        shape: Callable[[Any, int], Any] | None = None,
    ) -> None:
        """``shape`` makes an item, received at a millisecond, the public event that it stands for."""
        self._context = context
        self._idempotency = idempotency
        self._door = door
        self._permission = permission
        self._shape = shape

    async def __call__(self, scope: Scope, exchange: Exchange) -> Answer:
        settings = self._context.settings
        sender = self._context.gate.bulk(scope, self._permission)
        raw = await read_body(scope, exchange, limit=settings.body_limit, timeout_s=settings.body_timeout_s)
        now = self._context.now()
        self._context.intake.catalog_at(now)  # NoCatalog before anything is judged
        headers = scope.headers

        async def take() -> Answer:
            items = items_of(body, headers.get("content-type") or "", settings.events_limit)
            return await self._take(items, now, traceparent_of(scope), sender)

        try:
            body = await decompressed(raw, headers.get("content-encoding"), limit=settings.decoded_limit)
            return await self._idempotency.once(sender.name, headers.get(HEADER), scope.path, body, take)
        except Refusal as refusal:
            if refusal.reason not in UNUSABLE:
                raise
            return await self._unusable(refusal, raw, now)

    async def _take(self, items: Iterator[Item], now: int, traceparent: str | None, sender: Sender) -> Answer:
        intake, door, shape = self._context.intake, self._door, self._shape
        messages: list[Message] = []
        results: list[dict[str, Any]] = []
        accepted: Counter[str] = Counter()
        refused: Counter[str] = Counter()
        seen: set[bytes] = set()
        standings: Counter[str] = Counter()
        remembered: list[str] = []
        for number, (fields, original, broken) in enumerate(items, 1):
            try:
                if broken is not None:
                    raise broken
                event = intake.accept(
                    fields if shape is None else shape(fields, now),
                    now=now,
                    door=door,
                    traceparent=traceparent,
                    may_send=sender.may_send,
                )
            except InvalidEvent as error:
                messages.append(intake.refuse(error, original or written_again(fields), now=now, door=door))
                refused[error.reason] += 1
                results.append(
                    {"status": "rejected", "reason": error.reason, "field": error.field, "detail": error.detail}
                )
            else:
                messages.append(event.message)
                accepted[event.kind] += 1
                if event.kind == "conversion":
                    standing = self._standing(event.id, fields, now)
                    if standing == "accepted":
                        remembered.append(event.id)
                else:
                    value = event.message.value
                    standing = "duplicate" if value in seen else "accepted"
                    seen.add(value)
                standings[standing] += 1
                results.append({"status": standing, "id": event.id} if standing != "conflict" else conflict(event.id))
            if number % YIELD_EVERY == 0:
                await asyncio.sleep(0)
        try:
            await self._context.publisher.publish_all(messages)
        except BaseException:
            for name in remembered:
                self._context.recent.forget(name)
            raise
        self._count(accepted, refused, standings)
        content = {
            "accepted": standings["accepted"],
            "duplicates": standings["duplicate"],
            "rejected": refused.total() + standings["conflict"],
            "results": results,
        }
        return json_answer(HTTPStatus.ACCEPTED, content)

    def _standing(self, conversion_id: str, fields: Mapping[str, Any], now: int) -> Standing:
        """What an accepted conversion is beside those known."""
        amount, currency = fields.get("amount"), fields.get("currency")
        given = currency.strip().upper() if currency else None
        if given is None:
            given = self._context.intake.catalog_at(now).currencies.get(fields["advertiser_id"].strip())
        return self._context.recent.meet(conversion_id, None if amount in (None, "") else str(amount).strip(), given)

    async def _unusable(self, refusal: Refusal, raw: bytes, now: int) -> Answer:
        """The whole body as one dead letter."""
        error = InvalidEvent(refusal.reason, None, refusal.detail)
        await self._context.publisher.publish(self._context.intake.refuse(error, raw, now=now, door=self._door))
        self._context.metrics.refused.labels(self._door, refusal.reason).inc()
        return problem(refusal)

    def _count(self, accepted: Counter[str], refused: Counter[str], standings: Counter[str]) -> None:
        for kind, count in accepted.items():
            self._context.metrics.accepted.labels(self._door, kind).inc(count)
        for reason, count in refused.items():
            self._context.metrics.refused.labels(self._door, reason).inc(count)
        for standing in ("duplicate", "conflict"):
            if standings[standing]:
                self._context.metrics.known.labels(self._door, standing).inc(standings[standing])


def conflict(conversion_id: str) -> dict[str, Any]:
    detail = (
        "the order is known with another amount or currency, and the first stands; to correct it send an adjustment"
    )
    return {"status": "rejected", "id": conversion_id, "reason": "CONFLICT", "field": "amount", "detail": detail}


def items_of(body: bytes, content_type: str, limit: int) -> Iterator[Item]:
    """The events of a body. Refusal 400 when nothing of it can be used, 413 when they are more than ``limit``.

    An array when it begins like one and is not declared NDJSON; else a JSON object a line. One object over several
    lines is taken too.
    """
    start = body.lstrip()[:1]
    if not start:
        raise unusable("EMPTY_BODY", "there is nothing in the body; send a JSON array or NDJSON")
    kind = content_type.partition(";")[0].strip().lower()
    if start == b"[" and kind not in NDJSON_TYPES:
        events = parse(body)
        if len(events) > limit:
            raise too_many(limit)
        return ((event, b"", None) for event in events)
    if kind == "application/json" and b"\n" not in body.strip():
        return iter([(parse(body), b"", None)])
    if kind == "application/json" and start == b"{":
        try:
            return iter([(orjson.loads(body), b"", None)])
        except orjson.JSONDecodeError:
            pass  # NDJSON under the wrong name
    if body.count(b"\n") >= limit:
        raise too_many(limit)
    return (read_line(line) for line in body.split(b"\n") if line.strip())


def parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise unusable("INVALID_JSON", f"the body is not JSON: {error}") from None


def read_line(line: bytes) -> Item:
    """One line of NDJSON with its original bytes."""
    try:
        return orjson.loads(line), line, None
    except orjson.JSONDecodeError as error:
        return None, line, InvalidEvent("INVALID_JSON", None, f"the line is not JSON: {error}")


def written_again(fields: Any) -> bytes:
    """An array's item as JSON again: its own bytes are not known any more."""
    try:
        return orjson.dumps(fields)
    except TypeError:  # nested deeper than orjson writes, though it reads it
        return b"(an item of an array, nested too deeply to be written again)"


def unusable(reason: str, detail: str) -> Refusal:
    return Refusal(HTTPStatus.BAD_REQUEST, reason, detail)


def too_many(limit: int) -> Refusal:
    detail = f"more than {limit} events; send them in parts"
    return Refusal(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "TOO_MANY_EVENTS", detail)
