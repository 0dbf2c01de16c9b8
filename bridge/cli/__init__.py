"""The commands. Everything heavy is imported inside them: `bridge --help` must not wait for it."""

import sys


def main() -> None:
    """Run the command line to its exit."""
    from bridge.cli.exits import run_guarded  # noqa: PLC0415 - importing bridge.cli alone costs nothing

    if sys.argv[1:2] == ["sandbox"]:
        # It stays for days and reads its own arguments: it shall not hold what reads those of the other commands.
        from bridge.cli.delegated import run_sandbox  # noqa: PLC0415

        run_guarded(lambda: sys.exit(run_sandbox(sys.argv[2:])))
    from bridge.cli.app import app  # noqa: PLC0415

    run_guarded(app)
