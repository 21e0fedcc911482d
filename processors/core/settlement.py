"""What stands of one conversion over all its claims, as records (RULES R29, R30, R51)."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from processors.core.claims import Standing, content, stand
from processors.core.session import COUNT_BITS, COUNT_LIMIT
from schemas.codec import encode
from schemas.events import dead_letter_id
from schemas.records import Credit, DeadLetter, Settlement

STAGE = "settlement"


class Settled(NamedTuple):
    """The settlement of a conversion and the dead letters of its conflicting claims, also those taken back."""

    settlement: Settlement
    letters: list[DeadLetter]


def claim_key(claim: Credit) -> str:
    """What makes a claim itself, whatever its version: conversion, session and content."""
    amount, currency = content(claim)
    return f"{claim.conversion_id} {claim.session_id} {'' if amount is None else amount.normalize()} {currency}"


def settle(claims: Collection[Credit]) -> Settled:
    """Settle the claims of one conversion, the greatest version of each. A pure function of the set.

    An earlier event that arrives late can turn what was a conflict into a copy. Its dead letter is then withdrawn:
    that of every claim that stands or copies and has an event after one that conflicts, since only such a claim can
    ever have been in conflict.
    """
    standing = stand(claims)
    latest = max(claim.version >> COUNT_BITS for claim in claims)
    number = sum(claim.version & COUNT_LIMIT for claim in claims)
    version = latest << COUNT_BITS | min(number, COUNT_LIMIT)
    letters = [conflict_letter(claim, standing.credit, version, withdrawn=False) for claim in standing.conflicts]
    if standing.conflicts:
        earliest = min(map(received, standing.conflicts))
        freed = (c for c in claims if c not in standing.conflicts and (c.duplicates or received(c) > earliest))
        letters += [conflict_letter(claim, standing.credit, version, withdrawn=True) for claim in freed]
    return Settled(settlement(standing, len(claims), version), letters)


def received(claim: Credit) -> tuple[int, str]:
    return claim.received_at, claim.session_id


def settlement(standing: Standing, claims: int, version: int) -> Settlement:
    credit = standing.credit
    return Settlement(
        conversion_id=credit.conversion_id,
        version=version,
        session_id=credit.session_id,
        claim_version=credit.version,
        status=credit.status,
        advertiser_id=credit.advertiser_id,
        program_id=credit.program_id,
        goal=credit.goal,
        order_id=credit.order_id,
        occurred_at=credit.occurred_at,
        received_at=credit.received_at,
        amount=credit.amount,
        currency=credit.currency,
        partner_id=credit.partner_id,
        contract_id=credit.contract_id,
        payout=credit.payout,
        revenue=credit.revenue,
        duplicates=standing.duplicates,
        claims=claims - len(standing.conflicts),
        conflicts=len(standing.conflicts),
        catalog_version=credit.catalog_version,
        run_id=credit.run_id,
    )


def conflict_letter(claim: Credit, stands: Credit, version: int, *, withdrawn: bool) -> DeadLetter:
    """The dead letter of a claim that says other content than the event that came first: both contents are in it."""
    detail = (
        f"order {claim.order_id!r} came first with {stands.amount} {stands.currency} "
        f"(session {stands.session_id}); this says {claim.amount} {claim.currency} (session {claim.session_id})"
    )
    return DeadLetter(
        dead_letter_id=dead_letter_id(STAGE, "CONFLICT", claim_key(claim).encode()),
        version=version,
        withdrawn=withdrawn,
        reason="CONFLICT",
        detail=detail,
        field="amount",
        stage=STAGE,
        door=None,
        received_at=claim.received_at,
        topic=None,
        partition=None,
        offset=None,
        record_at=claim.occurred_at,
        key=claim.conversion_id.encode(),
        original=encode(without_explanation(claim)),
    )


def without_explanation(claim: Credit) -> Credit:
    """The claim as settlement keeps it: what was decided, not why."""
    return claim._replace(candidates=(), omitted={}, notes=())
