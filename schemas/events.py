"""Events as senders write them (``examples/events.ndjson``) and the records they become.

Unknown fields are kept in ``params``, so that nothing a sender says is lost.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from operator import attrgetter
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    StringConstraints,
    ValidationError,
    WithJsonSchema,
)

from schemas.errors import InvalidEvent
from schemas.ids import (
    ClickIdKeys,
    conversion_id,
    read_click_id,
    session_key,
    session_of_conversion,
    session_text,
    touch_id,
)
from schemas.money import MINOR_UNITS, parse_amount
from schemas.records import Adjustment, Click, Conversion, DeadLetter, Event
from schemas.times import MINUTE, parse_time

FUTURE_TOLERANCE = 5 * MINUTE  # Kafka itself refuses an hour ahead (DESIGN 3)
TEXT_LIMIT = 1024
UUID_TEXT = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}")
PRINTABLE = r"^[^\x00-\x1f\x7f]*$"


def to_time(value: Any) -> int:
    if not isinstance(value, str):
        raise ValueError(f"send RFC 3339 text like 2026-05-01T10:00:00Z, not {type(value).__name__}")
    return parse_time(value)


def to_session(value: str) -> str:
    if UUID_TEXT.fullmatch(value) is None:
        raise ValueError(f"{value!r} is not a UUID")
    return value.lower() if len(value) == 36 else session_text(session_key(value))


def to_amount(value: Any) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise ValueError('money is text: send "49.90"')
    if parse_amount(value.strip()) < 0:
        raise ValueError(f"{value!r} is negative; correct a conversion with an adjustment")
    return value.strip()


def to_currency(value: str) -> str:
    code = value.upper()
    if code not in MINOR_UNITS:
        raise ValueError(f"{value!r} is not an ISO 4217 currency")
    return code


Text = Annotated[
    str, StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=TEXT_LIMIT, pattern=PRINTABLE)
]
Session = Annotated[Text, AfterValidator(to_session), WithJsonSchema({"type": "string", "format": "uuid"})]
Time = Annotated[int, BeforeValidator(to_time), WithJsonSchema({"type": "string", "format": "date-time"})]
Amount = Annotated[
    str,
    BeforeValidator(to_amount),
    WithJsonSchema({"type": ["string", "integer"], "pattern": r"^[0-9]{1,18}(\.[0-9]{1,9})?$", "minimum": 0}),
]
Currency = Annotated[
    Text,
    AfterValidator(to_currency),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z]{3}$", "examples": ["EUR"]}),
]
Country = Annotated[Text, StringConstraints(pattern=r"^[A-Za-z]{2}$", to_upper=True)]


class PublicEvent(BaseModel):
    """What every event has. ``received_at`` counts only where an export is restored or credited offline."""

    model_config = ConfigDict(extra="allow", frozen=True)

    occurred_at: Time
    received_at: Time | None = None

    def params(self) -> dict[str, str]:
        """The fields that no schema knows, as text."""
        unknown = self.model_extra
        return {k: v if isinstance(v, str) else repr(v) for k, v in unknown.items()} if unknown else {}


class TouchIn(PublicEvent):
    """A click or an impression."""

    type: Literal["click", "impression"]
    session_id: Session
    offer_id: Text
    partner_id: Text
    click_id: Text | None = None
    source: Text | None = None
    sub1: Text | None = None
    sub2: Text | None = None
    sub3: Text | None = None
    sub4: Text | None = None
    sub5: Text | None = None
    country: Country | None = None
    device: Text | None = None
    os: Text | None = None
    browser: Text | None = None
    invalid: Text | None = None
    promo_code: Text | None = None
    referrer: Text | None = None
    user_agent: Text | None = None
    ip: Text | None = None


class ConversionIn(PublicEvent):
    """A conversion: an order (or at least a click id) of an advertiser's goal."""

    type: Literal["conversion"]
    advertiser_id: Text
    goal: Text
    order_id: Text | None = None
    session_id: Session | None = None
    click_id: Text | None = None
    program_id: Text | None = None
    offer_id: Text | None = None
    amount: Amount | None = None
    currency: Currency | None = None
    promo_code: Text | None = None
    customer_id: Text | None = None
    country: Country | None = None
    adv1: Text | None = None
    adv2: Text | None = None
    adv3: Text | None = None
    adv4: Text | None = None
    adv5: Text | None = None
    ip: Text | None = None
    user_agent: Text | None = None


