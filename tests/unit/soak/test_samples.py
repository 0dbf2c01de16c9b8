"""What grows steadily is told, what passes or was there from the start is not."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.soak.samples import Bound, Sample, Watch, grown, growth, most, settled

BOUNDS = [Bound("memory_kib", 1_000), Bound("threads", 2), Bound("descriptors", 2), Bound("connections", 2)]


def samples(**changes: list[float]) -> list[Sample]:
    flat = {"memory_kib": 50_000.0, "threads": 8.0, "descriptors": 20.0, "connections": 4.0}
    return [
        Sample(3.0 * number, **{name: flat[name] + (changes[name][number] if name in changes else 0) for name in flat})
        for number in range(100)
    ]


@pytest.mark.parametrize("figure", ["memory_kib", "threads", "descriptors", "connections"])
def test_what_grows_little_by_little_is_told(figure: str) -> None:
    step = 20.0 if figure == "memory_kib" else 0.05

    told = grown("ingest-0", settled(samples(**{figure: [step * number for number in range(100)]})), BOUNDS)

    assert len(told) == 1
    assert told[0].startswith(f"ingest-0: {figure} grew by")


def test_what_stays_as_it_is_is_not_told() -> None:
    assert grown("ingest-0", settled(samples()), BOUNDS) == []


def test_a_peak_that_passes_and_what_the_start_takes_are_no_growth() -> None:
    peak = [0.0] * 100
    peak[80:95] = [50_000.0] * 15
    start = [-30_000.0] * 20 + [0.0] * 80

    assert grown("ingest-0", settled(samples(memory_kib=peak)), BOUNDS) == []
    assert grown("ingest-0", settled(samples(memory_kib=start)), BOUNDS) == []


def test_work_that_goes_to_another_worker_is_no_growth_of_both_and_a_leak_of_either_is_told() -> None:
    before, after = [6.0] * 100, [0.06 * number for number in range(100)]
    leak = [0.05 * number for number in range(100)]

    def told(first: list[float], second: list[float]) -> list[str]:
        return grown("egress", settled(most([samples(threads=first), samples(threads=second)])), BOUNDS)

    assert grown("egress-1", settled(samples(threads=after)), BOUNDS) != []
    assert told(before, after) == []
    assert len(told(before, [one + more for one, more in zip(after, leak, strict=True)])) == 1
    assert len(told([6.0 + one for one in leak], [0.0] * 100)) == 1


def test_growth_is_that_over_all_samples() -> None:
    assert growth(samples(threads=[0.1 * number for number in range(100)]), "threads") == pytest.approx(9.9)


def test_a_watch_sees_what_a_process_holds_and_forgets_one_that_has_ended(tmp_path: Path) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    watch = Watch({"this": os.getpid(), "ended": ended.pid}, tmp_path / "samples.jsonl")
    watch.look()

    listener = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(listener.getsockname())
    watch.look()
    for one in (client, listener):
        one.close()

    before, after = watch.samples["this"]
    assert after.descriptors == before.descriptors + 2
    assert after.connections == before.connections + 1
    assert before.threads >= 1
    assert before.memory_kib > 1_000
    assert "ended" not in watch.samples
    assert len((tmp_path / "samples.jsonl").read_text().splitlines()) == 2
