from pathlib import Path

from tests.support.costs import tables


def _case(name: str, seconds: float, cpu: float, setup: float) -> str:
    return (
        f'<testcase classname="tests.a" name="{name}" time="{seconds}"><properties>'
        f'<property name="setup_seconds" value="{setup}"/><property name="cpu_seconds" value="{cpu}"/>'
        "</properties></testcase>"
    )


def test_costs_are_added_up_for_each_suite_and_the_slowest_test_comes_first(tmp_path: Path) -> None:
    together, alone = tmp_path / "together", tmp_path / "alone"
    for directory, seconds in ((together, 30), (alone, 12)):
        directory.mkdir()
        (directory / "unit.seconds").write_text(f"{seconds}\n")
    (together / "unit.xml").write_text(f"<t>{_case('quick', 1, 1, 0)}{_case('slow', 8, 2, 5)}</t>")

    lines = tables(together, alone)

    assert lines[2] == "| unit | 2 | 12 | 30 | 3 | 6 |"
    assert lines[6] == "| a::slow | 8.0 | 2.0 |"
    assert lines[-1] == "| tests.a | 5.0 |"
