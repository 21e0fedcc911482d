"""One conversion's decision, priced and explained: RULES 2 in order."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from heapq import nlargest
from typing import NamedTuple

from processors.core.eligibility import (
    LISTED,
    CodeVerdict,
    Dropped,
    Ranked,
    Weighed,
    deciding_step,
    dropped_order,
    foreign_code,
    weigh_code,
    weigh_touches,
)
from processors.core.pricing import price
from processors.core.terms import CompiledCatalog, ProgramTerms, group_of
from processors.core.touch import SessionTouches
from schemas.records import Candidate, Conversion


class Decision(NamedTuple):
    """What a conversion comes to under one catalog: the fields of a Credit that the rules decide."""

    status: str
    winner: Ranked | None
    method: str | None
    decided_by: str | None
    payout: str | None
    revenue: str | None
    offer_id: str | None
    reason: str | None
    notes: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    omitted: dict[str, int]


def decide(
    catalog: CompiledCatalog, conversion: Conversion, program: ProgramTerms, currency: str, touches: SessionTouches
) -> Decision:
    """Decide ``conversion`` on the touches of its session. ``currency`` is the one it is paid in."""
    weighed = weigh_touches(catalog, conversion, program.id, touches)
    code = weigh_code(catalog, conversion, program.id, weighed)
    told = explain(weighed, code)
    unknown_code = code is not None and code.owner is None
    notes = ([f"UNKNOWN_CODE {conversion.promo_code}"] if unknown_code else []) + told.defaulted
    if not told.best:
        return unattributed(conversion, "NONE_ELIGIBLE" if told.candidates else "NO_CANDIDATE", notes, told)
    winner = told.best[0]
    runner_up = told.best[1].rank if len(told.best) > 1 else None
    owner = code.owner if code is not None else None
    if program.refuses_foreign_code and owner is not None and foreign_code(winner, owner):
        return unattributed(conversion, "FOREIGN_CODE", notes, told)
    touch = winner.touch
    offer_id = conversion.offer_id or (touch.offer_id if touch is not None else None)
    country = conversion.country or (touch.country if touch is not None else None)
    amount = Decimal(conversion.amount or 0)
    offer = catalog.offers[offer_id] if offer_id is not None else None
    return Decision(
        status="credited",
        winner=winner,
        method=touch.type if touch is not None else "promo_code",
        decided_by=deciding_step(winner.rank, runner_up),
        payout=price(winner.contract.payout, conversion.goal, country, amount, currency),
        revenue=price(offer.revenue, conversion.goal, country, amount, currency) if offer is not None else None,
        offer_id=offer_id,
        reason=None,
        notes=tuple(notes),
        candidates=told.candidates,
        omitted=told.omitted,
    )


def unattributed(conversion: Conversion, reason: str, notes: list[str], told: Explanation) -> Decision:
    """Nobody is credited and nobody is paid; every reason stays (RULES 2.6)."""
    return Decision(
        status="unattributed",
        winner=None,
        method=None,
        decided_by=None,
        payout=None,
        revenue=None,
        offer_id=conversion.offer_id,
        reason=reason,
        notes=tuple(notes),
        candidates=told.candidates,
        omitted=told.omitted,
    )


class Explanation(NamedTuple):
    """The listed candidates, the counts of the others, and the eligible ones that are listed, best first."""

    candidates: tuple[Candidate, ...]
    omitted: dict[str, int]
    best: list[Ranked]
    defaulted: list[str]
    """A note for each listed contract that names no credit group."""


def explain(weighed: Weighed, code: CodeVerdict | None) -> Explanation:
    """The first 200 candidates in rank order, then dropped ones, latest first; counts for the rest (RULES R52)."""
    ranked, dropped = list(weighed.ranked), list(weighed.dropped)
    reasons, eligible = weighed.reasons, weighed.eligible
    if code is not None and code.ranked is not None:
        ranked.append(code.ranked)
        eligible += 1
    if code is not None and code.dropped is not None:
        dropped.append(code.dropped)
        reasons = reasons + Counter([code.dropped.reason])
    best = nlargest(LISTED, ranked)
    others = nlargest(LISTED - len(best), dropped, key=dropped_order)
    omitted: dict[str, int] = {}
    if eligible + reasons.total() > len(best) + len(others):
        beyond = reasons - Counter(entry.reason for entry in others)
        beyond["ELIGIBLE"] = eligible - len(best)
        omitted = {reason: count for reason, count in sorted(beyond.items()) if count}
    contracts = [entry.contract for entry in best] + [entry.contract for entry in others]
    unnamed = dict.fromkeys([c.id for c in contracts if c is not None and c.credit_group is None])
    candidates = [candidate(entry, rank, None) for rank, entry in enumerate(best, 1)]
    candidates += [candidate(entry, None, entry.reason) for entry in others]
    return Explanation(
        tuple(candidates),
        omitted,
        best,
        [f"GROUP_DEFAULTED {contract_id}" for contract_id in unnamed],
    )


def candidate(entry: Ranked | Dropped, rank: int | None, reason: str | None) -> Candidate:
    touch, contract = entry.touch, entry.contract
    return Candidate(
        entry.partner_id,
        contract.id if contract is not None else None,
        touch.type if touch is not None else "promo_code",
        touch.occurred_at if touch is not None else None,
        group_of(contract) if contract is not None else None,
        rank,
        reason,
        touch.click_id if touch is not None else None,
    )
