"""The story of the demo, chapter by chapter, and what must come of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

from console.demo.ledger import DemoCredit
from console.demo.visitor import CRAWLER, Shop, Visitor
from console.errors import StoryFailed
from schemas.times import HOUR, format_time

OFFER, ADVERTISER, CURRENCY = "lamps", "nordlicht", "EUR"
BANNER, MAIL, BLOG, ANNA = "displaynet", "weekly-mail", "bright-blog", "anna"
DEADLINE_S = 30.0
POLL_S = 0.1


class Outcome(NamedTuple):
    """What an order must come to."""

    order_id: str
    status: str
    partner_id: str | None
    decided_by: str | None
    payout: str | None
    because: str


OUTCOMES = (
    Outcome("L-1001", "credited", MAIL, "credit_group", "0.00", "the e-mail's contract is preferred"),
    Outcome("L-1002", "credited", ANNA, "promo_code", "8.00", "same group, and a code goes before a click"),
    Outcome("L-1003", "credited", MAIL, "credit_group", "0.00", "the late e-mail click corrected it"),
    Outcome("L-1004", "credited", BANNER, "only_candidate", "1.50", "the crawler's click does not count"),
    Outcome("L-1005", "unattributed", None, None, None, "nobody sent this buyer"),
)
BEFORE_THE_LATE_CLICK = Outcome("L-1003", "credited", BLOG, "only_candidate", "4.80", "all that was known then")


class Ledger(Protocol):
    """Where credits are read: `console.demo.ledger.ClickHouseLedger`."""

    def credits(self) -> dict[str, DemoCredit]:
        """The credits that stand, by order."""


class Telling(Protocol):
    """To whom it is told: `console.demo.command.Narrator`."""

    def chapter(self, title: str) -> None: ...

    def line(self, text: str) -> None: ...

    def credit(self, credit: DemoCredit, because: str) -> None: ...


class Story:
    """Plays the story against the ingest process at ``ingest``. StoryFailed when something else comes of it."""

    def __init__(self, ingest: str, ledger: Ledger, tell: Telling, interrupted: Callable[[], bool]) -> None:
        self._ingest = ingest
        self._shop = Shop(ingest)
        self._ledger = ledger
        self._tell = tell
        self._interrupted = interrupted
        self._expected = {outcome.order_id: outcome for outcome in OUTCOMES}

    def play(self) -> None:
        """All chapters, then a look at everything."""
        sale = self.three_ways_to_a_lamp()
        self.a_code_from_a_video()
        self.a_click_that_comes_late()
        self.the_same_sale_again(sale)
        self.a_crawler_clicks_last()
        self.a_phone_call()
        self.check_all()

    def three_ways_to_a_lamp(self) -> dict[str, str]:
        """RULES R01: the group decides first, although the blog was clicked last."""
        self._tell.chapter("Vera sees a banner, opens the weekly e-mail, and comes back through a blog")
        vera = Visitor(self._ingest)
        for partner in (BANNER, MAIL, BLOG):
            transaction_id = vera.click(OFFER, partner)
            self._tell.line(f"GET /c/{OFFER}?partner={partner} → 302, transaction id …{transaction_id[-12:]}")
        sale = self.sale("L-1001", "120.00", transaction_id=transaction_id)
        self.becomes(self._expected["L-1001"])
        return sale

    def a_code_from_a_video(self) -> None:
        """RULES 2.5: within a group a promo code goes before a touch."""
        self._tell.chapter("Ben comes through the blog, too, and types the code from Anna's video")
        transaction_id = self.visit(Visitor(self._ingest), BLOG)
        self.sale("L-1002", "80.00", transaction_id=transaction_id, promo_code="ANNA10")
        self.becomes(self._expected["L-1002"])

    def a_click_that_comes_late(self) -> None:
        """RULES R33: a click that arrives after its conversion corrects the credit by itself."""
        self._tell.chapter("Cleo buys through the blog; her e-mail click of an hour ago is delivered only afterwards")
        cleo = Visitor(self._ingest)
        transaction_id = self.visit(cleo, BLOG)
        self.sale("L-1003", "60.00", transaction_id=transaction_id)
        self.becomes(BEFORE_THE_LATE_CLICK)
        clicked_at = format_time(int(time.time() * 1_000) - HOUR)
        self._shop.send_events(
            {
                "type": "click",
                "session_id": cleo.session_id,
                "occurred_at": clicked_at,
                "offer_id": OFFER,
                "partner_id": MAIL,
            }
        )
        self._tell.line(f"POST /v1/events: a click on the e-mail at {clicked_at}, received after the sale")
        self.becomes(self._expected["L-1003"])

    def the_same_sale_again(self, sale: dict[str, str]) -> None:
        """RULES R29: the same order with the same content is one conversion."""
        self._tell.chapter("The shop is not sure that its first postback arrived, and sends it again")
        self._shop.report(**sale)
        self._tell.line(f"GET /pb?order_id={sale['order_id']}&… a second time: taken, and never paid twice")
        self.until(lambda: self.found("L-1001").duplicates == 1, "the copy to be counted as a duplicate")
        self.becomes(self._expected["L-1001"])

    def a_crawler_clicks_last(self) -> None:
        """RULES R24: an invalid touch is kept, and dropped with its reason."""
        self._tell.chapter("Dan clicks a banner; then a crawler opens the e-mail's link in his session")
        dan = Visitor(self._ingest)
        transaction_id = self.visit(dan, BANNER)
        dan.click(OFFER, MAIL, agent=CRAWLER)
        self._tell.line(f"GET /c/{OFFER}?partner={MAIL} by Googlebot → 302, kept and marked as a bot's")
        self.sale("L-1004", "45.00", transaction_id=transaction_id)
        self.becomes(self._expected["L-1004"])

    def a_phone_call(self) -> None:
        """RULES R28: no touches, no code."""
        self._tell.chapter("Somebody orders by phone")
        self.sale("L-1005", "30.00", advertiser_id=ADVERTISER, program_id="spring")
        self.becomes(self._expected["L-1005"])

    def check_all(self) -> None:
        """Every order once, as it must be. StoryFailed."""
        found = self._ledger.credits()
        if set(found) != set(self._expected):
            raise StoryFailed(f"the orders are {sorted(found)}, not {sorted(self._expected)}")
        for outcome in OUTCOMES:
            if not matches(found[outcome.order_id], outcome):
                raise StoryFailed(f"order {outcome.order_id} became {found[outcome.order_id]}, not {outcome}")

    def visit(self, visitor: Visitor, partner: str) -> str:
        transaction_id = visitor.click(OFFER, partner)
        self._tell.line(f"GET /c/{OFFER}?partner={partner} → 302, transaction id …{transaction_id[-12:]}")
        return transaction_id

    def sale(self, order_id: str, amount: str, **named: str) -> dict[str, str]:
        """The shop reports a sale; returns what it sent."""
        sent = {"goal": "sale", "order_id": order_id, "amount": amount, "currency": CURRENCY, **named}
        self._shop.report(**sent)
        by = "transaction_id=…" if "transaction_id" in named else f"advertiser_id={ADVERTISER}"
        code = f"&promo_code={named['promo_code']}" if "promo_code" in named else ""
        self._tell.line(f"GET /pb?order_id={order_id}&amount={amount}&{by}{code} → accepted")
        return sent

    def becomes(self, outcome: Outcome) -> None:
        """Wait until the order is what it must be, and tell it. StoryFailed with what it is instead."""
        self.until(lambda: matches(self.found(outcome.order_id), outcome), f"order {outcome.order_id} to be {outcome}")
        self._tell.credit(self.found(outcome.order_id), outcome.because)

    def found(self, order_id: str) -> DemoCredit:
        return self._ledger.credits().get(order_id, DemoCredit(order_id=order_id, status="not there"))

    def until(self, is_so: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not is_so():
            if self._interrupted():
                raise StoryFailed("interrupted")
            if time.monotonic() > deadline:
                raise StoryFailed(f"waited {DEADLINE_S:.0f} s for {what}; what is there: {self._ledger.credits()}")
            time.sleep(POLL_S)


def matches(credit: DemoCredit, outcome: Outcome) -> bool:
    """Whether a credit is what the story tells of it."""
    return (credit.status, credit.partner_id, credit.decided_by, credit.payout) == outcome[1:5]
