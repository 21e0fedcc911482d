"""The catalog's models. Field names are the public interface (``examples/catalog.yaml``); RULES.md says what they mean.

Times become milliseconds, durations milliseconds, money Decimal. Intervals are half-open: ``[from, until)``.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    WithJsonSchema,
    model_validator,
)

from schemas.money import MINOR_UNITS, parse_amount
from schemas.times import format_time, parse_duration, parse_time
from schemas.urls import check_page_url, read_domain

CreditGroup = Literal["preferred", "default", "non_preferred"]


def to_decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise ValueError('money is text: write "12.50"')
    amount = parse_amount(str(value))
    if amount < 0:
        raise ValueError(f"{value} is negative; nothing here may be")
    return amount


def to_percent(value: Any) -> Decimal:
    percent = to_decimal(value)
    if percent > 100:
        raise ValueError(f"{value} is more than 100 percent")
    return percent


def to_time(value: Any) -> Any:
    return parse_time(value) if isinstance(value, str) else value


def to_duration(value: Any) -> Any:
    return parse_duration(value) if isinstance(value, str) else value


def to_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def to_currency(value: str) -> str:
    if value.upper() not in MINOR_UNITS:
        raise ValueError(f"{value!r} is not an ISO 4217 currency")
    return value.upper()


def to_timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"{value!r} is not a time zone of the IANA database, like Europe/Berlin") from None
    return value


Id = Annotated[str, StringConstraints(min_length=1, max_length=256, strip_whitespace=True, pattern=r"^[^\x00-\x1f]+$")]
Time = Annotated[int, BeforeValidator(to_time), WithJsonSchema({"type": "string", "format": "date-time"})]
Duration = Annotated[
    int, BeforeValidator(to_duration), WithJsonSchema({"type": "string", "examples": ["30d", "12h", "15m", "250ms"]})
]
Money = Annotated[Decimal, BeforeValidator(to_decimal), WithJsonSchema({"type": "string", "examples": ["12.50"]})]
Percent = Annotated[Decimal, BeforeValidator(to_percent), WithJsonSchema({"type": "string", "examples": ["7.5"]})]
Country = Annotated[str, StringConstraints(pattern=r"^[A-Za-z]{2}$", to_upper=True)]
PageUrl = Annotated[str, AfterValidator(check_page_url)]
Domain = Annotated[str, StringConstraints(strip_whitespace=True), AfterValidator(read_domain)]
Slug = Annotated[
    str, StringConstraints(strip_whitespace=True, pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$", to_lower=True)
]
LinkText = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1024, pattern=r"^[^\x00-\x1f\x7f]+$")
]


class Entry(BaseModel):
    """Anything in a catalog: unknown fields are refused, because a mistyped one would silently change money."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)


class Dated(Entry):
    """Valid in ``[from, until)``; without ``until`` it has no end."""

    starts_at: Time = Field(alias="from")
    ends_at: Time | None = Field(default=None, alias="until")

    @model_validator(mode="after")
    def ends_after_it_starts(self) -> Dated:
        if self.ends_at is not None and self.ends_at <= self.starts_at:
            start, end = format_time(self.starts_at), format_time(self.ends_at)
            raise ValueError(f"ends ({end}) before it starts ({start}); until must be later than from")
        return self


class Rate(Entry):
    """A payout or revenue rule: ``flat`` money or ``percent`` of the amount, for goals and countries (none: all)."""

    goal: Annotated[tuple[Id, ...], BeforeValidator(to_list)] = ()
    country: Annotated[tuple[Country, ...], BeforeValidator(to_list)] = ()
    flat: Money | None = None
    percent: Percent | None = None

    @model_validator(mode="after")
    def one_kind(self) -> Rate:
        if (self.flat is None) == (self.percent is None):
            raise ValueError("name either flat or percent")
        return self


class Program(Entry):
    """The scope inside which touches compete for a conversion."""

    id: Id
    name: str | None = None
    foreign_code: Literal["touches", "invalid"] = "touches"
    fallback_url: PageUrl | None = None