class AdjustmentIn(PublicEvent):
    """A correction of a conversion, named as the conversion was, or by its id."""

    type: Literal["adjustment"]
    advertiser_id: Text
    action: Literal["approve", "reject", "reverse", "amend"]
    conversion_id: Annotated[Text, StringConstraints(pattern=r"^[0-9a-f]{32}$")] | None = None
    goal: Text | None = None
    order_id: Text | None = None
    click_id: Text | None = None
    amount: Amount | None = None
    currency: Currency | None = None
    note: Text | None = None


MODELS: dict[str, type[PublicEvent]] = {
    "click": TouchIn,
    "impression": TouchIn,
    "conversion": ConversionIn,
    "adjustment": AdjustmentIn,
}
AMOUNT_FIELDS = {"amount": "INVALID_AMOUNT", "currency": "UNKNOWN_CURRENCY", "occurred_at": "INVALID_TIME"}
Model = TypeVar("Model", bound=PublicEvent)


def validate(model: type[Model], fields: Mapping[str, Any]) -> Model:
    """``fields`` as ``model``; None and empty text mean: not given. InvalidEvent names the first wrong field."""
    given = {name: value for name, value in fields.items() if value is not None and value != ""}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        if first["type"] == "missing":
            raise InvalidEvent("MISSING_FIELD", name, "is required") from None
        detail = first["msg"].removeprefix("Value error, ")
        raise InvalidEvent(AMOUNT_FIELDS.get(name, "INVALID_FIELD"), name, detail) from None


def parse_event(
    fields: Any,
    *,
    received_at: int | None,
    door: str,
    keys: ClickIdKeys | None = None,
    session_of_click: Mapping[str, str] | None = None,
) -> Event:
    """One public event as the record that goes into the log. InvalidEvent names the field and what is wrong.

    ``received_at`` None keeps the event's own (an export, an offline run). A conversion that brings only a click id is
    routed by it (RULES R49): through ``session_of_click`` (click id → session, where all clicks are at hand), else by
    the id itself, whose signature is checked when there are ``keys``.
    """
    if not isinstance(fields, Mapping):
        raise InvalidEvent("INVALID_EVENT", None, f"an event is a JSON object, not {type(fields).__name__}")
    kind = fields.get("type")
    if kind is None:
        raise InvalidEvent("MISSING_FIELD", "type", "is required: click, impression, conversion or adjustment")
    model = MODELS.get(kind) if isinstance(kind, str) else None
    if model is None:
        detail = f"{kind!r} is none of click, impression, conversion, adjustment"
        raise InvalidEvent("INVALID_FIELD", "type", detail)
    event = validate(model, fields)
    at = received_at if received_at is not None else (event.received_at or event.occurred_at)
    if received_at is not None:
        refuse_future(event.occurred_at, received_at)
    if isinstance(event, TouchIn):
        return touch_record(event, at, door)
    if isinstance(event, ConversionIn):
        return conversion_record(event, at, door, keys, session_of_click)
    assert isinstance(event, AdjustmentIn)
    return adjustment_record(event, at, door)


def refuse_future(occurred_at: int, now: int) -> None:
    """InvalidEvent for a time more than five minutes ahead of ``now``: Kafka would refuse it, and no window fits it."""
    if occurred_at > now + FUTURE_TOLERANCE:
        ahead = (occurred_at - now) // 1_000
        raise InvalidEvent("OCCURRED_IN_FUTURE", "occurred_at", f"{ahead} seconds ahead; at most 300 are accepted")


