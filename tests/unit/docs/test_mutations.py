"""The deliberate faults still fit the code, their tests are there, and the page says what the list says."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from tests.mutation.faults import DriftedError, Fault, faults
from tests.mutation.page import GUARANTEES, PAGE, page, rows

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
    assert PAGE.read_text("utf-8") == page(faults(), GUARANTEES.read_text("utf-8")), (
        "python -m tests.mutation --write makes it anew"
    )


def test_a_fault_stands_for_every_guarantee_and_for_every_row_that_names_a_test() -> None:
    text = GUARANTEES.read_text("utf-8")
    promised = re.findall(r"^## (G\d+) ", text, re.MULTILINE)
    listed = rows(faults(), text)

    assert promised
    assert sorted({fault.guards for fault in faults()}) == sorted(promised)
    assert {guarantee for guarantee, _, _ in listed} == set(promised)
    assert [f"{guarantee}: {what}" for guarantee, what, stand in listed if not stand] == []


def test_no_two_faults_are_the_same() -> None:
    texts = {fault.file: (ROOT / fault.file).read_text("utf-8") for fault in faults()}
    mutants = [(fault.file, texts[fault.file].replace(fault.old, fault.new)) for fault in faults()]

    assert len(set(mutants)) == len(mutants)
    assert len({fault.means for fault in faults()}) == len(mutants)


@pytest.mark.parametrize("fault", [fault for fault in faults() if fault.rows], ids=lambda fault: fault.means)
def test_the_rows_that_a_fault_names_are_there(fault: Fault) -> None:
    promised = {f"{of}: {what}" for of, what, _ in rows(faults(), GUARANTEES.read_text("utf-8"))}

    assert set(fault.rows) <= promised


@pytest.mark.parametrize(("old", "new"), [("not there", "x"), ("a", "b"), ("def", "dof")])
def test_a_fault_that_no_longer_fits_is_told(old: str, new: str) -> None:
    fault = Fault(1, "nothing", "G1", "some.py", old, new, ())

    with pytest.raises(DriftedError):
        fault.mutated("def aa():\n    return 1\n")
