"""Nothing that anybody sends makes the parser raise, stall or swell."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.support.hostile_mail import STRUCTURES, HostileMail, check, mails
from tests.support.mails import samples

# Generous for a busy machine; the parser itself needs about a tenth. What grows with the square of its input takes
# minutes at these sizes.
_SECONDS = 5.0
_SECONDS_PER_BYTE = 20e-6


@pytest.mark.parametrize("name", list(STRUCTURES))
def test_each_hostile_structure_is_read_in_time_proportional_to_its_size(name: str) -> None:
    raw = STRUCTURES[name](60_000)

    seconds = check(HostileMail(name, raw))

    assert seconds < 0.5 + len(raw) * _SECONDS_PER_BYTE


@pytest.mark.parametrize("seed", range(4))
def test_mutated_mails_never_raise_and_keep_their_bytes(seed: int) -> None:
    count = len(STRUCTURES) + 400

    for mail in mails(seed, count, 300, list(samples().values())):
        assert check(mail) < _SECONDS, mail.name


def test_a_large_hostile_mail_stays_within_its_memory() -> None:
    """Each in a process of its own, so that the peak is its own: at most ten times its size, and a fixed part."""
    size = 4_000_000
    script = (
        "import resource, sys\n"
        "from tests.support.hostile_mail import STRUCTURES\n"
        "from bridge.mime import parse\n"
        "raw = STRUCTURES[sys.argv[1]](int(sys.argv[2]))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "parse(raw)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    for name in ("header_flood", "small_parts", "html b'<div>'", "To addresses", "Subject encoded_words", "dash_lines"):
        output = subprocess.run(
            [sys.executable, "-c", script, name, str(size)], capture_output=True, text=True, check=True
        ).stdout

        assert int(output) * 1024 < 10 * size + 32_000_000, name
