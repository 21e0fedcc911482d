"""What a long-running command says: sentences in a terminal, log events with the same sentence elsewhere."""

from __future__ import annotations

import sys
import time
from typing import Any

import structlog
from rich.console import Console
from rich.text import Text

log = structlog.get_logger(__name__)

STYLES = {"info": "", "warning": "yellow", "error": "bold red"}


class Say:
    """``text`` True: sentences on stdout whether it is a terminal or not (the demo); False: log events."""

    def __init__(self, *, text: bool) -> None:
        self.text = text
        self.console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)

    def __call__(self, event: str, sentence: str, level: str = "info", **fields: Any) -> None:
        """Say that ``event`` happened: ``sentence`` to a person, ``event`` with ``fields`` to a program."""
        if self.text:
            line = Text.assemble((time.strftime("%H:%M:%S "), "dim"), (sentence, STYLES[level]))
            self.console.print(line, soft_wrap=True)
        else:
            getattr(log, level)(event, said=sentence, **fields)

    def table(self, renderable: Any) -> None:
        """Show a table or a text to a person; nothing to a program."""
        if self.text:
            self.console.print(renderable)
