"""What the edge says of a visitor: place, device, bots, data centres, repetition, and what may be kept."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Any

import pytest

from ingest.edge.agents import Agents
from ingest.edge.config import EdgeConfig, Flood
from ingest.edge.country import Countries
from ingest.edge.networks import datacenters, packed
from ingest.edge.repeats import Rate, Recent
from ingest.edge.visitor import Edge, Visitor
from ingest.errors import ConfigInvalid
from ingest.privacy.config import PrivacyConfig
from schemas.records import Click
from tests.support.front_door import KEYS, NOW, FakeHeaders, FakeScope, FrontDoor
from tests.support.mmdb import country_database

PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_4 like Mac OS X) AppleWebKit/605 Version/17.4 Mobile/15E148 Safari/604"
HOME, CLOUD = "81.2.69.142", "52.4.5.6"
LINK = "/c/shoes?partner=anna"


def visit(edge: Edge, address: str = HOME, agent: str | None = PHONE, now: int = NOW, **headers: str) -> Visitor:
    given = {
        **({"user-agent": agent} if agent is not None else {}),
        **{k.replace("_", "-"): v for k, v in headers.items()},
    }
    scope = FakeScope("GET", "/c/shoes", headers=FakeHeaders(list(given.items())), client=f"{address}:4711")
    return edge.visitor(scope, now, {})


def test_a_person_on_a_phone() -> None:
    seen = visit(Edge())
    assert (seen.country, seen.device, seen.os, seen.browser) == ("GB", "mobile", "iOS", "Mobile Safari")
    assert (seen.address, seen.user_agent, seen.invalid, seen.may_identify) == ("81.2.69.0", PHONE, None, True)
    assert seen.flags == ()


@pytest.mark.parametrize(
    ("agent", "device", "invalid"),
    [
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/131.0.0.0 Safari/537.36",
            "desktop",
            None,
        ),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:132.0) Gecko/20100101 Firefox/132.0", "desktop", None),
        (
            "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 Chrome/131.0 Mobile Safari/537.36",
            "mobile",
            None,
        ),
        ("Mozilla/5.0 (Linux; Android 13; SM-X700) AppleWebKit/537.36 Chrome/131.0 Safari/537.36", "tablet", None),
        (
            "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 Version/16.6 Safari/604.1",
            "tablet",
            None,
        ),
        ("Mozilla/5.0 (SMART-TV; Linux; Tizen 6.0) AppleWebKit/537.36 Version/6.0 TV Safari/537.36", "tv", None),
        ("Mozilla/5.0 (PlayStation; PlayStation 5/8.20) AppleWebKit/605.1.15 Safari/605.1.15", "console", None),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "other", "bot"),
        ("Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)", "other", "bot"),
        ("curl/8.5.0", "other", None),
        ("Python-urllib/3.11", "other", None),
        ("", "other", None),
    ],
)
def test_devices_and_bots(agent: str, device: str, invalid: str | None) -> None:
    found = Agents().of(agent)
    assert (found.device, found.invalid) == (device, invalid)


def test_a_data_centre_is_invalid_flagged_or_not_looked_for() -> None:
    assert visit(Edge(), CLOUD).invalid == "datacenter"
    flagged = visit(Edge(EdgeConfig(datacenters="flag")), CLOUD)
    assert (flagged.invalid, flagged.flags) == (None, ("datacenter",))
    assert visit(Edge(EdgeConfig(datacenters="off")), CLOUD).flags == ()


def test_no_private_and_no_documentation_network_is_a_data_centre() -> None:
    for network in ("10.0.0.0/8", "127.0.0.0/8", "192.168.0.0/16", "203.0.113.0/24", "2001:db8::/32"):
        raw = packed(str(ipaddress.ip_network(network).network_address))
        assert raw is not None
        assert raw not in datacenters()


def test_an_operators_networks_are_read_again_when_replaced(tmp_path: Path) -> None:
    file = tmp_path / "networks.txt"
    file.write_text("# ours\n198.51.100.0/24\n")
    edge = Edge(EdgeConfig(datacenters_file=file))
    assert visit(edge, "198.51.100.7").invalid == "datacenter"
    assert visit(edge, CLOUD).invalid is None
    file.write_text(f"{CLOUD}/32  # one\n")
    os.utime(file, (1, 1))
    assert visit(edge, CLOUD, now=NOW + 6_000).invalid == "datacenter"
    file.write_text("nonsense")
    assert visit(edge, CLOUD, now=NOW + 12_000).invalid == "datacenter"  # what cannot be read changes nothing
    with pytest.raises(ConfigInvalid, match=r"networks\.txt.*nonsense"):
        Edge(EdgeConfig(datacenters_file=file))


def test_a_country_database_goes_before_the_table_and_is_read_again(tmp_path: Path) -> None:
    file = tmp_path / "country.mmdb"
    file.write_bytes(country_database({"81.2.69.0/24": "FR"}))
    countries = Countries(file)
    assert (countries.of(HOME), countries.of("8.8.8.8"), countries.of("x")) == ("FR", None, None)
    file.write_bytes(country_database({"81.2.69.0/24": "NL", "8.0.0.0/8": "US"}))
    assert countries.look(NOW)
    assert (countries.of(HOME), countries.of("8.8.8.8")) == ("NL", "US")
    file.write_bytes(b"broken")
    assert not countries.look(NOW + 6_000)
    assert countries.of(HOME) == "NL"
    with pytest.raises(ConfigInvalid, match="mmdb"):
        Countries(file)


def test_a_double_click_is_flagged_and_counts() -> None:
    edge = Edge()
    seen = visit(edge)
    assert edge.marks(seen, "s", "shoes", "anna", NOW) == (None, ())
    assert edge.marks(seen, "s", "shoes", "anna", NOW + 9_999) == (None, ("double_click",))
    assert edge.marks(seen, "s", "hats", "anna", NOW + 9_999) == (None, ())
    assert edge.marks(seen, "other", "shoes", "anna", NOW + 9_999) == (None, ())
    assert edge.marks(seen, "s", "shoes", "anna", NOW + 20_000) == (None, ())
    assert edge.marks(seen, "s", "shoes", "anna", NOW + 20_001, kind="impression") == (None, ())


def test_a_flood_is_flagged_and_invalid_only_far_above() -> None:
    edge = Edge(EdgeConfig(session_flood=Flood(flag_above=3, invalid_above=5)))
    seen = visit(edge)
    marks = [edge.marks(seen, "s", f"offer-{n}", "anna", NOW + n) for n in range(7)]
    assert [flags for _, flags in marks] == [()] * 3 + [("flood",)] * 4
    assert [invalid for invalid, _ in marks] == [None] * 5 + ["flood"] * 2
    assert edge.marks(seen, "s", "later", "anna", NOW + 200_000) == (None, ())


def test_many_behind_one_address_are_flagged_and_count() -> None:
    edge = Edge(EdgeConfig(address_flood=Flood(flag_above=2, invalid_above=None)))
    seen, inside = visit(edge), visit(edge, "127.0.0.1")
    for n in range(3):
        marks = edge.marks(seen, f"s{n}", "shoes", "anna", NOW)
        unmarked = edge.marks(inside, f"t{n}", "shoes", "anna", NOW)
    assert (marks, unmarked) == ((None, ("flood",)), (None, ()))


def test_the_window_slides() -> None:
    rate = Rate(Flood(window_s=10, flag_above=10, invalid_above=None), 100)
    assert [rate.level("a", 1_000_000 + 900 * n) for n in range(11)][-1] == 1  # 11 within 9 seconds
    assert rate.level("a", 1_000_000 + 19_000) == 0


def test_memory_is_bounded() -> None:
    recent, rate = Recent(10_000, 50), Rate(Flood(flag_above=1, invalid_above=None), 50)
    for n in range(1_000):
        recent.repeats(n, NOW)
        rate.level(n, NOW)
    assert len(recent._young) + len(recent._old) <= 100
    assert len(rate._this) + len(rate._last) <= 100
    assert recent.repeats(999, NOW)


@pytest.mark.parametrize("signal", ["sec_gpc", "dnt"])
def test_who_says_no_is_not_identified(signal: str) -> None:
    seen = visit(Edge(), **{signal: "1"})
    assert (seen.may_identify, seen.address, seen.user_agent) == (False, None, None)
    assert (seen.country, seen.device, seen.os) == ("GB", "mobile", "iOS")
    assert seen.flags == ("privacy_gpc" if signal == "sec_gpc" else "privacy_dnt",)


def test_no_cookie_keeps_the_rest() -> None:
    seen = visit(Edge(privacy=PrivacyConfig.model_validate({"policy": {"gpc": "no_cookie"}})), sec_gpc="1")
    assert (seen.may_identify, seen.address, seen.user_agent) == (False, "81.2.69.0", PHONE)


def test_under_gpc_the_redirect_works_without_cookie_and_the_click_stands_alone() -> None:
    door = FrontDoor()
    headers = [("sec-gpc", "1"), ("user-agent", PHONE), ("cookie", "accredit_sid=018f3c1e-0000-7000-8000-000000000001")]
    answer = door.ask("GET", LINK, headers=headers)
    assert answer.status == 302
    assert "set-cookie" not in answer.headers
    (click,) = door.publisher.records()
    assert isinstance(click, Click)
    assert click.session_id != "018f3c1e-0000-7000-8000-000000000001"
    assert (click.ip, click.user_agent, click.device) == (None, None, "mobile")
    # The click id in the landing URL is all that leads back.
    assert KEYS.verify(click.click_id).session_id == click.session_id
    assert click.click_id in answer.headers["location"]


def test_a_mistyped_policy_is_refused() -> None:
    bad: list[dict[str, Any]] = [{"policy": {"gpc": "never"}}, {"regions": {"Europe": {}}}, {"adress": "drop"}]
    for config in bad:
        with pytest.raises(ValueError, match="validation error"):
            PrivacyConfig.model_validate(config)
