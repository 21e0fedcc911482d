"""The web page as text: status and report to HTML. Pure; whatever comes from data is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from string import Template
from typing import Any

from console.installation import Installation
from console.status import Status
from console.tables import NUMERIC, text

GOOD, BAD = "good", "bad"


def page(
    installation: Installation,
    status: Status,
    choices: Sequence[str],
    chosen: str,
    report: tuple[Sequence[str], Sequence[Sequence[Any]]] | str,
) -> str:
    """The page. ``report`` is columns and rows, or why there is none."""
    template = Template((resources.files("console") / "page.html").read_text())
    events = [(where, *pair) for where, topics in sides(status) for pair in topics.items()]
    return template.substitute(
        where=escape(f"{installation.data} · Kafka {installation.kafka or '-'}"),
        trouble="".join(f'<p class="bad">{escape(line)}</p>' for line in status.trouble),
        processes=table(
            ("name", "pid", "address", "ready"),
            [state[:4] for state in status.processes],
            lambda row: GOOD if row[3] == "yes" else BAD,
        ),
        events=table(("", "topic", "records"), events),
        lag=table(("stage", "topic", "behind"), status.lag, lambda row: BAD if row[2] else GOOD),
        choices="".join(choice(name, name == chosen) for name in choices),
        report=f'<p class="bad">{escape(report)}</p>' if isinstance(report, str) else table(*report),
    )


def sides(status: Status) -> Iterable[tuple[str, Mapping[str, int]]]:
    return (("in", status.events_in), ("out", status.events_out))


def choice(name: str, current: bool) -> str:
    mark = ' aria-current="page"' if current else ""
    return f'<a href="?by={escape(name)}"{mark}>{escape(name)}</a>'


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], state: Any = None) -> str:
    """An HTML table; ``state`` gives the class of a row's last cell. Columns in which nothing stands are left out."""
    if not rows:
        return '<p class="none">nothing yet</p>'
    used = [i for i in range(len(columns)) if any(row[i] not in (None, "", [], ()) for row in rows)]
    numeric = {i for i in used if all(row[i] is None or is_number(row[i]) for row in rows)}

    def classes(i: int, row: Sequence[Any] | None = None) -> str:
        found = ["number"] if i in numeric else []
        if state is not None and row is not None and i == len(columns) - 1:
            found.append(state(row))
        return f' class="{" ".join(found)}"' if found else ""

    head = "".join(f"<th{classes(i)}>{escape(columns[i])}</th>" for i in used)
    body = "".join(
        "<tr>" + "".join(f"<td{classes(i, row)}>{escape(text(row[i]))}</td>" for i in used) + "</tr>" for row in rows
    )
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def is_number(value: Any) -> bool:
    return isinstance(value, NUMERIC) and not isinstance(value, bool)
