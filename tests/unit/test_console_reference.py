"""The reference pages say what the code says."""

from __future__ import annotations

import pytest

from docs.write_reference import FOLDER, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_up_to_date(name: str) -> None:
    assert (FOLDER / name).read_text() == "\n".join(PAGES[name]()), "run `make docs`"
