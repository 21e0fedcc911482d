"""The touches of a session, kept so that a decision costs the same with ten of them or a hundred thousand."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator
from typing import NamedTuple

FEW = 16
"""So many late entries are put into a sorted group one by one; more are sorted in with all the others."""


class Touch(NamedTuple):
    """A touch as crediting sees it: the fields of ``click.v1.avsc`` up to ``country``. Times in milliseconds."""

    click_id: str
    occurred_at: int
    received_at: int
    type: str
    partner_id: str
    offer_id: str
    invalid: str | None
    country: str | None


class GroupKey(NamedTuple):
    """Touches that share these share all that decides about them but their time."""

    offer_id: str
    partner_id: str
    type: str
    invalid: bool


Entry = tuple[int, str, Touch]
"""``occurred_at``, ``click_id`` and the touch: in this order a group is sorted."""


class Copies(NamedTuple):
    """What came under one click id."""

    all: set[Touch]
    telling: list[Touch]


class SessionTouches:
    """The distinct touches of one session, whatever the order in which they were added.

    Copies under one click id are one touch: the copy received first, invalid if any copy says so, since a later check
    flags a touch by sending it again with ``invalid`` (RULES 2, details). ``count`` is the number of copies that
    differ, ``last_received_at`` the latest among all of them; both only ever grow (DESIGN 1.3).
    """

    __slots__ = ("_by_id", "_copies", "_groups", "_late", "count", "last_received_at")

    def __init__(self, touches: Iterable[Touch] = ()) -> None:
        self.count = 0
        self.last_received_at = 0
        self._by_id: dict[str, Touch] = {}
        self._copies: dict[str, Copies] = {}
        self._groups: dict[GroupKey, list[Entry]] = {}
        """In order, but for what is in ``_late``."""
        self._late: dict[GroupKey, list[Entry]] = {}
        for touch in touches:
            self.add(touch)

    def add(self, touch: Touch) -> bool:
        """Take a touch. False if this very touch is known."""
        known = self._by_id.get(touch.click_id)
        if known is None:
            self._by_id[touch.click_id] = touch
            self._insert(touch)
        else:
            copies = self._copies.get(touch.click_id) or Copies({known}, [known])
            if touch in copies.all:
                return False
            copies.all.add(touch)
            copies.telling[:] = telling([*copies.telling, touch])
            self._copies[touch.click_id] = copies
            one = merged(copies.telling)
            if one != known:
                self._remove(known)
                self._by_id[touch.click_id] = one
                self._insert(one)
        self.count += 1
        if touch.received_at > self.last_received_at:
            self.last_received_at = touch.received_at
        return True

    def _insert(self, touch: Touch) -> None:
        key = group_key(touch)
        entry = (touch.occurred_at, touch.click_id, touch)
        group = self._groups.get(key)
        if group is None:
            self._groups[key] = [entry]
        elif entry > group[-1]:
            group.append(entry)
        else:
            self._late.setdefault(key, []).append(entry)

    def _remove(self, touch: Touch) -> None:
        self._sort()
        group = self._groups[group_key(touch)]
        del group[bisect_left(group, (touch.occurred_at, touch.click_id))]
        if not group:
            del self._groups[group_key(touch)]

    def _sort(self) -> None:
        for key, late in self._late.items():
            group = self._groups[key]
            if len(late) <= FEW:
                for entry in late:
                    insort(group, entry)
            else:
                group += late
                group.sort()
        self._late.clear()

    def groups(self) -> Iterator[tuple[GroupKey, list[Entry]]]:
        """Every group with its touches by time, then click id."""
        if self._late:
            self._sort()
        return iter(self._groups.items())

    def offer_of(self, click_id: str | None) -> str | None:
        """The offer that a click of this session was on."""
        touch = self._by_id.get(click_id) if click_id is not None else None
        return touch.offer_id if touch is not None else None


def group_key(touch: Touch) -> GroupKey:
    return GroupKey(touch.offer_id, touch.partner_id, touch.type, touch.invalid is not None)


def telling(copies: Iterable[Touch]) -> list[Touch]:
    """Of copies those that decide what they come to: the first, and the first that is invalid."""
    ordered = sorted(copies, key=copy_order)
    flagged = next((copy for copy in ordered if copy.invalid is not None), ordered[0])
    return [ordered[0]] if flagged is ordered[0] else [ordered[0], flagged]


def merged(told: list[Touch]) -> Touch:
    """What copies come to, of which these are ``telling``."""
    return told[0] if told[0].invalid is not None else told[0]._replace(invalid=told[-1].invalid)


def copy_order(touch: Touch) -> tuple[int, int, str, str, str, str, str]:
    return (
        touch.received_at,
        touch.occurred_at,
        touch.type,
        touch.partner_id,
        touch.offer_id,
        touch.invalid or "",
        touch.country or "",
    )
