"""`accredit link` and the console's page of links: built, checked, tried, with nothing running."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from console.links.address import Ground, build, read_address
from console.links.check import check
from console.links.ground import ground_of_file
from console.links.page import outcome, page
from console.links.story import told
from console.links.trial import Sale, try_link
from console.main import accredit
from schemas.times import parse_time

CATALOG = """
advertisers: [{id: shop, currency: EUR, programs: [{id: summer}]}]
offers:
  - id: shoes
    advertiser_id: shop
    program_id: summer
    landing_url: "https://shop.example/?tid={transaction_id}"
    deep_link_domains: [shop.example]
    revenue: [{percent: "12"}]
  - {id: hats, advertiser_id: shop, landing_url: "https://shop.example/hats"}
  - {id: coats, advertiser_id: shop, landing_url: "https://shop.example/?t={click_id}", status: [
      {value: paused, from: 2026-01-01T00:00:00Z}]}
partners: [{id: anna, type: influencer}, {id: bert, type: publisher}]
contracts:
  - {id: c1, partner_id: anna, program_id: summer, from: 2026-01-01T00:00:00Z, payout: [
      {goal: sale, percent: "8"}, {goal: lead, flat: "2.00"}], min_time: 5s}
  - {id: c2, partner_id: anna, program_id: shop, from: 2026-01-01T00:00:00Z, payout: [{percent: "8"}]}
promo_codes: [{code: ANNA10, partner_id: anna, program_id: summer, from: 2026-01-01T00:00:00Z}]
links:
  - {slug: anna, partner_id: anna, offer_id: shoes, source: insta}
  - {slug: over, partner_id: anna, offer_id: shoes, until: 2026-02-01T00:00:00Z}
  - {slug: soon, partner_id: anna, offer_id: shoes, from: 2026-08-01T00:00:00Z}
"""
NOW = parse_time("2026-05-10T12:00:00Z")
BASE = "https://go.example"


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Ground:
    folder = tmp_path_factory.mktemp("links")
    (folder / "catalog.yaml").write_text(CATALOG)
    return ground_of_file(folder / "catalog.yaml", folder, BASE)


def run(tmp_path: Path, *args: str) -> Result:
    """`accredit link …` on the catalog's file."""
    (tmp_path / "catalog.yaml").write_text(CATALOG)
    ground = ["--catalog", str(tmp_path / "catalog.yaml"), "--base", BASE, "--data", str(tmp_path)]
    return CliRunner().invoke(accredit, ["link", args[0], *ground, *args[1:]])


def test_a_built_link_is_good_and_survives_what_is_in_it(ground: Ground) -> None:
    link = build(BASE, "shoes", "anna", [("sub1", "a b&c=d"), ("sub2", ""), ("url", "https://shop.example/ü?x=1&y#z")])
    assert link.startswith(f"{BASE}/c/shoes?partner=anna&sub1=a%20b%26c%3Dd&url=https%3A%2F%2Fshop.example%2F%C3%BC")
    assert check(link, ground, NOW) == []


@pytest.mark.parametrize(
    ("link", "level", "said"),
    [
        ("/c/shoes", "error", "no partner"),
        ("/c/shoes?partner=ana", "error", "no partner 'ana' in the catalog; perhaps 'anna'"),
        ("/c/shoes?partner=bert", "error", "'bert' has no contract on offer 'shoes' or its program 'summer'"),
        ("/c/shoe?partner=anna", "error", "no offer 'shoe' in the catalog; perhaps 'shoes'"),
        ("/aff_c?aff_id=anna", "error", "no offer ''"),
        ("/c/coats?partner=anna", "error", "not active now; visitors see a page that says so"),
        ("/c/hats?partner=anna", "warning", "does not get {transaction_id}"),
        (
            "/c/shoes?partner=anna&url=https://evil.example/",
            "error",
            "off the offer's deep_link_domains (shop.example)",
        ),
        ("/c/shoes?partner=anna&url=//shop.example/", "error", "is no plain http address"),
        ("/c/shoes?partner=anna&aff_id=bert", "warning", "partner and aff_id mean the same (partner_id); only partner"),
        ("/c/shoes?partner_id=anna&aff_id=x", "warning", "only partner_id counts"),
        ("/c/shoes?partner=anna&sub1={clickid}", "warning", "sub1={clickid} is recorded as it stands"),
        ("/c/shoes?partner=anna&sub1=" + "x" * 1_100, "warning", "1024 are kept"),
        ("/l/ana", "error", "no link 'ana' in the catalog; perhaps 'anna'"),
        ("/l/over", "error", "link 'over' has ended"),
        ("/l/soon", "error", "begins at 2026-08-01"),
        ("/x/shoes?partner=anna", "error", "is no path of a tracking link"),
        ("https://other.example/c/shoes?partner=anna", "warning", "it leads to https://other.example"),
        ("javascript:alert(1)", "error", "no address"),
        ("//go.example/c/shoes?partner=anna", "error", "no address"),
    ],
)
def test_a_mistake_is_named(ground: Ground, link: str, level: str, said: str) -> None:
    found = check(link, ground, NOW)
    assert [each.level for each in found if said in each.text] == [level], found


