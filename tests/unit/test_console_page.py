"""The web page's text: what comes from data is escaped, troubles are shown."""

from __future__ import annotations

from pathlib import Path

from console.installation import Installation
from console.lag import StageLag
from console.page import page
from console.report import BY, ON_SCREEN, narrowed
from console.status import ProcessState, Status
from sinks.clickhouse import reports

INSTALLATION = Installation(data=Path("/data"), kafka="127.0.0.1:9092")
STATUS = Status(
    processes=(
        ProcessState("worker", 1, "http://127.0.0.1:1", "yes", "/w.log"),
        ProcessState("sink", None, "http://127.0.0.1:2", "down, being started again", "/s.log"),
    ),
    events_in={"clicks": 3},
    events_out={"credits": 1},
    lag=(StageLag("attribution", "clicks", 2),),
    trouble=("Kafka <away>",),
)


def test_what_comes_from_data_is_escaped() -> None:
    shown = page(INSTALLATION, STATUS, BY, "partner", (("partner_id", "credited"), [("<script>alert(1)</script>", 4)]))
    assert "<script>" not in shown
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in shown
    assert "Kafka &lt;away&gt;" in shown
    assert '<td class="number">4</td>' in shown


def test_states_are_told_by_more_than_colour() -> None:
    shown = page(INSTALLATION, STATUS, BY, "partner", "ClickHouse does not answer")
    assert '<td class="good">yes</td>' in shown
    assert '<td class="bad">down, being started again</td>' in shown
    assert "ClickHouse does not answer" in shown
    assert 'href="?by=partner" aria-current="page"' in shown


def test_the_choices_are_those_of_the_reports() -> None:
    assert BY == reports.BY
    assert narrowed(reports.ORDER_COLUMNS, [], ON_SCREEN)[0] == ON_SCREEN
