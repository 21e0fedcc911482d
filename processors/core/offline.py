"""The final credits of a whole history at once: what every run of the pipeline over the same events converges to."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

from processors.core.claims import Standing, content, stand
from processors.core.session import Refusal, decide_session
from processors.core.terms import CompiledLog
from processors.core.touch import SessionTouches, Touch
from schemas.records import Click, Conversion, Credit

LEADING = len(Touch._fields)
Event = TypeVar("Event", Click, Conversion)


class Conflict(NamedTuple):
    """An event whose order came first with other content (RULES R30)."""

    conversion: Conversion
    stands: Credit


class History:
    """A set of events; adding one that is in it already changes nothing."""

    def __init__(self) -> None:
        self._clicks: dict[str, dict[str, list[Click]]] = defaultdict(lambda: defaultdict(list))
        self._conversions: dict[str, list[Conversion]] = defaultdict(list)

    def add_click(self, click: Click) -> bool:
        """Take a touch. False if this very event is known."""
        return add_distinct(self._clicks[click.session_id][click.click_id], click)

    def add_conversion(self, conversion: Conversion) -> bool:
        """Take a conversion. False if this very event is known."""
        return add_distinct(self._conversions[conversion.conversion_id], conversion)

    def settle(
        self, catalogs: CompiledLog, run_id: str = "offline"
    ) -> tuple[list[Standing], list[Refusal], list[Conflict]]:
        """What stands of each conversion, by ``occurred_at``, then order id; what is refused; what conflicts."""
        sessions: dict[str, list[Conversion]] = defaultdict(list)
        for conversion in self.conversions():
            sessions[conversion.session_id].append(conversion)
        refused: list[Refusal] = []
        claims: dict[str, list[Credit]] = defaultdict(list)
        for session_id, conversions in sessions.items():
            clicks = (click for group in self.touches(session_id) for click in group)
            touches = SessionTouches(Touch._make(click[:LEADING]) for click in clicks)
            decision = decide_session(session_id, conversions, touches, catalogs, run_id)
            refused += decision.refused
            for claim in decision.credits:
                claims[claim.conversion_id].append(claim)
        standings = [stand(group) for group in claims.values()]
        unusable = {id(refusal.conversion) for refusal in refused}
        conflicts = [
            Conflict(conversion, standing.credit)
            for standing in standings
            if standing.conflicts
            for conversion in self._conversions[standing.credit.conversion_id]
            if id(conversion) not in unusable and conflicting(conversion, standing, catalogs)
        ]
        standings.sort(key=printed_order)
        return standings, refused, conflicts

    def conversions(self) -> Iterator[Conversion]:
        for group in self._conversions.values():
            yield from group

    def touches(self, session_id: str) -> Iterable[list[Click]]:
        return self._clicks[session_id].values() if session_id in self._clicks else ()


def printed_order(standing: Standing) -> tuple[int, str, str, str, str]:
    credit = standing.credit
    return credit.occurred_at, credit.order_id or "", credit.advertiser_id, credit.goal, credit.conversion_id


def add_distinct(group: list[Event], event: Event) -> bool:
    if event in group:
        return False
    group.append(event)
    return True


def conflicting(conversion: Conversion, standing: Standing, catalogs: CompiledLog) -> bool:
    """Whether an event of this order says other content than what stands."""
    _, catalog = catalogs.in_effect(conversion.received_at)
    currency = conversion.currency or catalog.currencies[conversion.advertiser_id]
    said = content(standing.credit._replace(amount=conversion.amount, currency=currency))
    return said != content(standing.credit)