@pytest.mark.parametrize("link", ["/l/anna", "/aff_c?offer_id=shoes&aff_id=anna", "/i/shoes.gif?pid=anna", "/l/ANNA"])
def test_every_kind_of_link_can_be_good(ground: Ground, link: str) -> None:
    assert check(link, ground, NOW) == []


def steps(ground: Ground, link: str, sale: Sale = Sale()) -> dict[str, dict[str, str]]:  # noqa: B008
    address = read_address(link, ground.base)
    assert address is not None
    return {step.title: dict(step.facts) for step in told(try_link(address, ground, NOW, sale), ground, sale)}


def test_a_trial_tells_what_would_be_recorded_where_it_goes_and_what_a_sale_would_do(ground: Ground) -> None:
    found = steps(ground, "/l/anna?gclid=g", Sale(amount="50.00"))
    recorded = found["What would be recorded"]
    assert (recorded["partner_id"], recorded["source"], recorded["params.gclid"]) == ("anna", "insta", "g")
    assert recorded["session"].endswith("in a cookie for 30 days")
    assert found["Where it goes"] == {"302": f"https://shop.example/?tid={recorded['transaction id']}"}
    sale = found["An hour later, a sale of 50.00 EUR"]
    assert (sale["credited"], sale["revenue"]) == ("anna, 4.00 EUR", "6.00 EUR")
    assert sale["decided by"] == "only_candidate (contract c1, preferred)"
    assert found["An hour later, a lead of 50.00 EUR"]["credited"] == "anna, 2.00 EUR"


def test_a_trial_without_a_contract_or_a_partner(ground: Ground) -> None:
    sale = steps(ground, "/c/shoes?partner=bert")["An hour later, a sale of 100.00 EUR"]
    assert sale["dropped"] == "bert click: NO_CONTRACT"
    with_code = steps(ground, "/c/shoes?partner=bert", Sale(["sale"], promo_code="anna10"))
    assert with_code["An hour later, a sale of 100.00 EUR"]["credited"] == "anna, 8.00 EUR"
    nobody = steps(ground, "/c/shoes")
    assert nobody["What would be recorded"]["dead letter"].startswith("MISSING_FIELD: partner_id is required")
    assert nobody["Where it goes"] == {"302": "https://shop.example/?tid="}
    assert len(nobody) == 3


def test_a_trial_of_a_paused_offer_and_of_an_image(ground: Ground) -> None:
    paused = steps(ground, "/c/coats?partner=anna", Sale(["sale"]))
    assert paused["Where it goes"] == {"404": "a page that says that it leads nowhere"}
    assert paused["An hour later, a sale of 100.00 EUR"]["dropped"] == "anna click: OFFER_INACTIVE"
    image = steps(ground, "/i/shoes.gif?partner=anna", Sale(["sale"]))
    assert image["Where it goes"] == {"200": "an image of one pixel"}
    assert image["An hour later, a sale of 100.00 EUR"]["dropped"] == "anna impression: TOUCH_NOT_ACCEPTED"


