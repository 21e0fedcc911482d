"""A credit in its public shape (``examples/credits.ndjson``): field names and their order are the interface."""

from __future__ import annotations

from typing import Any

from processors.core.claims import Standing
from schemas.records import Candidate
from schemas.times import format_time


def public_credit(standing: Standing) -> dict[str, Any]:
    """The claim that stands as plain data. ``omitted`` is there only when the explanation was cut (RULES R52)."""
    credit = standing.credit
    notes = list(credit.notes)
    if standing.duplicates:
        notes.append(f"DUPLICATES {standing.duplicates}")
    shape: dict[str, Any] = {
        "advertiser_id": credit.advertiser_id,
        "goal": credit.goal,
        "order_id": credit.order_id,
        "status": credit.status,
        "partner_id": credit.partner_id,
        "contract_id": credit.contract_id,
        "credit_group": credit.credit_group,
        "method": credit.method,
        "decided_by": credit.decided_by,
        "payout": credit.payout,
        "revenue": credit.revenue,
        "currency": credit.currency,
        "candidates": [public_candidate(candidate) for candidate in credit.candidates],
        "reason": credit.reason,
        "notes": notes,
    }
    if credit.omitted:
        shape["omitted"] = dict(credit.omitted)
    return shape


def public_candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        "partner_id": candidate.partner_id,
        "contract_id": candidate.contract_id,
        "type": candidate.type,
        "occurred_at": format_time(candidate.occurred_at) if candidate.occurred_at is not None else None,
        "credit_group": candidate.credit_group,
        "rank": candidate.rank,
        "reason": candidate.reason,
    }
