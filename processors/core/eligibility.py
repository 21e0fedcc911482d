"""Candidates and what becomes of them: RULES 2, steps 1 to 5. Ranking looks at event content alone."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from processors.core.terms import GROUP_RANK, CompiledCatalog, covers, group_of
from processors.core.touch import Entry, GroupKey, SessionTouches, Touch
from schemas.catalog import Contract, Offer
from schemas.records import Conversion

STEPS = ("credit_group", "promo_code", "touch_type", "time", "click_id")
LISTED = 200  # candidates that an explanation lists (RULES R52)
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


class Weighed(NamedTuple):
    """The touches of a program: of each kind as many as an explanation can list, and how many there are in all."""

    ranked: list[Ranked]
    dropped: list[Dropped]
    eligible: int
    reasons: Counter[str]
    partners: set[str]
    """Who has an eligible touch."""


Segment = tuple[int, int, str | None]
"""Touches ``[start, end)`` of a group with the reason that drops them; None: eligible."""


def weigh_touches(
    catalog: CompiledCatalog, conversion: Conversion, program_id: str, touches: SessionTouches
) -> Weighed:
    """Every touch of the program with what becomes of it (RULES 2.1 to 2.3), in no order.

    Whether a touch counts depends on its group and its time, so a group falls into a few runs of time: the work grows
    with the number of groups, not of touches.
    """
    found = Weighed([], [], 0, Counter(), set())
    eligible = 0
    for key, entries in touches.groups():
        offer = catalog.offers.get(key.offer_id)
        if offer is None or offer.program != program_id:
            continue
        contract = catalog.contract(key.partner_id, key.offer_id, program_id, conversion.occurred_at)
        for start, end, reason in segments(catalog, conversion, key, offer, contract, entries):
            if start == end:
                continue
            listed = entries[max(start, end - LISTED) : end]
            if reason is not None:
                found.reasons[reason] += end - start
                found.dropped.extend(Dropped(key.partner_id, contract, touch, reason) for _, _, touch in listed)
                continue
            assert contract is not None
            eligible += end - start
            found.partners.add(key.partner_id)
            group, is_click = GROUP_RANK[group_of(contract)], int(key.type == "click")
            found.ranked.extend(
                Ranked((group, 0, is_click, at, click_id), key.partner_id, contract, touch)
                for at, click_id, touch in listed
            )
    return found._replace(eligible=eligible)


def segments(
    catalog: CompiledCatalog,
    conversion: Conversion,
    key: GroupKey,
    offer: Offer,
    contract: Contract | None,
    entries: list[Entry],
) -> Iterator[Segment]:
    """A group's runs of time and their reasons, the first of RULES 2.3 that applies."""
    converted_at = conversion.occurred_at
    end = before(entries, converted_at + 1)
    yield end, len(entries), "AFTER_CONVERSION"
    if key.invalid:
        yield 0, end, "INVALID_TOUCH"
        return
    if contract is None:
        yield 0, end, "NO_CONTRACT"
        return
    whole = None
    if not covers(contract, conversion.goal):
        whole = "GOAL_NOT_COVERED"
    elif key.type != "click" and not contract.accepts_impressions:
        whole = "TOUCH_NOT_ACCEPTED"
    window_start = before(entries, converted_at - catalog.window(contract, offer, key.type))
    too_fast = before(entries, converted_at - (contract.min_time or 0) + 1)
    in_time = "SELF_REFERRAL" if catalog.is_buyer(key.partner_id, conversion.customer_id) else None
    start = 0
    for active, until in offer_phases(offer):
        stop = end if until is None else min(before(entries, until), end)
        if not active:
            yield start, stop, "OFFER_INACTIVE"
        elif whole is not None:
            yield start, stop, whole
        else:
            opens = min(max(window_start, start), stop)
            closes = min(max(too_fast, opens), stop)
            yield start, opens, "OUT_OF_WINDOW"
            yield opens, closes, in_time
            yield closes, stop, "UNDER_MIN_TIME"
        start = stop


def before(entries: list[Entry], at: int) -> int:
    """How many touches of the group are earlier than the millisecond ``at``."""
    return bisect_left(entries, (at,))


def offer_phases(offer: Offer) -> Iterator[tuple[bool, int | None]]:
    """The offer's life as (active, until) in order of time; the last has no end."""
    if not offer.status:
        yield True, None
        return
    active = False
    for entry in sorted(offer.status, key=lambda entry: entry.starts_at):
        yield active, entry.starts_at
        active = entry.value == "active"
    yield active, None


class CodeVerdict(NamedTuple):
    """What a promo code on a conversion comes to: a candidate, a dropped candidate, or neither if it is unknown."""

    ranked: Ranked | None = None
    dropped: Dropped | None = None

    @property
    def owner(self) -> Ranked | Dropped | None:
        return self.ranked or self.dropped


def weigh_code(
    catalog: CompiledCatalog, conversion: Conversion, program_id: str, touches: Weighed
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


def policy_met(contract: Contract, owner: str, touches: Weighed) -> bool:
    if contract.promo_policy == "if_involved":
        return owner in touches.partners
    if contract.promo_policy == "if_winner":
        return bool(touches.ranked) and max(touches.ranked).partner_id == owner
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
