"""`accredit forget` on a running installation: what identified is gone from everywhere, and the money stays."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from ingest.privacy.key_file import read_key_file
from tests.support.running import Running, until

pytestmark = pytest.mark.e2e

CATALOG = """
advertisers: [{id: shop, currency: USD}]
offers: [{id: decor, advertiser_id: shop, landing_url: "https://shop.example/?t={transaction_id}"}]
partners: [{id: blog, type: publisher}, {id: own, type: publisher, buyer_ids: [own-buyer]}]
contracts:
  - {id: c-blog, partner_id: blog, program_id: shop, from: 2026-01-01T00:00:00Z, payout: [{percent: "8"}]}
"""
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36"
REFERRER = "https://blog.example/posts/a-post-that-one-person-read?email=kim%40home.example&p=1"
CUSTOMER = "Kim@Home.example"
GCLID = "Cj0KCQiA-only-this-person"


class NoRedirect(urllib.request.HTTPRedirectHandler):
    """The shop of the test does not exist."""

    def redirect_request(self, *args: object) -> None:
        """Stay here."""


OPENER = urllib.request.build_opener(NoRedirect)


def click(ingest: str) -> tuple[str, str]:
    """A visitor follows a link; click id and session."""
    asked = urllib.request.Request(
        f"{ingest}/c/decor?partner=blog&sub1=banner&gclid={GCLID}&utm_source=mail",
        headers={"User-Agent": AGENT, "Referer": REFERRER},
    )
    try:
        OPENER.open(asked, timeout=30)
    except urllib.error.HTTPError as answer:
        with answer:
            cookie = re.search(r"=([0-9a-f-]{36});", answer.headers["set-cookie"])
            found = re.search(r"t=([\w-]+)", answer.headers["location"])
    assert cookie is not None
    assert found is not None
    return found[1], cookie[1]


def buy(ingest: str, click_id: str, order: str, customer: str, **more: str) -> int:
    """A postback; the status of its answer."""
    sold = {"transaction_id": click_id, "order_id": order, "amount": "50.00", "customer": customer}
    query = urllib.parse.urlencode({**sold, **more})
    try:
        with urllib.request.urlopen(f"{ingest}/pb?{query}", timeout=30) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code


def credits(client: Client) -> list[tuple[object, ...]]:
    return list(
        client.query(
            "SELECT order_id, status, partner_id, payout FROM accredit.v_credits ORDER BY order_id"
        ).result_rows
    )


def test_a_customer_is_forgotten_and_the_money_stays(running: Running, tmp_path: Path) -> None:
    catalog = tmp_path / "catalog.yaml"
    catalog.write_text(CATALOG)
    (running.data / "ingest.yaml").write_text("{}")
    running.run("catalog", "apply", str(catalog))
    addresses = running.addresses()
    ingest = addresses["ingest"]
    client = clickhouse_connect.get_client(dsn=addresses["clickhouse"])
    first, session = click(ingest)
    assert buy(ingest, first, "A-1", CUSTOMER, note="gift for mum") == 200
    other, others_session = click(ingest)
    assert buy(ingest, other, "A-2", "someone@else.example") == 200
    # Refused with the customer's address in it: the dead letter may not keep it.
    assert buy(ingest, "x" * 60, "A-3", CUSTOMER) == 400
    until(lambda: len(credits(client)) == 2, 60, "two credits")
    before = credits(client)

    sealed = client.query("SELECT ip, user_agent, referrer, params FROM accredit.clicks").result_rows
    for ip, agent, referrer, params in sealed:
        assert (ip, agent, referrer) == (None, None, None)
        assert params["utm_source"] == "mail"
        assert "gclid" not in params
        assert params["accredit_sealed"]
    customers = client.query("SELECT DISTINCT customer_id FROM accredit.conversions").result_rows
    assert len(customers) == 2
    assert all(re.fullmatch("[0-9a-f]{64}", name) for (name,) in customers)

    shown = json.loads(running.run("session", first, "--format", "json"))
    assert shown["session_id"] == session
    assert shown["touches"][0]["params"]["gclid"] == GCLID
    assert shown["touches"][0]["user_agent"] == AGENT
    assert shown["conversions"][0]["params"]["note"] == "gift for mum"
    assert GCLID in running.run("session", session)

    said = running.run("forget", "--customer", CUSTOMER, "--verify", "--yes")
    assert "1 sessions" in said
    assert "Forgotten." in said
    assert "Nothing is left." in said

    assert credits(client) == before
    assert {row[1] for row in before} == {"credited"}
    # Only this one: what is sealed of the other opens as before.
    keys = read_key_file(running.data / "privacy.json")
    sealer = keys.sealer()
    texts = dict(
        client.query("SELECT toString(session_id), params['accredit_sealed'] FROM accredit.clicks").result_rows
    )
    assert sealer.open(session, texts[session]) is None
    shown = json.loads(running.run("session", session, "--format", "json"))
    assert list(shown["touches"][0]["params"]) == ["utm_source", "(forgotten)"]
    assert shown["credits"][0]["order_id"] == "A-1"
    opened = sealer.open(others_session, texts[others_session])
    assert opened is not None
    assert opened["user_agent"] == AGENT
    assert opened["params"]["gclid"] == GCLID
    assert opened["referrer"] == "https://blog.example/posts/a-post-that-one-person-read?p=1"

    # Again: nothing to do, and nothing is found by the name or by the session.
    assert "forgotten already" in running.run("forget", "--customer", CUSTOMER, "--verify")
    assert "Nothing is left." in running.run("forget", "--session", session, "--verify")
    listed = running.run("forget", "--list").splitlines()
    assert any(" session " in line for line in listed)
    assert any(" customer " in line for line in listed)
    assert "home" not in "".join(listed)

    # What comes later of a forgotten session is kept without what identifies; a cookie of it is not taken up again.
    event = {"type": "click", "session_id": session, "offer_id": "decor", "partner_id": "blog", "user_agent": AGENT}
    late = tmp_path / "late.ndjson"
    late.write_text(json.dumps({**event, "occurred_at": "2026-05-01T10:00:00Z", "ip": "198.51.100.7"}) + "\n")
    running.run("load", str(late), "--wait")
    assert "Nothing is left." in running.run("forget", "--session", session, "--verify")
    client.close()


def test_what_is_in_the_clear_is_found(running: Running, tmp_path: Path) -> None:
    catalog, events = tmp_path / "catalog.yaml", tmp_path / "events.ndjson"
    catalog.write_text(CATALOG)
    (running.data / "ingest.yaml").write_text("privacy: {seal: false}\n")
    running.run("catalog", "apply", str(catalog))
    session = "018f3c1e-0000-7000-8000-000000000009"
    event = {"type": "click", "session_id": session, "offer_id": "decor", "partner_id": "blog", "user_agent": AGENT}
    events.write_text(json.dumps({**event, "occurred_at": "2026-05-01T10:00:00Z"}) + "\n")
    running.run("load", str(events), "--wait")
    said = running.run("forget", "--session", session, "--verify", "--yes", code=1)
    assert "user_agent in the clear" in said
    assert "Kafka clicks" in said
    assert "ClickHouse clicks" in said
