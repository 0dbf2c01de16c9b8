"""What the choice of a day leaves out, the next six days have; nothing that matters is left out by any."""

from __future__ import annotations

import pytest

from tests.matrix.cells import CUTS, PARTS, Cell, Part

_EACH = pytest.mark.parametrize("part", PARTS, ids=lambda part: part.title)


@_EACH
@pytest.mark.parametrize("day", [1, 2, 3, 366])
def test_each_day_has_every_step_at_every_moment_and_every_cut(part: Part, day: int) -> None:
    chosen, every = part.cells_of(day), part.cells()

    assert set(chosen) <= set(every)
    assert len(chosen) == len(set(chosen))
    assert {(cell.step, cell.moment) for cell in chosen} == {(cell.step, cell.moment) for cell in every}
    assert {cell.cut for cell in chosen} == {cell.cut for cell in every}


@pytest.mark.parametrize("day", range(1, 8))
def test_each_day_has_every_moment_with_every_cut(day: int) -> None:
    def pairs(cells: list[Cell]) -> set[tuple[str, str]]:
        return {(cell.moment, cell.cut) for cell in cells}

    chosen = [cell for part in PARTS for cell in part.cells_of(day)]

    assert pairs(chosen) == pairs([cell for part in PARTS for cell in part.cells()])


@_EACH
def test_any_seven_days_in_a_row_have_every_cell(part: Part) -> None:
    for day in range(1, 4):
        assert {cell for one in range(day, day + len(CUTS)) for cell in part.cells_of(one)} == set(part.cells())
