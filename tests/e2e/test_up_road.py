"""The whole road with real processes: up, catalog, load, report; restarts; who may write."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import clickhouse_connect
import psutil
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from tests.support.running import ACCREDIT, Running, decided, environment, until

pytestmark = pytest.mark.e2e

CATALOG = """
advertisers: [{id: shop, currency: USD, programs: [{id: holiday}]}]
offers: [{id: decor, advertiser_id: shop, program_id: holiday, landing_url: "https://shop.example/?t={transaction_id}"}]
partners:
  - {id: mail, type: channel}
  - {id: blog, type: publisher}
  - {id: display, type: publisher}
contracts:
  - {id: c-mail, partner_id: mail, program_id: holiday, from: 2026-01-01T00:00:00Z, payout: [{flat: "0"}]}
  - {id: c-blog, partner_id: blog, program_id: holiday, credit_group: default, from: 2026-01-01T00:00:00Z,
     payout: [{percent: "8"}]}
  - {id: c-display, partner_id: display, program_id: holiday, credit_group: non_preferred, from: 2026-01-01T00:00:00Z,
     payout: [{flat: "1.50"}]}
"""
FIRST, SECOND, THIRD = (f"018f3c1e-0000-7000-8000-00000000000{n}" for n in (1, 2, 3))


def touch(session: str, partner: str, at: str, **more: str) -> dict[str, str]:
    touched = {"type": "click", "session_id": session, "offer_id": "decor", "partner_id": partner}
    return {**touched, "occurred_at": f"2026-05-{at}:00Z", **more}


def sale(session: str, order: str, at: str) -> dict[str, str]:
    sold = {"type": "conversion", "session_id": session, "advertiser_id": "shop", "program_id": "holiday"}
    return {**sold, "goal": "sale", "order_id": order, "amount": "50.00", "occurred_at": f"2026-05-{at}:00Z"}


EVENTS = [
    touch(FIRST, "display", "01T10:00"),
    touch(FIRST, "mail", "02T10:00"),
    touch(FIRST, "blog", "03T10:00"),
    sale(FIRST, "A-1", "03T11:00"),
    sale(SECOND, "A-2", "03T12:00"),
    touch(SECOND, "blog", "03T09:00"),
    touch(SECOND, "display", "03T10:00", invalid="bot"),
    sale(THIRD, "A-3", "03T12:00"),
]
OUTCOME = {
    ("A-1", "sale"): ("credited", "mail", "credit_group", "0.00", "USD"),
    ("A-2", "sale"): ("credited", "blog", "only_candidate", "4.00", "USD"),
    ("A-3", "sale"): ("unattributed", "", "", "", "USD"),
}


def lines(events: list[dict[str, str]]) -> str:
    return "".join(json.dumps(event) + "\n" for event in events)


def test_the_whole_road(running: Running, tmp_path: Path) -> None:
    catalog, events = tmp_path / "catalog.yaml", tmp_path / "events.ndjson"
    catalog.write_text(CATALOG)
    events.write_text(lines(EVENTS))

    assert "version 1" in running.run("catalog", "apply", str(catalog), "--dry-run")
    assert "Version 1 is in effect" in running.run("catalog", "apply", str(catalog))
    assert "Nothing changes" in running.run("catalog", "apply", str(catalog))

    loaded = running.run("load", str(events), "--wait")
    assert "accepted 8 (5 clicks, 3 conversions)" in loaded
    assert decided(running.report()) == OUTCOME

    # The same again, with things that cannot be taken: everything has its reason, and no credit changes.
    bad = [
        "{not json",
        json.dumps(touch(FIRST, "mail", "02T10:00") | {"offer_id": "no-such-offer"}),
        json.dumps(sale(FIRST, "A-9", "03T12:00") | {"amount": "1e3x"}),
        json.dumps(touch(FIRST, "mail", "02T10:00") | {"occurred_at": "2999-01-01T00:00:00Z"}),
        json.dumps({name: value for name, value in sale(FIRST, "A-9", "03T12:00").items() if name != "goal"}),
        json.dumps(sale(FIRST, "A-9", "03T12:00") | {"session_id": "", "click_id": "A" * 60}),
    ]
    events.write_text(lines(EVENTS) + "\n".join(bad) + "\n")
    refused = running.popen("load", str(events), "--wait", "--strict")
    out, err = refused.communicate(timeout=120)
    assert refused.returncode == 1
    assert b"accepted 8" in out
    assert f"{events}:9: INVALID_JSON".encode() in err
    assert f"{events}:11: INVALID_AMOUNT: amount".encode() in err
    assert decided(running.report()) == OUTCOME
    assert [row["partner_id"] for row in running.report("partner")].count("mail") == 1

    addresses = running.addresses()
    the_readers_rights(addresses["clickhouse"], dead_letters=len(bad))
    with urllib.request.urlopen(addresses["console"], timeout=10) as page:
        assert b"mail" in page.read()

    status = json.loads(running.run("status", "--format", "json"))
    assert {line["behind"] for line in status["lag"]} == {0}
    assert {process["ready"] for process in status["processes"]} == {"yes"}
    assert status["events_in"]["conversions"] == 6

    a_second_up_is_refused(running)
    a_lost_state_is_rebuilt(running)
    a_killed_supervisor_leaves_nothing_behind(running)


def the_readers_rights(clickhouse: str, dead_letters: int) -> None:
    """Plain clients on the printed address; the reader reads and cannot write."""
    client = clickhouse_connect.get_client(dsn=clickhouse)
    assert client.command("SELECT count() FROM accredit.v_dead_letters") == dead_letters
    client.close()
    reader = clickhouse_connect.get_client(dsn=clickhouse.replace("//", "//reader@"))
    assert reader.command("SELECT count() FROM accredit.v_credits") == 3
    with pytest.raises(DatabaseError, match="READONLY"):
        reader.command("INSERT INTO accredit.credits (conversion_id) VALUES ('x')")
    reader.close()
    with urllib.request.urlopen(f"{clickhouse}/?query=SELECT%2042", timeout=10) as answer:
        assert answer.read() == b"42\n"


def a_second_up_is_refused(running: Running) -> None:
    second = subprocess.run(
        [*ACCREDIT, "up", "--data", str(running.data)], capture_output=True, env=environment(), timeout=60
    )
    assert second.returncode == 1
    assert b"runs on" in second.stderr


def a_lost_state_is_rebuilt(running: Running) -> None:
    before = running.addresses()
    assert running.stop() == 0
    shutil.rmtree(running.data / "state")
    running.start()
    after = running.addresses()
    assert [after[name] for name in ("kafka", "clickhouse", "ingest")] == [
        before[name] for name in ("kafka", "clickhouse", "ingest")
    ]
    running.run("load", "-", "--wait", stdin=lines([touch(THIRD, "blog", "03T11:00")]).encode())
    corrected = ("credited", "blog", "only_candidate", "4.00", "USD")
    assert decided(running.report()) == {**OUTCOME, ("A-3", "sale"): corrected}


def a_killed_supervisor_leaves_nothing_behind(running: Running) -> None:
    children = psutil.Process(running.process.pid).children(recursive=True)  # type: ignore[union-attr]
    assert len(children) >= 6
    running.kill()
    until(lambda: not any(alive(child) for child in children), 10, "the children to be gone")
    running.start()
    assert len(decided(running.report())) == 3


def alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_the_demo_tells_its_story(tmp_path: Path) -> None:
    demo = subprocess.Popen(
        [*ACCREDIT, "demo", "--exit", "--data", str(tmp_path / "demo")],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment(),
    )
    out, _ = demo.communicate(timeout=180)
    assert demo.returncode == 0, out.decode()[-4_000:]
    told = out.decode()
    for part in ("L-1003 → bright-blog, 4.80 EUR", "L-1003 → weekly-mail, 0.00 EUR", "INVALID_TOUCH", "unattributed"):
        assert part in told
    again = Running(tmp_path / "demo")
    again.start()
    try:
        again.run("audit")  # exits with 1 if anything is unexplained
    finally:
        again.stop()


def test_the_demo_leaves_a_folder_alone_that_is_not_its_own(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("keep me")
    demo = subprocess.run(
        [sys.executable, "-P", "-m", "console", "demo", "--exit", "--data", str(tmp_path)],
        capture_output=True,
        env=environment(),
        timeout=60,
    )
    assert demo.returncode == 1
    assert b"not a folder of the demo" in demo.stderr
    assert os.listdir(tmp_path) == ["precious"]