def test_command_build(tmp_path: Path) -> None:
    built = run(tmp_path, "build", "--offer", "shoes", "--partner", "anna", "--sub1", "x", "--param", "utm_source=mail")
    assert (built.exit_code, built.output) == (0, f"{BASE}/c/shoes?partner=anna&sub1=x&utm_source=mail\n")
    wrong = run(tmp_path, "build", "--offer", "shoes", "--partner", "ann")
    assert wrong.exit_code == 1
    assert "perhaps 'anna'" in wrong.stderr
    assert run(tmp_path, "build", "--offer", "shoes", "--partner", "anna", "--param", "x").exit_code == 2


def test_command_check(tmp_path: Path) -> None:
    good = run(tmp_path, "check", "/l/anna")
    assert (good.exit_code, good.output) == (0, "This link is good.\n")
    assert run(tmp_path, "check", "/c/shoes").exit_code == 1


def test_command_test(tmp_path: Path) -> None:
    shown = run(tmp_path, "test", f"{BASE}/l/anna", "--amount", "20.00", "--goal", "sale")
    assert shown.exit_code == 0, shown.output
    assert [line for line in shown.output.splitlines() if not line.startswith("   ")] == [
        "1. A visitor follows the link",
        "2. What would be recorded",
        "3. Where it goes",
        "4. An hour later, a sale of 20.00 EUR",
    ]
    assert re.search(r"credited +anna, 1\.60 EUR", shown.output)
    bot = run(tmp_path, "test", "/l/anna", "--format", "json", "--user-agent", "WhatsApp/2.1")
    assert json.loads(bot.output)["steps"][1]["facts"] == [["", "nothing: previews and prefetches are not counted"]]
    assert run(tmp_path, "test", "/l/anna", "--amount", "ten").exit_code == 2


def test_command_qr(tmp_path: Path) -> None:
    for name, start in (("a.svg", b"<?xml"), ("b.PNG", b"\x89PNG")):
        shown = run(tmp_path, "qr", "ANNA", "--out", str(tmp_path / name))
        assert shown.output == f"{BASE}/l/anna → {tmp_path / name}\n"
        assert (tmp_path / name).read_bytes().startswith(start)
    assert "▄" in run(tmp_path, "qr", "/c/shoes?partner=anna").output
    assert run(tmp_path, "qr", "nobody").exit_code == 1
    assert run(tmp_path, "qr", "anna", "--out", str(tmp_path / "a.gif")).exit_code == 2


def test_without_a_tracking_domain_it_says_how_to_name_it(tmp_path: Path) -> None:
    (tmp_path / "catalog.yaml").write_text(CATALOG)
    command = ["link", "check", "--catalog", str(tmp_path / "catalog.yaml"), "--data", str(tmp_path), "/l/anna"]
    assert "--base https://go.example.com" in str(CliRunner().invoke(accredit, command).exception)
    (tmp_path / "ingest.yaml").write_text("links: {base_url: https://go.brand.example}")
    assert CliRunner().invoke(accredit, command).exit_code == 0


def test_the_page_builds_and_tries_and_escapes(ground: Ground) -> None:
    asked = {"offer": "shoes", "partner": "anna", "sub1": '"><script>alert(1)</script>', "url": ""}
    shown = page(ground, asked, outcome(asked, ground, NOW))
    assert "<script>" not in shown
    assert '<option value="shoes">' in shown
    assert "This link is good." in shown
    assert "<svg" in shown
    assert "An hour later, a sale of 100.00 EUR" in shown
    assert '<a href="/links?link=/l/anna">' in shown


def test_the_page_tells_what_is_wrong(ground: Ground) -> None:
    for asked, said in (
        ({"link": "javascript:alert(1)"}, "it cannot be followed"),
        ({"link": "/c/shoes?partner=anna", "amount": "ten"}, "amount: "),
        ({"link": "/c/shoes?partner=<b>"}, "no partner &#x27;&lt;b&gt;&#x27; in the catalog"),
    ):
        shown = page(ground, asked, outcome(asked, ground, NOW))
        assert said in shown
        assert "<svg" not in shown
    assert "nothing runs &lt;here&gt;" in page("nothing runs <here>", {}, None)
    assert outcome({}, ground, NOW) is None
