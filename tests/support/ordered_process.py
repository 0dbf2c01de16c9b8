"""A process beside a test that takes orders by lines of standard input, and answers each with a line of JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from tests.support.waits import line_of

if TYPE_CHECKING:
    from types import TracebackType


_ROOT: Final = Path(__file__).parents[2]


class OrderedProcess:
    """The handle that tests hold. It ends with its context, or with whoever started it."""

    def __init__(self, module: str, *arguments: str) -> None:
        """Run a module as a program with these arguments; `ready` is what it says first."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
        )
        self.ready = self._read()

    def order(self, text: str) -> dict[str, int]:
        """Give an order and return the answer."""
        assert self._process.stdin is not None
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()
        return self._read()

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _read(self) -> dict[str, int]:
        line = line_of(self._process.stdout, "the process to do as it was told")
        assert line, "the process ended"
        answer: dict[str, int] = json.loads(line)
        return answer
