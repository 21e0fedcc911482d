"""What `accredit load` says at its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from console.load_view import show
from ingest.load import LoadResult, RowProblem

PROBLEM = RowProblem(7, "INVALID_AMOUNT", "amount", "'1e3x' is not an amount")


def test_everything_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    show(LoadResult(3, 3, 0, {"click": 2, "conversion": 1}, {}, ()), Path("e.ndjson"), 1.5)
    out, err = capsys.readouterr()
    assert out == "accepted 3 (2 clicks, 1 conversion) in 1.5 s, 2 rows/s\n"
    assert err == ""


def test_what_was_refused_has_its_place_and_reason(capsys: pytest.CaptureFixture[str]) -> None:
    reasons = {"INVALID_AMOUNT": 3, "INVALID_JSON": 1}
    show(LoadResult(4, 0, 4, {}, reasons, (PROBLEM,)), Path("e.ndjson"), 1)
    out, err = capsys.readouterr()
    assert out.startswith("accepted 0 (nothing)")
    assert "refused 4 (3 INVALID_AMOUNT, 1 INVALID_JSON)" in err
    assert "e.ndjson:7: INVALID_AMOUNT: amount: '1e3x' is not an amount" in err
    assert "and 3 more" in err
