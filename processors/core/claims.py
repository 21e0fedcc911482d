"""One order, several doors: which of a conversion's claims stands (RULES R29, R30, R51)."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NamedTuple

from schemas.records import Credit


class Standing(NamedTuple):
    """The claim that stands, how many further events brought the same order and content, and the conflicting claims."""

    credit: Credit
    duplicates: int
    conflicts: list[Credit]


def content(claim: Credit) -> tuple[Decimal | None, str]:
    """What makes two reports of an order the same: amount and currency (RULES R29)."""
    return (None if claim.amount is None else Decimal(claim.amount)), claim.currency


def stand(claims: Iterable[Credit]) -> Standing:
    """Decide among the claims of one conversion: the first received fixes the content; others conflict.

    Among those of the same content a credited one goes before an unattributed one, then the earliest ``received_at``,
    then the smaller session id. Any order of ``claims`` gives the same.
    """
    ordered = sorted(claims, key=lambda claim: (claim.received_at, claim.session_id, repr(content(claim))))
    settled = content(ordered[0])
    same = [claim for claim in ordered if content(claim) == settled]
    conflicts = [claim for claim in ordered if content(claim) != settled]
    credited = [claim for claim in same if claim.status == "credited"]
    copies = sum(1 + claim.duplicates for claim in same) - 1
    return Standing((credited or same)[0], copies, conflicts)
