"""The commands. Everything heavy is imported inside them: `bridge --help` must not wait for it."""


def main() -> None:
    """Run the command line to its exit."""
    from bridge.cli.app import app  # noqa: PLC0415 - importing bridge.cli alone costs nothing
    from bridge.cli.exits import run_guarded  # noqa: PLC0415

    run_guarded(app)
