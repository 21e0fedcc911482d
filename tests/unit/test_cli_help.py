"""The command line as a newcomer meets it."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from console.main import COMMANDS, accredit, is_for_the_operator
from deploy.local.errors import NoFreePort
from schemas.errors import CatalogInvalid

HEAVY = ("aiohttp", "chdb", "clickhouse_connect", "confluent_kafka", "faust", "pydantic", "rich", "structlog")


def commands() -> list[tuple[str, ...]]:
    """Every command and subcommand."""
    found: list[tuple[str, ...]] = []
    for name in COMMANDS:
        command = accredit.get_command(click.Context(accredit), name)
        found.append((name,))
        if isinstance(command, click.Group):
            found += [(name, sub) for sub in command.commands]
    return found


def test_the_root_help_lists_every_command_and_teaches_with_an_example() -> None:
    shown = CliRunner().invoke(accredit, ["--help"])
    assert shown.exit_code == 0
    assert all(f"\n  {name} " in shown.output for name in COMMANDS)
    assert "accredit load events.ndjson --wait" in shown.output


@pytest.mark.parametrize("path", commands(), ids=" ".join)
def test_every_command_has_help(path: tuple[str, ...]) -> None:
    shown = CliRunner().invoke(accredit, [*path, "--help"])
    assert shown.exit_code == 0, shown.output
    if len(path) == 1:
        assert "accredit" in shown.output.split("\n", 3)[3], "an example"


def test_the_root_help_loads_no_library_that_takes_time() -> None:
    code = "import sys; from console.main import accredit; accredit(['--help'], standalone_mode=False); "
    code += f"print([name for name in {HEAVY!r} if name in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"


def test_errors_with_a_way_out_are_for_the_operator() -> None:
    assert is_for_the_operator(NoFreePort(1, 2, 3))
    assert is_for_the_operator(CatalogInvalid([]))
    assert not is_for_the_operator(ValueError("a fault of ours"))
