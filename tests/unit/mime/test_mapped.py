"""A mail that is read where it lies, in a file, says the same as one that was held; and little of it is in memory."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.mime import mapped, parse
from bridge.mime.mapped import MappedMail
from tests.fuzz.mails import Mails
from tests.support.mails import samples
from tests.unit.mime.test_sink import with_sink


def _mapped(raw: bytes) -> MappedMail:
    with tempfile.TemporaryFile() as file:
        file.write(raw)
        file.flush()
        return MappedMail(file.fileno(), len(raw))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows as small as a line, and everything let go of all the time."""
    monkeypatch.setattr(mapped, "_WINDOW_BYTES", 50)
    monkeypatch.setattr(mapped, "_MOST_BYTES", 1)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("name", sorted(name for name, raw in samples().items() if raw))
def test_a_mail_in_a_file_says_the_same(name: str) -> None:
    raw = samples()[name]

    assert parse(_mapped(raw)) == parse(raw)
    assert with_sink(_mapped(raw)) == parse(raw)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("seed", range(2))
def test_a_hostile_mail_in_a_file_says_the_same(seed: int) -> None:
    for mail in Mails(seed, full_size=20_000).first(300):
        if mail.raw:
            assert parse(_mapped(mail.raw)) == parse(mail.raw), f"seed {seed}, mail {mail.number}: {mail.name}"


@given(
    raw=st.binary(min_size=1, max_size=60) | st.text("\n-ab", min_size=1, max_size=200).map(str.encode),
    sub=st.text("\n-ab", min_size=1, max_size=4).map(str.encode),
    start=st.integers(0, 70),
    end=st.none() | st.integers(0, 210),
    window=st.integers(1, 9),
)
def test_what_is_searched_for_is_found_where_bytes_find_it(
    raw: bytes, sub: bytes, start: int, end: int | None, window: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mapped, "_WINDOW_BYTES", window)

        assert _mapped(raw).find(sub, start, end) == raw.find(sub, start, end)


def _resident_of_files() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return sum(int(line.split()[1]) << 10 for line in lines if line.startswith(("RssFile:", "RssShmem:")))


@pytest.mark.parametrize("lines", [b"x" * 76 + b"\r\n", b"--\r\n" * 20], ids=["an attachment", "no boundaries"])
def test_little_of_a_large_mail_is_in_memory_at_a_time(lines: bytes) -> None:
    head = b"Content-Type: multipart/mixed; boundary=part\n\n--part\nContent-Disposition: attachment\n\n"
    mail = _mapped(head + lines * (64_000_000 // len(lines)) + b"\n--part--\n")
    before, most = _resident_of_files(), 0

    with tempfile.TemporaryFile() as file:

        class _Watched(mapped.MappedMail):
            def _note(self, size: int) -> None:
                nonlocal most
                most = max(most, _resident_of_files())
                super()._note(size)

        mail.__class__ = _Watched
        for position in range(0, len(mail), 1 << 20):
            file.write(mail[position : position + (1 << 20)])
        position = 0
        for _ in range(2_000):
            if (position := mail.find(b"\n--", position + 1)) < 0:
                break
        assert mail.find(b"no such line") == -1

    assert most - before < 24_000_000


def test_a_long_boundary_that_is_nowhere_costs_no_more_than_a_short_one() -> None:
    """The search of `mmap` itself takes as many steps for each byte as the boundary is long."""
    mail = _mapped(b"a" * 8_000_000)

    started = time.process_time()
    assert mail.find(b"a" * 2_000 + b"b") == -1

    assert time.process_time() - started < 3


def test_a_file_that_lost_its_end_is_refused() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(b"x" * 100)
        file.flush()

        with pytest.raises(ValueError, match="mmap length"):
            MappedMail(file.fileno(), 101)
        with pytest.raises(ValueError, match="nothing"):
            MappedMail(file.fileno(), 0)
