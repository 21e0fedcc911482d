"""Taking one conversion, whatever link it came by: who may send it, what it comes to, and the truth in return."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from ingest.conversions import Browser, ConversionReader
from ingest.door import DoorContext
from ingest.errors import Refusal
from ingest.http import Scope, refusal_of, traceparent_of
from ingest.intake import Accepted
from ingest.originals import kept_request
from ingest.recent import Standing
from schemas.codec import decode
from schemas.errors import InvalidEvent
from schemas.records import Conversion

KEPT_REFUSALS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
"""Refusals that may be a mistake in a sender's settings: the conversion is kept, and can be retried."""


class Taken(NamedTuple):
    """What was made durable. ``standing`` is the conversion's; ``action`` the adjustment's (``approve``, …)."""

    conversion_id: str
    standing: Standing
    action: str | None

    @property
    def public(self) -> dict[str, str]:
        """As JSON answers say it."""
        said = {"status": self.standing, "conversion_id": self.conversion_id}
        if self.action is None:
            return said
        # The adjustment is what is new, however well the conversion is known.
        return {**said, "status": "accepted", "conversion": self.standing, "action": self.action}


class ConversionLink:
    """Takes requests of one door. Refusal for whatever cannot be taken; its dead letter is durable by then."""

    def __init__(self, context: DoorContext, door: str) -> None:
        self._context = context
        self._door = door
        self.reader = ConversionReader(context.settings.config.postbacks, context.intake.keys)

    async def take(
        self, scope: Scope, given: Mapping[str, Any], body: bytes, now: int, browser: Browser | None = None
    ) -> Taken:
        """The request's events are durable when it returns. Refusal 409 for other content under a known order."""
        context = self._context
        try:
            reported = self.reader.read(given, context.intake.catalog_at(now), now, browser)
            if browser is None:
                context.gate.postback(scope, given, body, reported.advertiser_id, now)
            else:
                context.gate.pixel(scope, reported.advertiser_id, now)
            conversion = self._accept(reported.conversion, scope, now)
            adjustment = self._accept(reported.adjustment, scope, now)
        except (InvalidEvent, Refusal) as error:
            raise await self.refused(error, scope, body, now) from None
        standing: Standing = "accepted"
        if conversion is not None:
            standing = await self._publish(conversion, now)
        if adjustment is not None:
            await context.publish(adjustment, self._door)
        if standing == "conflict":
            detail = (
                "the order is known with another amount or currency, and the first stands; this one is kept among "
                "the dead letters. To correct an order send an adjustment (amend)"
            )
            raise Refusal(HTTPStatus.CONFLICT, "CONFLICT", detail, field="amount")
        event = conversion or adjustment
        assert event is not None
        return Taken(event.id, standing, None if reported.adjustment is None else reported.adjustment["action"])

    async def refused(self, error: InvalidEvent | Refusal, scope: Scope, body: bytes, now: int) -> Refusal:
        """What the sender is told, once the dead letter is durable; no dead letter for a limit that was exceeded."""
        refusal = refusal_of(in_senders_words(error)) if isinstance(error, InvalidEvent) else error
        if isinstance(error, InvalidEvent) or error.status in KEPT_REFUSALS:
            original = kept_request(scope, body, self.reader.customer_names)
            reason = InvalidEvent(refusal.reason, refusal.field, refusal.detail)
            await self._context.refuse(reason, original, now=now, door=self._door)
        return refusal

    def _accept(self, fields: dict[str, Any] | None, scope: Scope, now: int) -> Accepted | None:
        if fields is None:
            return None
        return self._context.intake.accept(fields, now=now, door=self._door, traceparent=traceparent_of(scope))

    async def _publish(self, accepted: Accepted, now: int) -> Standing:
        """Publish a conversion, a copy too: the audit counts it (RULES R29)."""
        context = self._context
        record = decode(accepted.message.value)
        assert isinstance(record, Conversion)
        currency = record.currency or context.intake.catalog_at(now).currencies.get(record.advertiser_id)
        standing = context.recent.meet(record.conversion_id, record.amount, currency)
        try:
            await context.publish(accepted, self._door)
        except BaseException:
            if standing == "accepted":
                context.recent.forget(record.conversion_id)
            raise
        if standing != "accepted":
            context.metrics.known.labels(self._door, standing).inc()
        return standing


def in_senders_words(error: InvalidEvent) -> InvalidEvent:
    """On these links a click id is called transaction id."""
    if error.field != "click_id":
        return error
    return InvalidEvent(error.reason, "transaction_id", error.detail)
