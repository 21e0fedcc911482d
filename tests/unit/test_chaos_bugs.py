"""The deliberate bugs of the chaos run still fit the code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.bugs import BUGS, break_copy


@pytest.mark.parametrize("name", BUGS)
def test_a_deliberate_bug_fits_the_code_and_leaves_it_valid(name: str, tmp_path: Path) -> None:
    break_copy(BUGS[name], tmp_path)
    broken = (tmp_path / BUGS[name].file).read_text()
    assert BUGS[name].instead in broken
    compile(broken, BUGS[name].file, "exec")
