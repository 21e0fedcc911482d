"""Records joined from the bytes of their fields: the runs are all fields, in their order."""

from __future__ import annotations

import pytest

from schemas.codec import frame_before, run_writer
from schemas.records import Click


def test_runs_in_order_have_the_frame_of_a_record() -> None:
    fields = Click._fields
    assert frame_before("click", fields[:3], fields[3:]) == frame_before("click", *((name,) for name in fields))


@pytest.mark.parametrize("runs", [(Click._fields[:-1],), (Click._fields[1:], Click._fields[:1]), ()])
def test_fields_that_are_missing_or_elsewhere_are_an_error(runs: tuple[tuple[str, ...], ...]) -> None:
    with pytest.raises(TypeError, match="all fields of click"):
        frame_before("click", *runs)


def test_a_run_of_fields_that_are_no_neighbours_is_an_error() -> None:
    with pytest.raises(TypeError, match="in this order"):
        run_writer("click", "offer_id", "partner_id")
