"""Deliberate bugs that the chaos run must find. They are edits of a copy of the tree, so the product has no switch.

python -m tests.chaos --bug commit-before-store
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
SOURCE = ("schemas", "ingest", "processors", "sinks", "console", "deploy", "tests")
NOT_CLEAN = 3
"""The chaos run's exit code when something is wrong, lost or there twice; 1 is any other failure."""


class Bug(NamedTuple):
    """In ``file`` put ``instead`` in the place of ``text``, which is there once."""

    file: str
    text: str
    instead: str


BUGS = {
    # DESIGN 1.5 the wrong way round: the offset first, and then, after a while, the store and the credits.
    "commit-before-store": Bug(
        "processors/runtime/agent.py",
        """\
            await self._checkpoint.advance(partition, part)
""",
        """\
            if part.live:
                partition.evaluated(part)
                await self.consumer.commit()
                await asyncio.sleep(0.2)
            await self._checkpoint.advance(partition, part)
""",
    ),
}


def break_copy(bug: Bug, target: Path) -> None:
    """Copy the tree to ``target`` with the bug in it. ValueError if the code is no longer what the bug is about."""
    for name in SOURCE:
        shutil.copytree(ROOT / name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
    file = target / bug.file
    code = file.read_text()
    if code.count(bug.text) != 1:
        raise ValueError(f"{bug.file} does not have the text that the bug replaces exactly once:\n{bug.text}")
    file.write_text(code.replace(bug.text, bug.instead))


def finds(name: str, options: list[str]) -> bool:
    """Run chaos in a copy with the bug. Whether it ended as not clean."""
    with tempfile.TemporaryDirectory(prefix="accredit-bug-") as folder:
        break_copy(BUGS[name], Path(folder))
        argv = [sys.executable, "-m", "tests.chaos", *options]
        done = subprocess.run(argv, cwd=folder, env={**os.environ, "PYTHONPATH": folder})
    return done.returncode == NOT_CLEAN
