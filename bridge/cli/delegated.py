"""`bridge sandbox` and `bridge demo`: each has a parser of its own, every argument goes to it as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def run_sandbox(arguments: Sequence[str]) -> int:
    """Run the sandbox; return its exit code."""
    try:
        from bridge.sandbox.__main__ import main  # noqa: PLC0415 - an extra of the package
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("bridge"):
            raise
        from bridge.cli.exits import Exit, say  # noqa: PLC0415

        say(
            f"the sandbox needs {error.name}, which workers do without; "
            "in a checkout of the bridge: pip install --require-hashes -r deploy/requirements-sandbox.txt"
        )
        return Exit.USAGE
    return main(list(arguments))


def run_demo(arguments: Sequence[str]) -> int:
    """Run the demo; return its exit code."""
    from bridge.demo.__main__ import main  # noqa: PLC0415 - --help must not wait for it

    return main(list(arguments))
