"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from console.installation import Installation

Command = TypeVar("Command", bound=Callable[..., Any])


def data_option(command: Command) -> Command:
    """``--data DIR``: a Path, or None where it is left to ``ACCREDIT_DATA`` and the default."""
    return click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Folder of the installation. [default: $ACCREDIT_DATA, else ./data]",
    )(command)


def format_option(*formats: str) -> Callable[[Command], Command]:
    """``--format``, the first being the default."""
    return click.option(
        "--format", "form", type=click.Choice(formats), default=formats[0], show_default=True, help="How to print it."
    )


def running(data: Path | None) -> Installation:
    """The installation that a short command is about; libraries' troubles that we tell ourselves are not logged.

    NothingRuns if there is none.
    """
    from console.installation import find
    from console.logs import configure_logging
    from console.settings import read_settings

    settings = read_settings()
    configure_logging(settings, level="error")
    return find(settings, data)
