"""Exit codes, and how an error looks to the person who started the command. `docs/commands.md` has the same table."""

from __future__ import annotations

import sys
from enum import IntEnum
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable


class Exit(IntEnum):
    """What a command's exit code means."""

    OK = 0
    """Done, and the answer is yes; a worker stopped as asked, with nothing left in flight."""
    NO = 1
    """Done, and the answer is no: a finding of `check`, a difference, a request that was not sent."""
    USAGE = 2
    """Wrong command line or configuration; nothing was tried."""
    OUTSIDE = 3
    """Exchange, Entra or RabbitMQ did not answer, or refused."""
    TIMEOUT = 4
    """The answer that was waited for did not come in time."""
    UNFINISHED = 5
    """A worker stopped before everything in flight was finished: the limit was over, or it was told twice."""
    WARNING = 6
    """`check`: nothing is wrong, and a person should look at something."""
    BUG = 70
    """An error that nobody foresaw."""
    INTERRUPTED = 130
    """Ctrl-C in a command that is no worker."""


def say(text: str) -> None:
    """Write a line for people: standard error, so that standard output stays what scripts read."""
    sys.stderr.write(text + "\n")


def answer(text: str) -> None:
    """Write what the command was asked for, on standard output; at once, also into a pipe."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def run_guarded(command: Callable[[], object]) -> NoReturn:
    """Run a command line to its exit; an error is one line with its code, what it is and what to do."""
    try:
        command()
    except KeyboardInterrupt:
        say("interrupted")
        sys.exit(Exit.INTERRUPTED)
    except BrokenPipeError:
        # The reader (head, less) has seen enough. Standard output is replaced so that the interpreter, which flushes
        # it at the end, does not complain about the same pipe.
        sys.stdout = open("/dev/null", "w", encoding="utf-8")  # noqa: PTH123, SIM115 - lives until the process ends
        sys.exit(Exit.OK)
    except Exception as error:  # noqa: BLE001 - the last frame of the program: told by kind and place, never by text
        sys.exit(_print_error(error))
    sys.exit(Exit.OK)


def _print_error(error: Exception) -> Exit:
    from bridge.errors import BridgeError, ConfigurationError, MessageError  # noqa: PLC0415 - only on failure
    from bridge.telemetry.failures import describe  # noqa: PLC0415
    from bridge.telemetry.reasons import hint_for, words_for  # noqa: PLC0415

    if isinstance(error, ConfigurationError):
        lines = error.detail.splitlines()
        say(f"configuration: {len(lines)} problem{'s' if len(lines) != 1 else ''}")
        for line in lines:
            say(f"  {line}")
        return Exit.USAGE
    if isinstance(error, BridgeError):
        detail = f" ({error.detail})" if error.detail and error.detail != error.code else ""
        if isinstance(error, MessageError):
            say(f"{error.code}: {words_for(error.code)}{detail}")
            return Exit.USAGE
        hint = hint_for(error.code)
        say(f"{error.code}: {words_for(error.code)}{detail}{': ' + hint if hint else ''}")
        return Exit.OUTSIDE
    told = describe(error)
    say(f"unexpected_error: {told['error']}: this is a bug, please report it with this line; at {told['at']}")
    return Exit.BUG
