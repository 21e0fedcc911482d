"""Every row of RULES.md that crediting has to keep is a test by name."""

from __future__ import annotations

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
ROWS = {*range(1, 35), *range(47, 54)}
"""Crediting: R01 to R34 and R47 to R53. The others are about money after the decision."""


def test_every_row_of_the_rules_has_a_test_of_its_name() -> None:
    found = {
        int(row) for file in TESTS.rglob("test_*.py") for row in re.findall(r"def test_r(\d\d)_", file.read_text())
    }
    assert sorted(ROWS - found) == []
