"""
Runs exchangelib's own tests, which were written against real Exchange servers, against the sandbox.

    python tests/foreign/exchangelib/run.py                       all of the mail part
    python tests/foreign/exchangelib/run.py test_folder.py        one of its files
    python tests/foreign/exchangelib/run.py --source DIR          with a source tree that is there already
    python tests/foreign/exchangelib/run.py --write               writes the table anew; reasons that hold are kept

The tests are taken from Debian's source package python-exchangelib at run time, with the library as it is there;
nothing of it is kept here. `expected.tsv` says of each test how it ends and why: the run fails when one ends otherwise.
What the tests need beside exchangelib (PyYAML, requests_mock, psutil, ...) is installed into a folder of the run.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
CHECKOUT = HERE.parents[2]
sys.path.insert(0, str(CHECKOUT))

from tests.support.sandbox import SandboxProcess  # noqa: E402 - the checkout is no installed package

TABLE = HERE / "expected.tsv"
MAILBOX = "exchangelib@example.org"
NEEDED = ("PyYAML", "requests_mock", "psutil", "python-dateutil", "pytz")
# What concerns mail. The others are run by name: they test autodiscovery, the code itself, or other kinds of items.
MAIL_PART = (
    "test_account.py", "test_attachments.py", "test_extended_properties.py", "test_field.py", "test_folder.py",
    "test_protocol.py", "test_queryset.py", "test_restriction.py", "test_services.py", "test_properties.py",
    "test_items/test_basics.py", "test_items/test_bulk.py", "test_items/test_generic.py", "test_items/test_helpers.py",
    "test_items/test_messages.py", "test_items/test_queryset.py", "test_items/test_sync.py",
)  # fmt: skip
SECONDS_FOR_A_TEST = 60


class NoSourceError(Exception):
    """The source package is not to be had."""


def download(folder: Path) -> Path:
    """
    Return the unpacked source of Debian's package, got into `folder` by apt with lists of its own.

    Raises:
        NoSourceError: apt could not get it.
    """
    listed = folder / "sources.list"
    listed.write_text("\n".join(f"deb-src {mirror} {release} main" for mirror, release in _mirrors()) + "\n")
    (folder / "lists" / "partial").mkdir(parents=True, exist_ok=True)
    apt = [
        "apt-get", "-qq", "-o", f"Dir::Etc::sourcelist={listed}", "-o", "Dir::Etc::sourceparts=-",
        "-o", f"Dir::State::lists={folder / 'lists'}",
    ]  # fmt: skip
    subprocess.run([*apt, "update"], cwd=folder, check=False)
    subprocess.run([*apt, "source", "--download-only", "python-exchangelib"], cwd=folder, check=False)
    # The upstream part alone is needed; a mirror that lacks Debian's own part is good enough.
    archives = sorted(folder.glob("python-exchangelib_*.orig.tar.*"))
    if not archives:
        raise NoSourceError("apt found no source package python-exchangelib; give --source DIR")
    with tarfile.open(archives[-1]) as archive:
        archive.extractall(folder, filter="data")
    return next(path.parent for path in folder.glob("*/exchangelib") if path.is_dir())


def _mirrors() -> list[tuple[str, str]]:
    """Return the mirrors and releases that this machine's apt has its packages from."""
    ask = ["apt-get", "indextargets", "--format", "$(SITE) $(RELEASE)"]
    told = subprocess.run(ask, capture_output=True, text=True, check=True).stdout.splitlines()
    return sorted({(site, release) for site, _, release in (line.partition(" ") for line in told) if "://" in site})


def install_needed(folder: Path) -> Path:
    """Return a folder with the modules that the tests need, installed there if they are not."""
    target = folder / "needed"
    if not target.is_dir():
        quiet = ["--quiet", "--disable-pip-version-check", "--target", str(target)]
        subprocess.run([sys.executable, "-m", "pip", "install", *quiet, *NEEDED], check=True)
    return target


