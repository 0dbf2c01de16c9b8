import json
from pathlib import Path

from tests.support.flaky import failed_tests, summary


def _suite_ran(directory: Path, name: str, *, tests: int, skipped: int = 0, failed: tuple[str, ...] = ()) -> None:
    (directory / f"{name}.xml").write_text(f'<testsuites><testsuite tests="{tests}" skipped="{skipped}"/></testsuites>')
    if failed:
        kept = directory / f"{name}.cache/v/cache"
        kept.mkdir(parents=True, exist_ok=True)
        (kept / "lastfailed").write_text(json.dumps(dict.fromkeys(failed, True)))


def test_failed_tests_are_listed_with_their_suites(tmp_path: Path) -> None:
    _suite_ran(tmp_path, "unit", tests=3, failed=("tests/b.py::test_2", "tests/a.py::test_1[x y]"))
    _suite_ran(tmp_path, "scenario", tests=1, failed=("tests/s.py::test_kill",))

    assert failed_tests(tmp_path) == [
        "scenario tests/s.py::test_kill",
        "unit tests/a.py::test_1[x y]",
        "unit tests/b.py::test_2",
    ]


def test_a_flaky_test_is_named_and_counts_as_passed(tmp_path: Path) -> None:
    _suite_ran(tmp_path, "unit", tests=10, skipped=1, failed=("tests/a.py::test_broken",))
    (tmp_path / "flaky").write_text("unit tests/a.py::test_racing\n")

    assert summary(tmp_path) == [
        "flaky: tests/a.py::test_racing failed, and passed when it ran again alone",
        "8 passed, 1 failed, 1 skipped",
    ]


def test_without_failures_the_sums_stand_alone(tmp_path: Path) -> None:
    _suite_ran(tmp_path, "unit", tests=4)
    _suite_ran(tmp_path, "matrix", tests=2, skipped=1)

    assert summary(tmp_path) == ["5 passed, 0 failed, 1 skipped"]
