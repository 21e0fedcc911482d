"""Impressions: an image of one pixel, recorded as a view."""

from __future__ import annotations

import pytest

from ingest.edge.visitor import Edge, Visitor
from schemas.records import Click, DeadLetter
from tests.support.front_door import KEYS, SESSION, FrontDoor

AGENT = ("user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537")


@pytest.mark.parametrize("url", ["/i/shoes.gif?partner=anna&sub1=top", "/aff_i?offer_id=shoes&aff_id=anna&aff_sub=top"])
def test_an_impression_is_recorded_and_the_image_comes(url: str) -> None:
    door = FrontDoor()
    said = door.ask("GET", url, headers=[("host", "go.example"), AGENT])
    (view,) = door.publisher.records("clicks")
    assert isinstance(view, Click)
    assert (said.status, said.headers["content-type"], len(said.body)) == (200, "image/gif", 43)
    assert said.headers["cache-control"] == "no-store"
    assert said.body.startswith(b"GIF89a\x01\x00\x01\x00")
    assert said.body.endswith(b";")
    assert (view.type, view.partner_id, view.offer_id, view.sub1, view.door) == (
        "impression",
        "anna",
        "shoes",
        "top",
        "impression",
    )
    assert said.headers["set-cookie"].startswith(f"accredit_sid={view.session_id}; Path=/; Max-Age=2592000; HttpOnly")
    assert said.headers["set-cookie"].endswith("SameSite=None; Secure")
    assert KEYS.verify(view.click_id).session_id == view.session_id


def test_the_session_of_the_cookie_is_kept() -> None:
    door = FrontDoor()
    door.ask("GET", "/i/shoes.gif?partner=anna", headers=[("cookie", f"accredit_sid={SESSION}")])
    (view,) = door.publisher.records("clicks")
    assert isinstance(view, Click)
    assert view.session_id == SESSION


def test_who_may_not_be_known_again_gets_no_cookie(monkeypatch: pytest.MonkeyPatch) -> None:
    nobody = Visitor(None, None, None, None, None, None, None, may_identify=False)
    monkeypatch.setattr(Edge, "visitor", lambda *_: nobody)
    door = FrontDoor()
    said = door.ask("GET", "/i/shoes.gif?partner=anna", headers=[("cookie", f"accredit_sid={SESSION}")])
    (view,) = door.publisher.records("clicks")
    assert isinstance(view, Click)
    assert "set-cookie" not in said.headers
    assert view.session_id != SESSION


@pytest.mark.parametrize(
    ("url", "status", "reason"),
    [
        ("/i/nope.gif?partner=anna", 404, "UNKNOWN_OFFER"),
        ("/i/?partner=anna", 404, "UNKNOWN_OFFER"),
        ("/aff_i?aff_id=anna", 404, "UNKNOWN_OFFER"),
        ("/i/shoes.gif", 400, "MISSING_FIELD"),
    ],
)
def test_what_cannot_be_recorded_is_an_image_with_an_honest_status_and_a_dead_letter(
    url: str, status: int, reason: str
) -> None:
    door = FrontDoor()
    said = door.ask("GET", url)
    assert (said.status, len(said.body)) == (status, 43)
    (letter,) = door.publisher.records("dead-letters")
    assert isinstance(letter, DeadLetter)
    assert (letter.reason, letter.door, letter.original) == (reason, "impression", f"GET {url}".encode())


def test_head_and_prefetch_are_not_counted() -> None:
    door = FrontDoor()
    assert door.ask("HEAD", "/i/shoes.gif?partner=anna").status == 200
    assert door.ask("GET", "/i/shoes.gif?partner=anna", headers=[("sec-purpose", "prefetch")]).status == 200
    assert door.publisher.messages == []


def test_a_full_spool_is_503_because_nobody_waits_for_an_image() -> None:
    door = FrontDoor()
    door.publisher.full = True
    assert door.ask("GET", "/i/shoes.gif?partner=anna").status == 503
