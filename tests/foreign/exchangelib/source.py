"""
exchangelib's source with its own tests, as Debian has it, and the modules that these tests need.

Debian's source package is got by apt from the mirrors that this machine has its packages from; apt checks it against
the archive's signature, and its hash is pinned here as well. No root is needed: lists and caches are of this module's
own, and the system's are not touched. The modules come from pip by the hashes in requirements.txt. Both are kept in a
folder of the user's, and a second run asks nobody. Where the mirrors are of another release of Debian or Ubuntu, the
archive can be put into that folder by hand.

    python -m tests.foreign.exchangelib.source        gets the archive; exits with 3 where the mirrors have another one
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VERSION = "5.5.1"
_ARCHIVE = f"python-exchangelib_{VERSION}.orig.tar.gz"
_SHA256 = "ce81ceeb02785c11d81cb0604cfed9ca4eba4be4c07afec12dbea9767b90c02a"
_REQUIREMENTS = Path(__file__).with_name("requirements.txt")


class NoSourceError(Exception):
    """The source package is not to be had."""


class OtherReleaseError(NoSourceError):
    """This machine's mirrors have another version of it, whose tests end otherwise."""


def cache_folder() -> Path:
    """Return where downloads are kept, made if it is not there."""
    named = os.environ.get("XDG_CACHE_HOME")
    folder = (Path(named) if named else Path.home() / ".cache") / "exchange-mail-bridge" / "exchangelib"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def unpack(cache: Path, target: Path) -> Path:
    """
    Return exchangelib's source tree, unpacked in `target`.

    Raises:
        OtherReleaseError: The mirrors have another version.
        NoSourceError: apt could not get it.
    """
    with _locked(cache), tarfile.open(_archive(cache)) as opened:
        if hasattr(tarfile, "data_filter"):  # from Python 3.11.4 on
            opened.extraction_filter = tarfile.data_filter
        opened.extractall(target)  # noqa: S202 - its hash is pinned
    return next(path.parent for path in target.glob("*/exchangelib") if path.is_dir())


def needed_modules(cache: Path) -> Path:
    """Return a folder with the modules that the tests need beside exchangelib's own, installed if it is not there."""
    stamp = hashlib.sha256(_REQUIREMENTS.read_bytes() + sys.version.encode()).hexdigest()[:16]
    target = cache / f"modules-{stamp}"
    with _locked(cache):
        if not target.is_dir():
            # Only a whole one gets the name: a run that dies in between leaves nothing that looks ready.
            with tempfile.TemporaryDirectory(dir=cache) as folder:
                made = Path(folder) / "modules"
                options = [
                    "--quiet",
                    "--disable-pip-version-check",
                    "--require-hashes",
                    "--no-deps",
                    "--target",
                    str(made),
                ]
                subprocess.run([sys.executable, "-m", "pip", "install", *options, "-r", str(_REQUIREMENTS)], check=True)
                made.rename(target)
    return target


def main() -> int:
    """Have the archive in the cache; say what is wrong where it is not to be had."""
    cache = cache_folder()
    try:
        with _locked(cache):
            _archive(cache)
    except NoSourceError as error:
        print(error, file=sys.stderr)
        return 3 if isinstance(error, OtherReleaseError) else 1
    return 0


def _archive(cache: Path) -> Path:
    archive = cache / _ARCHIVE
    if not _is_right(archive):
        _download(cache)
    return archive


def _is_right(archive: Path) -> bool:
    return archive.is_file() and hashlib.sha256(archive.read_bytes()).hexdigest() == _SHA256


def _download(cache: Path) -> None:
    with tempfile.TemporaryDirectory(dir=cache) as temporary:
        folder = Path(temporary)
        said = _apt(folder)
        # Upstream's part alone is needed: a mirror that lacks Debian's own part is good enough.
        found = sorted(folder.glob("python-exchangelib_*.orig.tar.*"))
        if not found:
            raise NoSourceError(f"apt got no source package python-exchangelib:\n{said[-2000:]}")
        if found[0].name != _ARCHIVE:
            raise OtherReleaseError(
                f"this machine's mirrors have {found[0].name}; the table is for {VERSION}: put {_ARCHIVE} into {cache}"
            )
        if not _is_right(found[0]):
            raise NoSourceError(f"{_ARCHIVE} is not the one whose hash is pinned")
        found[0].replace(cache / _ARCHIVE)


def _apt(folder: Path) -> str:
    """Have apt download the source package into `folder`; return what it said."""
    if not shutil.which("apt-get"):
        raise NoSourceError("exchangelib's tests are had from Debian's source package, by apt-get")
    parts, lists, cached = (folder / name for name in ("sources", "lists", "cache"))
    for place in (parts, lists / "partial", cached / "archives" / "partial"):
        place.mkdir(parents=True)
    _write_sources(parts)
    apt = [
        "apt-get", "-qq", "-o", "Dir::Etc::sourcelist=/dev/null", "-o", f"Dir::Etc::sourceparts={parts}",
        "-o", f"Dir::State::lists={lists}", "-o", f"Dir::Cache={cached}",
        # As root, apt would download as a user who cannot write here.
        *(["-o", "APT::Sandbox::User=root"] if os.getuid() == 0 else []),
    ]  # fmt: skip
    said = ""
    # One mirror of several that fails does not matter: what counts is whether the archive is there afterwards.
    for command in (["update"], ["source", "--download-only", "--only-source", "python-exchangelib"]):
        ran = subprocess.run([*apt, *command], cwd=folder, capture_output=True, text=True, timeout=300, check=False)
        said += ran.stdout + ran.stderr
    return said


def _write_sources(parts: Path) -> None:
    """Write the system's package sources anew as sources of source packages, with their signing keys and options."""
    told = subprocess.run(
        ["apt-config", "shell", "LIST", "Dir::Etc::sourcelist/f", "PARTS", "Dir::Etc::sourceparts/d"],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    places = dict(re.findall(r"^(\w+)='(.*)'$", told, re.MULTILINE))
    one, several = Path(places["LIST"]), Path(places["PARTS"])
    for path in [one, *sorted(several.glob("*.list")), *sorted(several.glob("*.sources"))]:
        if path.is_file():
            text = path.read_text()
            if path.suffix == ".sources":
                text = re.sub(r"^Types:.*$", "Types: deb-src", text, flags=re.MULTILINE | re.IGNORECASE)
            else:
                text = re.sub(r"^\s*deb\s", "deb-src ", text, flags=re.MULTILINE)
            (parts / path.name).write_text(text)


@contextmanager
def _locked(cache: Path) -> Iterator[None]:
    """Keep other runs of the same user out meanwhile."""
    with (cache / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    sys.exit(main())