def run_tests(source: Path, needed: Path, results: Path, files: list[str], pytest_options: list[str]) -> None:
    """Run test files of a source tree against a fresh sandbox; `results` holds how each test ended."""
    with (
        tempfile.TemporaryDirectory() as temporary,
        SandboxProcess(Path(temporary) / "sandbox", mailboxes=[MAILBOX], on_premises=True) as sandbox,
    ):
        account = next(one for one in sandbox.info["mailboxes"] if one["address"] == MAILBOX)
        server = sandbox.info["ews_url"].split("/")[2]
        (source / "settings.yml").write_text(
            f"server: '{server}'\nautodiscover_server: '{server}'\nusername: '{account['username']}'\n"
            f"password: '{account['password']}'\naccount: '{MAILBOX}'\nalias: '{MAILBOX}'\nverify_ssl: False\n"
        )
        environment = {
            **{key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")},
            "PYTHONPATH": os.pathsep.join((str(source), str(HERE), str(needed))),
            "EXCHANGELIB_RESULTS": str(results),
            "PYTHONWARNINGS": "ignore",
            "TZ": "Europe/Copenhagen",
        }
        subprocess.run(
            [
                sys.executable, "-m", "pytest", "-q", "-p", "recorder", "-p", "no:cacheprovider", "-p", "no:xdist",
                f"--rootdir={source}", "--confcutdir", str(source), "--timeout", str(SECONDS_FOR_A_TEST),
                "--tb=short", *pytest_options, *(str(source / "tests" / name) for name in files),
            ],
            cwd=source, env=environment, check=False,
        )  # fmt: skip


def read_table(path: Path) -> dict[str, tuple[str, str]]:
    """Return how each test ends and why, by name."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        rows = csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        return {row[0]: (row[1], row[2] if len(row) > 2 else "") for row in rows if row and row[0] != "test"}


def main() -> int:
    """Run, compare with the table, and say the counts; 1 when a test ended otherwise than the table says."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path, help="an unpacked source tree of exchangelib")
    parser.add_argument("--work", type=Path, help="a folder to keep downloads in")
    parser.add_argument("--write", action="store_true", help="write the table anew")
    parser.add_argument("-k", dest="only", help="pytest's -k")
    parser.add_argument("files", nargs="*", help="test files, all of the mail part if none")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = (arguments.work or Path(temporary)).resolve()
        work.mkdir(parents=True, exist_ok=True)
        try:
            source = (arguments.source or download(work)).resolve()
        except NoSourceError as error:
            print(error, file=sys.stderr)
            return 2
        files = arguments.files or [name for name in MAIL_PART if (source / "tests" / name).exists()]
        results = work / "results.tsv"
        results.unlink(missing_ok=True)
        run_tests(source, install_needed(work), results, files, ["-k", arguments.only] if arguments.only else [])
        ended = read_table(results)
    if not ended:
        print("no test ran", file=sys.stderr)
        return 2
    return compare(ended, write=arguments.write)


def compare(ended: dict[str, tuple[str, str]], *, write: bool) -> int:
    """Print the counts and what is otherwise than the table says; write the table where asked for."""
    expected = read_table(TABLE)
    counts = {kind: sum(outcome == kind for outcome, _ in ended.values()) for kind in ("passes", "fails", "skips")}
    print(", ".join(f"{number} {kind}" for kind, number in counts.items()), f"of {len(ended)}")
    otherwise = {name: end for name, end in ended.items() if expected.get(name, ("unknown", ""))[0] != end[0]}
    for name, (outcome, why) in sorted(otherwise.items()):
        print(f"{name}: {outcome}, expected: {expected.get(name, ('unknown', ''))[0]}  {why}")
    if write:
        kept = {
            name: expected[name] if name not in otherwise and name in expected else end for name, end in ended.items()
        }
        lines = [
            "test\tends\treason\n",
            *(f"{name}\t{end}\t{why}\n" for name, (end, why) in sorted({**expected, **kept}.items())),
        ]
        TABLE.write_text("".join(lines))
        return 0
    return int(bool(otherwise))


if __name__ == "__main__":
    sys.exit(main())