touch_values = attrgetter(*Click._fields[8:-2])


def touch_record(event: TouchIn, received_at: int, door: str) -> Click:
    click_id = event.click_id or touch_id(
        event.type, event.session_id, event.occurred_at, event.offer_id, event.partner_id
    )
    leading = (
        click_id,
        event.occurred_at,
        received_at,
        event.type,
        event.partner_id,
        event.offer_id,
        event.invalid,
        event.country,
    )
    return Click._make((*leading, *touch_values(event), event.params(), door))


def conversion_record(
    event: ConversionIn,
    received_at: int,
    door: str,
    keys: ClickIdKeys | None,
    session_of_click: Mapping[str, str] | None,
) -> Conversion:
    fields = {name: getattr(event, name) for name in ConversionIn.model_fields if name != "type"}
    if event.order_id is None and event.click_id is None:
        raise InvalidEvent("MISSING_FIELD", "order_id", "is required where there is no click_id")
    of_conversion = conversion_id(event.advertiser_id, event.goal, event.order_id, event.click_id)
    fields["received_at"] = received_at
    fields["session_id"] = event.session_id or session_by_click(event.click_id, keys, session_of_click)
    if fields["session_id"] is None:
        fields["session_id"] = session_of_conversion(of_conversion)
    return Conversion(conversion_id=of_conversion, **fields, params=event.params(), door=door)


def session_by_click(
    click_id: str | None, keys: ClickIdKeys | None, session_of_click: Mapping[str, str] | None
) -> str | None:
    if click_id is None:
        return None
    if keys is not None:
        return keys.verify(click_id).session_id
    if session_of_click is not None and click_id in session_of_click:
        return session_of_click[click_id]
    try:
        return read_click_id(click_id).session_id
    except InvalidEvent:
        return None


def adjustment_record(event: AdjustmentIn, received_at: int, door: str) -> Adjustment:
    fields = {name: getattr(event, name) for name in AdjustmentIn.model_fields if name != "type"}
    if event.action == "amend" and event.amount is None:
        raise InvalidEvent("MISSING_FIELD", "amount", "is required to amend")
    fields["received_at"] = received_at
    fields["conversion_id"] = conversion_of_adjustment(event)
    fields["goal"] = event.goal or ""  # its conversion knows
    return Adjustment(**fields, params=event.params(), door=door)


def conversion_of_adjustment(event: AdjustmentIn) -> str:
    """The id of the conversion that is meant. InvalidEvent when it is not said, or said twice and differently."""
    named = event.order_id is not None or event.click_id is not None
    if event.conversion_id is not None and not (named and event.goal):
        return event.conversion_id
    if not named:
        raise InvalidEvent("MISSING_FIELD", "order_id", "is required where there is no click_id and no conversion_id")
    if event.goal is None:
        raise InvalidEvent("MISSING_FIELD", "goal", "is required")
    found = conversion_id(event.advertiser_id, event.goal, event.order_id, event.click_id)
    if event.conversion_id not in (None, found):
        raise InvalidEvent("INVALID_FIELD", "conversion_id", "is not the id of that order and goal")
    return found


def dead_letter(error: InvalidEvent, original: bytes, *, stage: str, door: str | None, received_at: int) -> DeadLetter:
    """The dead letter of an event that was refused before it was in a topic."""
    return DeadLetter(
        dead_letter_id=dead_letter_id(stage, error.reason, original),
        version=received_at << 16 | 1,
        withdrawn=False,
        reason=error.reason,
        detail=error.detail,
        field=error.field,
        stage=stage,
        door=door,
        received_at=received_at,
        topic=None,
        partition=None,
        offset=None,
        record_at=None,
        key=None,
        original=original,
    )


def dead_letter_id(stage: str, reason: str, original: bytes) -> str:
    """The same bytes refused for the same reason at the same stage are one dead letter: 32 hex digits."""
    return hashlib.blake2b(f"{stage}\0{reason}\0".encode() + original, digest_size=16).hexdigest()
