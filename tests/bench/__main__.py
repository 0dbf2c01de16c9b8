"""Benchmarks beside a naive bridge, on the same machine in the same run; `tests/bench/run.sh` starts it."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.backlog import broker
from tests.bench.drain import corpus, cpu, drain, drain_lan
from tests.bench.figures import Figure, table
from tests.bench.hung import hung
from tests.bench.large import large, large_out
from tests.bench.latency import latency, latency_busy
from tests.bench.processes import machine
from tests.bench.profile import profile
from tests.bench.quiet import idle
from tests.bench.read import read
from tests.bench.sandbox import sandbox
from tests.bench.sending import egress, egress_limited
from tests.bench.stage import tell
from tests.bench.start import start

if TYPE_CHECKING:
    from collections.abc import Callable

BENCHMARKS: dict[str, Callable[..., list[Figure]]] = {
    "read": read,
    "drain-lan": drain_lan,
    "cpu": cpu,
    "corpus": corpus,
    "drain": drain,
    "latency": latency,
    "latency-busy": latency_busy,
    "hung": hung,
    "large": large,
    "large-out": large_out,
    "idle": idle,
    "egress": egress,
    "egress-limited": egress_limited,
    "broker": broker,
    "sandbox": sandbox,
    "start": start,
}
# Has no figures, and is run only by its name.
PROFILE = {"profile": profile}


def main() -> int:
    """Run the named benchmarks, or all; 1 where one missed what is asked for, or was not measured."""
    known = BENCHMARKS | PROFILE
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs, ten minutes in all")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    arguments = parser.parse_intermixed_args()
    unknown = sorted(set(arguments.names) - set(known))
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)} (there are: {', '.join(known)})")
    # As on Ctrl-C: workers, sandbox and broker would outlive a process that just ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    at_first = machine()
    figures: list[Figure] = []
    for name in arguments.names or BENCHMARKS:
        begun = time.monotonic()
        figures += known[name](quick=arguments.quick)
        tell(f"{name}: took {time.monotonic() - begun:.0f} s")
        if arguments.json:
            # After each, so that what was measured is not lost with what comes later.
            arguments.json.write_text(json.dumps([figure.as_json() for figure in figures], indent=1) + "\n")
    print(json.dumps({**at_first, "load_at_end": machine()["load"]}))
    print(table(figures))
    return 0 if all(figure.ok for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
