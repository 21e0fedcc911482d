"""A trial told step by step: what came, what would be recorded, where it goes, what a sale would do."""

from __future__ import annotations

from typing import Any, NamedTuple

from console.links.address import Ground
from console.links.trial import Sale, Trial
from schemas.times import DAY, format_time

FACTS = ("type", "partner_id", "offer_id", "source", "sub1", "sub2", "sub3", "sub4", "sub5", "promo_code", "invalid")
SEEN = ("country", "device", "os", "browser", "ip")


class Step(NamedTuple):
    """A title, and what there is to say: name and value."""

    title: str
    facts: list[tuple[str, str]]


def told(trial: Trial, ground: Ground, sale: Sale) -> list[Step]:
    """The steps, in their order."""
    return [visitor(trial), recorded(trial), gone(trial), *(credited(credit, sale, ground) for credit in trial.credits)]


def visitor(trial: Trial) -> Step:
    touch = trial.touch
    if touch is None:
        return Step("A visitor follows the link", [("", "no touch comes of it")])
    return Step("A visitor follows the link", [(name, text) for name in SEEN if (text := getattr(touch, name))])


def recorded(trial: Trial) -> Step:
    """What the log would have of it."""
    title = "What would be recorded"
    if trial.letter is not None:
        letter = trial.letter
        why = f"{letter.reason}: {letter.detail}"
        return Step(
            title,
            [("dead letter", why if letter.field is None else f"{letter.reason}: {letter.field} {letter.detail}")],
        )
    touch = trial.touch
    if touch is None:
        return Step(title, [("", "nothing: previews and prefetches are not counted")])
    facts = [(name, text) for name in FACTS if (text := getattr(touch, name))]
    facts += [(f"params.{name}", text) for name, text in touch.params.items()]
    facts += [("transaction id", touch.click_id), ("at", format_time(touch.occurred_at))]
    cookie = trial.header("set-cookie")
    age = next((part for part in (cookie or "").split("; ") if part.startswith("Max-Age=")), None)
    if age is not None:
        facts.append(("session", f"{touch.session_id}, in a cookie for {int(age[8:]) * 1_000 // DAY} days"))
    else:
        facts.append(("session", f"{touch.session_id}, of this touch alone: no cookie"))
    return Step(title, facts)


def gone(trial: Trial) -> Step:
    """Where the visitor is sent."""
    status, location = trial.answer.status, trial.header("location")
    if location is not None:
        return Step("Where it goes", [(str(status), location)])
    kind = trial.header("content-type") or "nothing"
    what = "an image of one pixel" if kind == "image/gif" else "a page that says that it leads nowhere"
    return Step("Where it goes", [(str(status), what)])


def credited(credit: dict[str, Any], sale: Sale, ground: Ground) -> Step:
    """What a conversion would do, and why."""
    title = f"An hour later, a {credit['goal']} of {sale.amount} {credit['currency']}"
    facts: list[tuple[str, str]] = []
    if credit["status"] == "credited":
        payout = f"{credit['payout']} {credit['currency']}"
        facts.append(("credited", f"{credit['partner_id']}, {payout}"))
        facts.append(
            ("decided by", f"{credit['decided_by']} (contract {credit['contract_id']}, {credit['credit_group']})")
        )
        if credit["revenue"] is not None:
            facts.append(("revenue", f"{credit['revenue']} {credit['currency']}"))
    else:
        facts.append((credit["status"], str(credit["reason"])))
    for candidate in credit["candidates"]:
        if candidate["reason"] is not None:
            facts.append(("dropped", f"{candidate['partner_id']} {candidate['type']}: {candidate['reason']}"))
    facts += [("note", note) for note in credit["notes"]]
    return Step(title, facts)
