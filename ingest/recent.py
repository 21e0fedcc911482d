"""What a process remembers of recent conversions, so that a copy can be answered ``duplicate``.

The answer is a courtesy to the sender: what a copy comes to is decided by attribution and settlement on the set of all
events (RULES R29 to R32, R51), and a copy is published like any other event, so that the audit can count it.
"""

from __future__ import annotations

from collections import OrderedDict
from decimal import Decimal, InvalidOperation
from typing import Literal

Standing = Literal["accepted", "duplicate", "conflict"]
"""First of its order and goal; the same content again (R29); other content, where the first stands (R30)."""


class RecentConversions:
    """Conversion id → content, the latest ``limit`` of them. One per process, used on its loop and by its follower.

    Every call is one operation on a dict or two in a harmless order, so that no lock is needed.
    """

    def __init__(self, limit: int = 100_000) -> None:
        self._limit = limit
        self._contents: OrderedDict[bytes, int] = OrderedDict()

    def __len__(self) -> int:
        return len(self._contents)

    def meet(self, conversion_id: str, amount: str | None, currency: str | None) -> Standing:
        """What a conversion is beside those known, and remember it if it is the first of its id."""
        key, content = bytes.fromhex(conversion_id), content_of(amount, currency)
        known = self._contents.get(key)
        if known is not None:
            return "duplicate" if known == content else "conflict"
        self._contents[key] = content
        while len(self._contents) > self._limit:
            try:
                self._contents.popitem(last=False)
            except KeyError:  # the other thread took the last one
                break
        return "accepted"

    def forget(self, conversion_id: str) -> None:
        """It was not published after all."""
        self._contents.pop(bytes.fromhex(conversion_id), None)


def content_of(amount: str | None, currency: str | None) -> int:
    """A digest of what R29 calls the content: the amount as a number, and the currency."""
    try:
        number = None if amount is None else Decimal(amount)
    except InvalidOperation:
        number = None
    return hash((number, currency))