class Advertiser(Entry):
    """Sells something and reports conversions. Its default program has its own id."""

    id: Id
    name: str | None = None
    currency: Annotated[str, AfterValidator(to_currency)]
    timezone: Annotated[str, AfterValidator(to_timezone)] = "UTC"
    programs: tuple[Program, ...] = ()


class OfferStatus(Entry):
    """The offer has this status from then on."""

    value: Literal["active", "paused", "expired"]
    starts_at: Time = Field(alias="from")


class Offer(Entry):
    """What is promoted. Without a ``status`` it is always active; before its first one it is not active."""

    id: Id
    name: str | None = None
    advertiser_id: Id
    program_id: Id | None = None
    landing_url: PageUrl
    deep_link_domains: tuple[Domain, ...] = ()
    fallback_url: PageUrl | None = None
    status: tuple[OfferStatus, ...] = ()
    window: Duration | None = None
    revenue: tuple[Rate, ...] = ()

    @property
    def program(self) -> str:
        """The program it belongs to: its own, else the advertiser's default."""
        return self.program_id or self.advertiser_id

    def active(self, at: int) -> bool:
        """Whether it was active at the millisecond ``at``: by its latest status then."""
        if not self.status:
            return True
        active = False
        for entry in sorted(self.status, key=lambda entry: entry.starts_at):
            if entry.starts_at <= at:
                active = entry.value == "active"
        return active


class Partner(Entry):
    """Whoever can be credited. ``buyer_ids``: customer ids that are the partner itself (SELF_REFERRAL)."""

    id: Id
    type: Literal["publisher", "influencer", "cashback", "channel"]
    name: str | None = None
    buyer_ids: frozenset[str] = frozenset()


class Cashback(Dated):
    """What a cashback partner passes on to its member."""

    percent: Percent | None = None
    flat: Money | None = None
    minimum: Money | None = None
    maximum: Money | None = None
    review_above: Money | None = None
    hold: Duration | None = None


class Contract(Dated):
    """A partner's terms on a program or on one offer."""

    id: Id
    partner_id: Id
    program_id: Id | None = None
    offer_id: Id | None = None
    credit_group: CreditGroup | None = None
    window: Duration | None = None
    impression_window: Duration | None = None
    min_time: Duration | None = None
    accepts_impressions: bool = False
    promo_policy: Literal["always", "if_involved", "if_winner"] = "always"
    payout: tuple[Rate, ...] = ()
    cashback: tuple[Cashback, ...] = ()

    @model_validator(mode="after")
    def one_scope(self) -> Contract:
        if (self.program_id is None) == (self.offer_id is None):
            raise ValueError("name either program_id or offer_id")
        return self


class PromoCode(Dated):
    """A code of a partner in a program; upper and lower case are the same code (RULES R17)."""

    code: Id
    partner_id: Id
    program_id: Id

    @property
    def folded(self) -> str:
        return self.code.casefold()


class Link(Dated):
    """A short link, ``/l/{slug}``: a partner and an offer, and what its clicks say of themselves.

    Upper and lower case are the same slug: people type them from a poster. Without ``from`` it has always been there.
    ``url`` is a deep link, on one of the offer's ``deep_link_domains``.
    """

    slug: Slug
    partner_id: Id
    offer_id: Id
    starts_at: Time = Field(default=0, alias="from")
    url: str | None = None
    source: LinkText | None = None
    sub1: LinkText | None = None
    sub2: LinkText | None = None
    sub3: LinkText | None = None
    sub4: LinkText | None = None
    sub5: LinkText | None = None


class Catalog(Entry):
    """Everything. References between the parts are checked by ``schemas.catalog.check``."""

    advertisers: tuple[Advertiser, ...] = ()
    offers: tuple[Offer, ...] = ()
    partners: tuple[Partner, ...] = ()
    contracts: tuple[Contract, ...] = ()
    promo_codes: tuple[PromoCode, ...] = ()
    links: tuple[Link, ...] = ()
