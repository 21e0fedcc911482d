"""Candidates and what becomes of them: RULES 2, steps 1 to 5. Ranking looks at event content alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from processors.core.terms import GROUP_RANK, CompiledCatalog, covers, group_of
from processors.core.touch import Touch
from schemas.catalog import Contract
from schemas.records import Conversion

STEPS = ("credit_group", "promo_code", "touch_type", "time", "click_id")
Rank = tuple[int, int, int, int, str]


class Ranked(NamedTuple):
    """An eligible candidate. ``rank`` compares as STEPS says, greatest wins; ``touch`` None: the owner of the code."""

    rank: Rank
    partner_id: str
    contract: Contract
    touch: Touch | None


class Dropped(NamedTuple):
    """A candidate that is out, with its reason. ``contract`` is what governs it, if any is in force."""

    partner_id: str
    contract: Contract | None
    touch: Touch | None
    reason: str


class TouchTerms(NamedTuple):
    """What decides about every touch of one partner on one offer for one conversion."""

    contract: Contract | None
    group: int
    goal_covered: bool
    accepts_impressions: bool
    click_window: int
    impression_window: int
    min_time: int
    self_referral: bool


def touch_terms(catalog: CompiledCatalog, conversion: Conversion, program_id: str, touch: Touch) -> TouchTerms:
    """The terms in force at the conversion (RULES 2.2) for the touch's partner and offer."""
    contract = catalog.contract(touch.partner_id, touch.offer_id, program_id, conversion.occurred_at)
    if contract is None:
        return TouchTerms(None, 0, False, False, 0, 0, 0, False)
    offer = catalog.offers[touch.offer_id]
    return TouchTerms(
        contract,
        GROUP_RANK[group_of(contract)],
        covers(contract, conversion.goal),
        contract.accepts_impressions,
        catalog.window(contract, offer, "click"),
        catalog.window(contract, offer, "impression"),
        contract.min_time or 0,
        catalog.is_buyer(touch.partner_id, conversion.customer_id),
    )


def weigh_touches(
    catalog: CompiledCatalog, conversion: Conversion, program_id: str, touches: Iterable[Touch]
) -> tuple[list[Ranked], list[Dropped]]:
    """The touches of the program, eligible ones and dropped ones, in no order."""
    ranked: list[Ranked] = []
    dropped: list[Dropped] = []
    known: dict[tuple[str, str], TouchTerms] = {}
    converted_at = conversion.occurred_at
    for touch in touches:
        offer = catalog.offers.get(touch.offer_id)
        if offer is None or offer.program != program_id:
            continue
        key = (touch.partner_id, touch.offer_id)
        terms = known.get(key)
        if terms is None:
            terms = known[key] = touch_terms(catalog, conversion, program_id, touch)
        is_click = touch.type == "click"
        age = converted_at - touch.occurred_at
        if age < 0:
            reason = "AFTER_CONVERSION"
        elif touch.invalid is not None:
            reason = "INVALID_TOUCH"
        elif terms.contract is None:
            reason = "NO_CONTRACT"
        elif offer.status and not offer.active(touch.occurred_at):
            reason = "OFFER_INACTIVE"
        elif not terms.goal_covered:
            reason = "GOAL_NOT_COVERED"
        elif not is_click and not terms.accepts_impressions:
            reason = "TOUCH_NOT_ACCEPTED"
        elif age > (terms.click_window if is_click else terms.impression_window):
            reason = "OUT_OF_WINDOW"
        elif age < terms.min_time:
            reason = "UNDER_MIN_TIME"
        elif terms.self_referral:
            reason = "SELF_REFERRAL"
        else:
            rank = (terms.group, 0, int(is_click), touch.occurred_at, touch.click_id)
            ranked.append(Ranked(rank, touch.partner_id, terms.contract, touch))
            continue
        dropped.append(Dropped(touch.partner_id, terms.contract, touch, reason))
    return ranked, dropped


class CodeVerdict(NamedTuple):
    """What a promo code on a conversion comes to: a candidate, a dropped candidate, or neither if it is unknown."""

    ranked: Ranked | None = None
    dropped: Dropped | None = None

    @property
    def owner(self) -> Ranked | Dropped | None:
        return self.ranked or self.dropped


def weigh_code(
    catalog: CompiledCatalog, conversion: Conversion, program_id: str, touches: list[Ranked]
) -> CodeVerdict | None:
    """The owner of the conversion's code as a candidate (RULES 2.4). None: there is no code on it."""
    if conversion.promo_code is None:
        return None
    entry = catalog.code(program_id, conversion.promo_code, conversion.occurred_at)
    if entry is None:
        return CodeVerdict()
    owner = entry.partner_id
    contract = catalog.contract(owner, conversion.offer_id, program_id, conversion.occurred_at)
    if contract is None:
        reason = "NO_CONTRACT"
    elif not covers(contract, conversion.goal):
        reason = "GOAL_NOT_COVERED"
    elif catalog.is_buyer(owner, conversion.customer_id):
        reason = "SELF_REFERRAL"
    elif not policy_met(contract, owner, touches):
        reason = "POLICY_NOT_MET"
    else:
        rank = (GROUP_RANK[group_of(contract)], 1, 1, 0, "")
        return CodeVerdict(ranked=Ranked(rank, owner, contract, None))
    return CodeVerdict(dropped=Dropped(owner, contract, None, reason))


def policy_met(contract: Contract, owner: str, touches: list[Ranked]) -> bool:
    if contract.promo_policy == "if_involved":
        return any(touch.partner_id == owner for touch in touches)
    if contract.promo_policy == "if_winner":
        return bool(touches) and max(touches).partner_id == owner
    return True


def deciding_step(winner: Rank, runner_up: Rank | None) -> str:
    """The first step that separates the two (RULES 2.5); ``only_candidate`` without a runner-up."""
    if runner_up is None:
        return "only_candidate"
    return next(step for step, a, b in zip(STEPS, winner, runner_up, strict=True) if a != b)


def foreign_code(winner: Ranked, owner: Ranked | Dropped) -> bool:
    """Whether the winner is another partner than the code's owner in a group no higher than the owner's contract."""
    if winner.partner_id == owner.partner_id or owner.contract is None:
        return False
    return winner.rank[0] <= GROUP_RANK[group_of(owner.contract)]
