"""``make docs``: the reference pages, written from the code so that they cannot differ from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from console.lag import STAGES
from console.main import COMMANDS, accredit
from schemas.codec import current_schema
from schemas.topics import DEFAULT_PARTITIONS, TOPICS

FOLDER = Path(__file__).parent / "reference"
WIDTH = 100


def command_pages() -> Iterator[str]:
    """Every command's help, as the terminal shows it."""
    yield "# The accredit command\n\nWritten by `make docs`. The same texts are shown by `--help`.\n"
    root = context("accredit", accredit, None)
    yield block("accredit", root)
    for name in COMMANDS:
        command = accredit.get_command(root, name)
        assert command is not None
        own = context(name, command, root)
        yield block(own.command_path, own)
        if isinstance(command, click.Group):
            for sub_name, sub in command.commands.items():
                sub_context = context(sub_name, sub, own)
                yield block(sub_context.command_path, sub_context)


def context(name: str, command: click.Command, parent: click.Context | None) -> click.Context:
    command._help_option = None  # click keeps that of whoever asked first, with the names in force there
    settings = {**command.context_settings, "terminal_width": WIDTH, "max_content_width": WIDTH}
    return click.Context(command, info_name=name, parent=parent, **settings)


def block(title: str, ctx: click.Context) -> str:
    help_text = "\n".join(line.rstrip() for line in ctx.get_help().splitlines())
    return f"## {title}\n\n```\n{help_text}\n```\n"


def topic_pages() -> Iterator[str]:
    """The table of topics, and who reads which."""
    yield "# Topics\n\nWritten by `make docs` from `schemas/topics.py`.\n"
    rows = ["| topic | key | value | partitions | settings |", "|---|---|---|---|---|"]
    for topic in TOPICS:
        schema = current_schema(topic.schema)
        partitions = topic.partitions or f"chosen at creation ({DEFAULT_PARTITIONS})"
        settings = ", ".join(f"`{name}={value}`" for name, value in topic.settings().items())
        value = f"{schema.name} v{schema.version} (schema id {schema.id})"
        rows.append(f"| `{topic.name}` | {topic.key} | {value} | {partitions} | {settings} |")
    yield "\n".join(rows) + "\n"
    rows = ["| stage | consumer group | reads |", "|---|---|---|"]
    rows += [f"| {stage.name} | `{stage.group}` | {', '.join(f'`{t}`' for t in stage.topics)} |" for stage in STAGES]
    yield "\n".join(rows) + "\n"


PAGES = {"commands.md": command_pages, "topics.md": topic_pages}


def main() -> None:
    """Write all pages."""
    FOLDER.mkdir(exist_ok=True)
    for name, write in PAGES.items():
        (FOLDER / name).write_text("\n".join(write()))


if __name__ == "__main__":
    main()
