"""The deliberate faults still fit the code, their tests are there, and the page says what the list says."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from tests.mutation.faults import DriftedError, Fault, faults
from tests.mutation.page import PAGE, page

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("fault", faults(), ids=lambda fault: fault.means)
def test_every_fault_fits_the_code_and_changes_it(fault: Fault) -> None:
    text = (ROOT / fault.file).read_text("utf-8")

    assert fault.mutated(text) != text


@pytest.mark.parametrize("fault", faults(), ids=lambda fault: fault.means)
def test_every_test_that_a_fault_names_is_where_it_says(fault: Fault) -> None:
    assert fault.tests
    for test in fault.tests:
        file, *of_class, name = test.split("::")
        if of_class:  # what several adapters promise is written in a class that theirs inherit
            module = importlib.import_module(file.removesuffix(".py").replace("/", "."))
            assert callable(getattr(getattr(module, *of_class), name))
        else:
            assert f"def {name}(" in (ROOT / file).read_text("utf-8")


def test_the_page_of_faults_is_made_of_the_list() -> None:
    assert PAGE.read_text("utf-8") == page(faults()), "python -m tests.mutation --write makes it anew"


@pytest.mark.parametrize(("old", "new"), [("not there", "x"), ("a", "b"), ("def", "dof")])
def test_a_fault_that_no_longer_fits_is_told(old: str, new: str) -> None:
    fault = Fault(1, "nothing", "G1", "some.py", old, new, ())

    with pytest.raises(DriftedError):
        fault.mutated("def aa():\n    return 1\n")
