"""Columns and rows to a table for a person, CSV or JSON for a program."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

NUMERIC = (int, Decimal, float)


def print_rows(columns: Sequence[str], rows: Sequence[Sequence[Any]], form: str, title: str | None = None) -> None:
    """Print rows as ``table``, ``csv`` or ``json`` (a list of objects; money stays text) to stdout."""
    if form == "csv":
        sys.stdout.write(to_csv(columns, rows))
    elif form == "json":
        sys.stdout.write(to_json(columns, rows) + "\n")
    else:
        print_table(columns, rows, title)


def plain(value: Any) -> Any:
    """A value for JSON: times as RFC 3339, money and ids as text."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, datetime):
        return moment(value)
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return str(value)


def moment(value: datetime) -> str:
    """``2026-05-01T10:00:00Z``, with milliseconds where there are any. ClickHouse's times are UTC."""
    text = value.replace(tzinfo=None).isoformat(timespec="milliseconds" if value.microsecond else "seconds")
    return text + "Z"


def text(value: Any) -> str:
    """A value in a cell; None is empty."""
    found = plain(value)
    if found is None:
        return ""
    return json.dumps(found, ensure_ascii=False) if isinstance(found, dict | list) else str(found)


def to_csv(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """CSV with a header and ``\\n`` line ends; null is empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([text(value) for value in row] for row in rows)
    return out.getvalue()


def to_json(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A JSON array with an object per row."""
    return to_json_text([dict(zip(columns, map(plain, row), strict=True)) for row in rows])


def to_json_text(content: Any) -> str:
    """Plain values as JSON for a person to read too."""
    return json.dumps(content, indent=1, ensure_ascii=False)


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str | None = None) -> None:
    """A table in the terminal's width; numbers to the right, columns in which nothing stands left out."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    used = [i for i in range(len(columns)) if not rows or any(row[i] not in (None, "", [], ()) for row in rows)]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for i in used:
        numeric = all(row[i] is None or (isinstance(row[i], NUMERIC) and not isinstance(row[i], bool)) for row in rows)
        table.add_column(columns[i], justify="right" if numeric and rows else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(text(row[i])) for i in used))
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
    if title:
        console.print(Text(f"\n{title}", style="bold"))
    console.print(table if rows else "nothing")
