"""The wheel as others install it: a type checker sees the payloads' types."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def run(*arguments: object, cwd: Path) -> str:
    """Run Python without anything in its environment that leads to the checkout; return what it printed."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("PYTHON", "MYPY", "PIP_"))}
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("wheel")
    run("-m", "hatchling", "build", "-t", "wheel", "-d", made, cwd=ROOT)
    (file,) = made.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment: the wheel, and what it depends on from the environment of the tests."""
    made = tmp_path_factory.mktemp("environment")
    run("-m", "venv", "--without-pip", made, cwd=made)
    (packages,) = made.glob("lib/python*/site-packages")
    run("-m", "pip", "install", "--quiet", "--no-index", "--no-deps", "--target", packages, wheel, cwd=made)
    # Read as a plain folder: the link from there to the checkout does not count.
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    return made / "bin" / "python"


def test_a_consumer_that_has_the_wheel_alone_is_checked_strictly_and_meets_no_any(python: Path, tmp_path: Path) -> None:
    consumer = tmp_path / "consumer.py"
    consumer.write_text(Path(__file__).with_name("consumer.py").read_text("utf-8"), "utf-8")
    options = ["--strict", "--disallow-any-expr", "--config-file=", "--cache-dir", tmp_path / "cache"]

    run("-m", "mypy", *options, "--python-executable", python, consumer, cwd=tmp_path)


def test_the_wheel_and_the_source_archive_say_that_they_are_typed(wheel: Path, tmp_path: Path) -> None:
    run("-m", "hatchling", "build", "-t", "sdist", "-d", tmp_path, cwd=ROOT)
    (archive,) = tmp_path.glob("*.tar.gz")

    assert "bridge/py.typed" in zipfile.ZipFile(wheel).namelist()
    with tarfile.open(archive) as tar:
        assert [name for name in tar.getnames() if name.endswith("/bridge/py.typed")]
