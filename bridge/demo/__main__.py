"""`bridge demo`: the command line of the demo."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.demo.broker_node import BrokerNodeError
from bridge.demo.processes import ProcessFailedError
from bridge.demo.run import Demo, DemoOptions, as_json, as_text
from bridge.demo.smtp import SmtpRefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.demo.account import Summary


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; 0 only if everything adds up, 1 if not, 3 if a part did not start."""
    parser = argparse.ArgumentParser(
        prog="bridge demo",
        description="Mail from an Exchange inbox to RabbitMQ and back out, on this machine, checked from outside.",
    )
    parser.add_argument(
        "--mails", type=_directory, metavar="DIR", help="deliver every *.eml below DIR (default: samples)"
    )
    parser.add_argument("--requests", type=_count, default=10, metavar="N", help="sends to request (default: 10)")
    parser.add_argument("--keep", action="store_true", help="leave everything running and print the addresses")
    parser.add_argument(
        "--json", action="store_true", help="one JSON line on standard output, all else on standard error"
    )
    arguments = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # both end the demo, and everything that it started
    reported: list[Summary] = []

    def report(summary: Summary) -> None:
        reported.append(summary)
        print(json.dumps(as_json(summary)) if arguments.json else as_text(summary), flush=True)  # noqa: T201 - a command line

    try:
        Demo(DemoOptions(arguments.mails, arguments.requests, arguments.keep)).run(report)
    except (BrokerNodeError, ProcessFailedError, SmtpRefusedError) as error:
        print(error, file=sys.stderr)  # noqa: T201 - likewise
        return 3
    except KeyboardInterrupt:
        if not (arguments.keep and reported):
            print("interrupted; nothing is left running", file=sys.stderr)  # noqa: T201 - likewise
            return 130
    return 0 if all(summary.adds_up for summary in reported) else 1


def _directory(text: str) -> Path:
    path = Path(text)
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is no directory")
    if not next(path.rglob("*.eml"), None):
        raise argparse.ArgumentTypeError(f"no *.eml below {text}")
    return path


def _count(text: str) -> int:
    if not text.isdigit() or int(text) > 100_000:
        raise argparse.ArgumentTypeError(f"{text} is no number from 0 to 100000")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
