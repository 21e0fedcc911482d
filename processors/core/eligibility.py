"""Candidates and what becomes of them: RULES 2, steps 1 to 5. Ranking looks at event content alone."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from processors.core.terms import GROUP_RANK, CompiledCatalog, group_of
from processors.core.touch import Entry, GroupKey, SessionTouches, Touch
from schemas.catalog import Contract, Offer
from schemas.records import Conversion

STEPS = ("credit_group", "promo_code", "touch_type", "time", "click_id")
LISTED = 200  # candidates that an explanation lists (RULES R52)
MANY = 2 * LISTED  # from so many on it pays to look which can be listed
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
    """The touches of a program: of each kind those that an explanation may list, and how many there are in all."""

    ranked: list[Ranked]
    dropped: list[Dropped]
    eligible: int
    reasons: Counter[str]
    partners: set[str]
    """Who has an eligible touch."""


Run = tuple[int | None, str | None]
"""Touches earlier than this millisecond (None: all) and in no run before have this reason; None: eligible."""
Segment = tuple[int, int, str | None]
"""Touches ``[start, end)`` of a group with the reason that drops them; None: eligible."""


def weigh_touches(
    catalog: CompiledCatalog, conversion: Conversion, program_id: str, touches: SessionTouches
) -> Weighed:
    """Every touch of the program with what becomes of it (RULES 2.1 to 2.3), in no order.

    Whether a touch counts depends on its group and its time, so a group falls into a few runs of time: the work grows
    with the number of groups, not of touches.
    """
    eligible: dict[tuple[int, int, int], list[Stretch]] = {}
    dropped: list[Stretch] = []
    reasons: Counter[str] = Counter()
    for key, entries in touches.groups():
        offer_id, partner_id, kind, _ = key
        if catalog.program_of.get(offer_id) != program_id:
            continue
        contract = catalog.contract(partner_id, offer_id, program_id, conversion.occurred_at)
        runs = time_runs(catalog, conversion, key, catalog.offers[offer_id], contract)
        for start, end, reason in segments(entries, runs):
            stretch = Stretch(entries, start, end, partner_id, contract, reason)
            if reason is not None:
                reasons[reason] += end - start
                dropped.append(stretch)
                continue
            assert contract is not None
            rank = (GROUP_RANK[group_of(contract)], 0, int(kind == "click"))
            eligible.setdefault(rank, []).append(stretch)
    ranked: list[Ranked] = []
    for rank in sorted(eligible, reverse=True) if len(eligible) > 1 else eligible:
        if len(ranked) < LISTED:
            for entries, start, end, partner_id, contract, _ in latest(eligible[rank]):
                assert contract is not None
                ranked += [
                    Ranked((*rank, at, click_id), partner_id, contract, touch)
                    for at, click_id, touch in entries[start:end]
                ]
    return Weighed(
        ranked,
        [
            Dropped(partner_id, contract, touch, reason or "")
            for entries, start, end, partner_id, contract, reason in latest(dropped)
            for _, _, touch in entries[start:end]
        ],
        sum(stretch.end - stretch.start for stretches in eligible.values() for stretch in stretches),
        reasons,
        {stretch.partner_id for stretches in eligible.values() for stretch in stretches},
    )


class Stretch(NamedTuple):
    """Touches ``[start, end)`` of a group, which share what becomes of them."""

    entries: list[Entry]
    start: int
    end: int
    partner_id: str
    contract: Contract | None
    reason: str | None


def latest(stretches: list[Stretch]) -> list[Stretch]:
    """The stretches without what is certainly not among the LISTED latest of all their touches."""
    if sum(stretch.end - stretch.start for stretch in stretches) <= MANY:
        return stretches
    share = LISTED // len(stretches) + 1
    sample: list[Entry] = []
    while len(sample) < LISTED:
        sample = [one for entries, start, end, *_ in stretches for one in entries[max(start, end - share) : end]]
        share *= 2
    sample.sort()
    floor = sample[-LISTED]
    return [
        stretch._replace(start=bisect_left(stretch.entries, floor, stretch.start, stretch.end)) for stretch in stretches
    ]


def dropped_order(entry: Dropped) -> tuple[int, str]:
    """By which dropped candidates are listed: the latest first, the owner of a code last."""
    return (entry.touch.occurred_at, entry.touch.click_id) if entry.touch is not None else (-1, "")


def time_runs(
    catalog: CompiledCatalog, conversion: Conversion, key: GroupKey, offer: Offer, contract: Contract | None
) -> list[Run]:
    """A group's reasons over time: at any time the first of RULES 2.3 that applies."""
    after = conversion.occurred_at + 1
    if key.invalid:
        return [(after, "INVALID_TOUCH"), (None, "AFTER_CONVERSION")]
    if contract is None:
        return [(after, "NO_CONTRACT"), (None, "AFTER_CONVERSION")]
    while_active: list[tuple[int, str | None]]
    if not catalog.covers(contract, conversion.goal):
        while_active = [(after, "GOAL_NOT_COVERED")]
    elif key.type != "click" and not contract.accepts_impressions:
        while_active = [(after, "TOUCH_NOT_ACCEPTED")]
    else:
        in_time = "SELF_REFERRAL" if catalog.is_buyer(key.partner_id, conversion.customer_id) else None
        while_active = [
            (conversion.occurred_at - catalog.window(contract, offer, key.type), "OUT_OF_WINDOW"),
            (after - (contract.min_time or 0), in_time),
            (after, "UNDER_MIN_TIME"),
        ]
    if not offer.status:
        return [*while_active, (None, "AFTER_CONVERSION")]
    runs: list[Run] = []
    for active, until in offer_phases(offer):
        end = after if until is None else min(until, after)
        if active:
            runs += [(min(at, end), reason) for at, reason in while_active]
        else:
            runs.append((end, "OFFER_INACTIVE"))
    return [*runs, (None, "AFTER_CONVERSION")]


def segments(entries: list[Entry], runs: list[Run]) -> list[Segment]:
    """The runs as places in a group, those that hold no touch left out."""
    number = len(entries)
    if number == 1:
        at = entries[0][0]
        return [(0, 1, next(reason for until, reason in runs if until is None or at < until))]
    found = []
    start = 0
    for until, reason in runs:
        end = number if until is None else bisect_left(entries, (until,))
        if end > start:
            found.append((start, end, reason))
            start = end
    return found


def offer_phases(offer: Offer) -> Iterator[tuple[bool, int | None]]:
    """The offer's life as (active, until) in order of time; the last has no end."""
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
    elif not catalog.covers(contract, conversion.goal):
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
