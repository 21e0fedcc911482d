"""The records that flow, one named tuple per Avro schema, fields in the schema's order.

Named tuples, because a frozen dataclass of 24 fields costs six times as much to make (12 µs to 2 µs).

Times are milliseconds since the epoch, amounts decimal text as in the log, sessions UUID text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

NO_PARAMS: Mapping[str, str] = {}


class Click(NamedTuple):
    """A touch: a click or an impression, by ``type``."""

    click_id: str
    occurred_at: int
    received_at: int
    type: str
    partner_id: str
    offer_id: str
    invalid: str | None
    country: str | None
    session_id: str
    source: str | None = None
    sub1: str | None = None
    sub2: str | None = None
    sub3: str | None = None
    sub4: str | None = None
    sub5: str | None = None
    device: str | None = None
    os: str | None = None
    browser: str | None = None
    promo_code: str | None = None
    referrer: str | None = None
    user_agent: str | None = None
    ip: str | None = None
    params: Mapping[str, str] = NO_PARAMS
    door: str = "bulk"


class Conversion(NamedTuple):
    """Something the advertiser reports. ``currency`` None stands for the advertiser's."""

    conversion_id: str
    occurred_at: int
    received_at: int
    advertiser_id: str
    goal: str
    order_id: str | None
    program_id: str | None
    offer_id: str | None
    click_id: str | None
    amount: str | None
    currency: str | None
    promo_code: str | None
    customer_id: str | None
    country: str | None
    session_id: str
    adv1: str | None = None
    adv2: str | None = None
    adv3: str | None = None
    adv4: str | None = None
    adv5: str | None = None
    ip: str | None = None
    user_agent: str | None = None
    params: Mapping[str, str] = NO_PARAMS
    door: str = "bulk"


class Adjustment(NamedTuple):
    """Approve, reject, reverse or amend (with ``amount``) a conversion after the fact."""

    conversion_id: str
    occurred_at: int
    received_at: int
    advertiser_id: str
    goal: str
    order_id: str | None
    click_id: str | None
    action: str
    amount: str | None
    currency: str | None
    note: str | None = None
    params: Mapping[str, str] = NO_PARAMS
    door: str = "bulk"


class Candidate(NamedTuple):
    """One candidate of a decision: ranked (1 wins), or dropped for ``reason`` (RULES 2.8)."""

    partner_id: str
    contract_id: str | None
    type: str
    occurred_at: int | None
    credit_group: str | None
    rank: int | None
    reason: str | None
    click_id: str | None = None


class Credit(NamedTuple):
    """The decision on one claim, and why. Of several with one conversion and session the greatest version holds."""

    conversion_id: str
    session_id: str
    version: int
    status: str
    advertiser_id: str
    program_id: str
    goal: str
    order_id: str | None
    offer_id: str | None
    occurred_at: int
    received_at: int
    amount: str | None
    currency: str
    promo_code: str | None
    country: str | None
    partner_id: str | None
    contract_id: str | None
    credit_group: str | None
    method: str | None
    click_id: str | None
    touched_at: int | None
    decided_by: str | None
    payout: str | None
    revenue: str | None
    reason: str | None
    notes: tuple[str, ...]
    duplicates: int
    candidates: tuple[Candidate, ...]
    omitted: Mapping[str, int]
    catalog_version: int
    run_id: str


class Settlement(NamedTuple):
    """What stands of one conversion, over all the sessions that claim it. The greatest version holds."""

    conversion_id: str
    version: int
    session_id: str
    claim_version: int
    status: str
    advertiser_id: str
    program_id: str
    goal: str
    order_id: str | None
    occurred_at: int
    received_at: int
    amount: str | None
    currency: str
    partner_id: str | None
    contract_id: str | None
    payout: str | None
    revenue: str | None
    duplicates: int
    claims: int
    conflicts: int
    catalog_version: int
    run_id: str


class DeadLetter(NamedTuple):
    """What could not be used: ``original`` bytes, ``reason`` code, ``detail`` for a person."""

    dead_letter_id: str
    version: int
    withdrawn: bool
    reason: str
    detail: str
    field: str | None
    stage: str
    door: str | None
    received_at: int
    topic: str | None
    partition: int | None
    offset: int | None
    record_at: int | None
    key: bytes | None
    original: bytes


class CatalogVersion(NamedTuple):
    """One version of the catalog, as the catalog log keeps it. ``document`` is its YAML text."""

    version: int
    effective_at: int
    written_at: int
    author: str
    digest: str
    document: str


Record = Click | Conversion | Adjustment | Credit | Settlement | DeadLetter | CatalogVersion
Event = Click | Conversion | Adjustment
