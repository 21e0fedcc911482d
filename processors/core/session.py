"""All decisions of one session: a pure function of the set of its events and the catalog log (DESIGN 1.2, 1.3)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

from processors.core.decide import decide
from processors.core.terms import CompiledCatalog, CompiledLog, ProgramTerms
from processors.core.touch import SessionTouches
from schemas.records import Conversion, Credit

COUNT_BITS = 16
COUNT_LIMIT = (1 << COUNT_BITS) - 1


class Refusal(NamedTuple):
    """A conversion that cannot be decided under its catalog."""

    conversion: Conversion
    reason: str
    field: str
    detail: str


class SessionDecision(NamedTuple):
    """A credit per claim (conversion, amount, currency), and what could not be decided."""

    credits: list[Credit]
    refused: list[Refusal]


class Claim(NamedTuple):
    """A conversion with what its catalog says of it."""

    conversion: Conversion
    catalog_version: int
    catalog: CompiledCatalog
    program: ProgramTerms
    currency: str


def decide_session(
    session_id: str,
    conversions: Sequence[Conversion],
    touches: SessionTouches,
    catalogs: CompiledLog,
    run_id: str,
) -> SessionDecision:
    """Every conversion of a session, decided on everything known of it.

    ``conversions`` are distinct events in any order; copies under one conversion id are resolved here: the first event
    of a content, by ``received_at``, is the claim.
    """
    refused: list[Refusal] = []
    claims: dict[tuple[str, Decimal | None, str], list[Claim]] = defaultdict(list)
    events: dict[str, list[Conversion]] = defaultdict(list)
    for conversion in conversions:
        events[conversion.conversion_id].append(conversion)
        claim = locate(conversion, touches, catalogs)
        if isinstance(claim, Refusal):
            refused.append(claim)
            continue
        amount = None if conversion.amount is None else Decimal(conversion.amount)
        claims[conversion.conversion_id, amount, claim.currency].append(claim)
    credits = []
    for (conversion_id, _, _), copies in claims.items():
        known = events[conversion_id]
        latest = max(touches.last_received_at, max(event.received_at for event in known))
        version = latest << COUNT_BITS | min(touches.count + len(known), COUNT_LIMIT)
        first = copies[0] if len(copies) == 1 else min(copies, key=lambda claim: arrival(claim.conversion))
        credits.append(credit(session_id, first, touches, version, len(copies) - 1, run_id))
    return SessionDecision(credits, refused)


def arrival(conversion: Conversion) -> tuple[int, int, str]:
    """Which of several copies is first: by ``received_at``; of two in one millisecond by their content."""
    content = [value for name, value in zip(conversion._fields, conversion, strict=True) if name != "params"]
    return conversion.received_at, conversion.occurred_at, repr((content, sorted(conversion.params.items())))


def locate(conversion: Conversion, touches: SessionTouches, catalogs: CompiledLog) -> Claim | Refusal:
    """The catalog and program that decide a conversion (RULES 2, details), or why none does."""
    number, catalog = catalogs.in_effect(conversion.received_at)
    default_currency = catalog.currencies.get(conversion.advertiser_id)
    if default_currency is None:
        return unknown(conversion, "advertiser", conversion.advertiser_id, number)
    offer = None
    if conversion.offer_id is not None:
        offer = catalog.offers.get(conversion.offer_id)
        if offer is None:
            return unknown(conversion, "offer", conversion.offer_id, number)
    clicked = catalog.offers.get(touches.offer_of(conversion.click_id) or "")
    program_id = conversion.program_id
    if program_id is None:
        named = offer or clicked
        program_id = named.program if named is not None else conversion.advertiser_id
    program = catalog.programs.get(program_id)
    if program is None:
        return unknown(conversion, "program", program_id, number)
    return Claim(conversion, number, catalog, program, conversion.currency or default_currency)


def unknown(conversion: Conversion, what: str, name: str, number: int) -> Refusal:
    detail = f"no {what} {name!r} in catalog version {number}"
    return Refusal(conversion, f"UNKNOWN_{what.upper()}", f"{what}_id", detail)


def credit(
    session_id: str, claim: Claim, touches: SessionTouches, version: int, duplicates: int, run_id: str
) -> Credit:
    conversion = claim.conversion
    decision = decide(claim.catalog, conversion, claim.program, claim.currency, touches)
    winner = decision.winner
    touch = winner.touch if winner is not None else None
    return Credit(
        conversion_id=conversion.conversion_id,
        session_id=session_id,
        version=version,
        status=decision.status,
        advertiser_id=conversion.advertiser_id,
        program_id=claim.program.id,
        goal=conversion.goal,
        order_id=conversion.order_id,
        offer_id=decision.offer_id,
        occurred_at=conversion.occurred_at,
        received_at=conversion.received_at,
        amount=conversion.amount,
        currency=claim.currency,
        promo_code=conversion.promo_code,
        country=conversion.country,
        partner_id=winner.partner_id if winner is not None else None,
        contract_id=winner.contract.id if winner is not None else None,
        credit_group=decision.candidates[0].credit_group if winner is not None else None,
        method=decision.method,
        click_id=touch.click_id if touch is not None else None,
        touched_at=touch.occurred_at if touch is not None else None,
        decided_by=decision.decided_by,
        payout=decision.payout,
        revenue=decision.revenue,
        reason=decision.reason,
        notes=decision.notes,
        duplicates=duplicates,
        candidates=decision.candidates,
        omitted=decision.omitted,
        catalog_version=claim.catalog_version,
        run_id=run_id,
    )
