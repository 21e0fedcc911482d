"""One conversion's decision, priced and explained: RULES 2 in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from heapq import nlargest
from typing import NamedTuple

from processors.core.eligibility import (
    Dropped,
    Ranked,
    deciding_step,
    foreign_code,
    weigh_code,
    weigh_touches,
)
from processors.core.pricing import price
from processors.core.terms import CompiledCatalog, ProgramTerms, group_of
from processors.core.touch import Touch
from schemas.records import Candidate, Conversion

LISTED = 200  # candidates that the explanation lists (RULES R52)


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
    catalog: CompiledCatalog, conversion: Conversion, program: ProgramTerms, currency: str, touches: Sequence[Touch]
) -> Decision:
    """Decide ``conversion`` on the distinct touches of its session. ``currency`` is the one it is paid in."""
    ranked, dropped = weigh_touches(catalog, conversion, program.id, touches)
    code = weigh_code(catalog, conversion, program.id, ranked)
    notes = []
    if code is not None:
        if code.owner is None:
            notes.append(f"UNKNOWN_CODE {conversion.promo_code}")
        if code.ranked is not None:
            ranked.append(code.ranked)
        if code.dropped is not None:
            dropped.append(code.dropped)
    candidates, omitted, best = explain(ranked, dropped)
    notes += defaulted_groups(best, dropped, len(candidates))
    if not ranked:
        reason = "NONE_ELIGIBLE" if dropped else "NO_CANDIDATE"
        return unattributed(conversion, reason, notes, candidates, omitted)
    winner, runner_up = best[0], best[1] if len(best) > 1 else None
    owner = code.owner if code is not None else None
    if program.refuses_foreign_code and owner is not None and foreign_code(winner, owner):
        return unattributed(conversion, "FOREIGN_CODE", notes, candidates, omitted)
    touch = winner.touch
    offer_id = conversion.offer_id or (touch.offer_id if touch is not None else None)
    country = conversion.country or (touch.country if touch is not None else None)
    amount = Decimal(conversion.amount or 0)
    offer = catalog.offers[offer_id] if offer_id is not None else None
    return Decision(
        status="credited",
        winner=winner,
        method=touch.type if touch is not None else "promo_code",
        decided_by=deciding_step(winner.rank, runner_up.rank if runner_up is not None else None),
        payout=price(winner.contract.payout, conversion.goal, country, amount, currency),
        revenue=price(offer.revenue, conversion.goal, country, amount, currency) if offer is not None else None,
        offer_id=offer_id,
        reason=None,
        notes=tuple(notes),
        candidates=candidates,
        omitted=omitted,
    )


def unattributed(
    conversion: Conversion,
    reason: str,
    notes: list[str],
    candidates: tuple[Candidate, ...],
    omitted: dict[str, int],
) -> Decision:
    """Nobody is credited and nobody is paid; every reason stays (RULES 2.6)."""
    return Decision(
        "unattributed",
        None,
        None,
        None,
        None,
        None,
        conversion.offer_id,
        reason,
        tuple(notes),
        candidates,
        omitted,
    )


def explain(ranked: list[Ranked], dropped: list[Dropped]) -> tuple[tuple[Candidate, ...], dict[str, int], list[Ranked]]:
    """The first 200 candidates in rank order, dropped ones after, latest first; counts per reason for the rest.

    Also the ranked ones among them, best first. Sorts ``dropped`` in place as far as it is listed.
    """
    best = nlargest(LISTED, ranked) if len(ranked) > LISTED else sorted(ranked, reverse=True)
    room = LISTED - len(best)
    if len(dropped) > room:
        listed = nlargest(room, dropped, key=dropped_order)
        counts = Counter(candidate.reason for candidate in dropped)
        counts.subtract(candidate.reason for candidate in listed)
    else:
        listed = sorted(dropped, key=dropped_order, reverse=True)
        counts = Counter()
    dropped[:] = listed
    omitted = {reason: count for reason, count in sorted(counts.items()) if count}
    if len(ranked) > len(best):
        omitted["ELIGIBLE"] = len(ranked) - len(best)
    candidates = [candidate(entry, rank, None) for rank, entry in enumerate(best, 1)]
    candidates += [candidate(entry, None, entry.reason) for entry in listed]
    return tuple(candidates), omitted, best


def dropped_order(entry: Dropped) -> tuple[int, str]:
    return (entry.touch.occurred_at, entry.touch.click_id) if entry.touch is not None else (-1, "")


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


def defaulted_groups(best: list[Ranked], dropped: list[Dropped], listed: int) -> list[str]:
    """A note for each listed contract that names no credit group, in the order of the candidates."""
    contracts = [entry.contract for entry in best] + [entry.contract for entry in dropped]
    unnamed = [c.id for c in contracts[:listed] if c is not None and c.credit_group is None]
    return [f"GROUP_DEFAULTED {contract_id}" for contract_id in dict.fromkeys(unnamed)]
