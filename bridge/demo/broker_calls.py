"""What a running broker node is told: by `rabbitmqctl`, and by the shorter way into its Erlang machine."""

from __future__ import annotations

import os
import subprocess
import time
from typing import TYPE_CHECKING, Final

from bridge.demo.broker_files import BrokerNodeError, erlang_program

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from bridge.demo.broker_files import NodeFiles

_EVALUATION_SECONDS: Final = 60.0


def control(files: NodeFiles, *arguments: str, timeout_seconds: float) -> str:
    """
    Return what `rabbitmqctl` printed.

    Raises:
        BrokerNodeError: It failed, or took longer; the text is what it said.
    """
    command: list[str | Path] = [files.scripts / "rabbitmqctl", "--quiet", *arguments]
    code, said = _run(files, command, f"rabbitmqctl {arguments[0]}", timeout_seconds)
    if code != 0:
        msg = f"rabbitmqctl {arguments[0]} ended with {code}: {said.strip()}"
        raise BrokerNodeError(msg)
    return said


def evaluate(files: NodeFiles, call: str, *arguments: str) -> None:
    """
    Return once the node has evaluated an Erlang call with these texts for its `{}`, and it came to `ok`.

    As rabbitmqctl would do it, which starts an Erlang machine of its own for each command: half a second of CPU.

    Raises:
        BrokerNodeError: It came to something else, or did not come to an end.
    """
    # In hexadecimal nothing needs quoting.
    texts = [f'binary:decode_hex(<<"{argument.encode().hex()}">>)' for argument in arguments]
    command = [erlang_program("erl_call"), "-sname", files.node_name, "-h", _caller(), "-e"]
    _, said = _run(files, command, call, _EVALUATION_SECONDS, given=call.format(*texts) + ".\n")
    if said.split() != ["{ok,", "ok}"]:
        msg = f"the broker node did not obey {call}: {said.strip()}"
        raise BrokerNodeError(msg)


def _caller() -> str:
    # All would be of the same name, and a node talks to one of a name at a time.
    return f"caller-{os.getpid()}-{time.monotonic_ns()}"


def _run(
    files: NodeFiles, command: Sequence[str | Path], what: str, timeout_seconds: float, *, given: str = ""
) -> tuple[int, str]:
    try:
        done = subprocess.run(  # noqa: S603 - a script found in one of our fixed directories, or a part of Erlang
            command,
            env=files.environment(),
            cwd=files.directory,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        msg = f"{what}: the broker node did not come to an end with it within {timeout_seconds:g} s"
        raise BrokerNodeError(msg) from error
    return done.returncode, done.stdout
