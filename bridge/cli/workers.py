"""`bridge ingest`, `egress` and `run`."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from bridge.cli.exits import Exit
from bridge.cli.loading import sparing
from bridge.cli.options import load_settings

if TYPE_CHECKING:
    import asyncio
    from pathlib import Path

GRACE_SECONDS = 25.0


def work(config: Path | None, *, ingest: bool, egress: bool, grace_seconds: float) -> int:
    """Run the workers of this process until they are told to stop; return the exit code."""
    read = partial(load_settings, config)
    with sparing():
        settings = read().settings

        # --help must not wait for these, nor a wrong configuration for its answer.
        from bridge.bootstrap import process  # noqa: PLC0415
        from bridge.cli.reload import Reloads  # noqa: PLC0415
        from bridge.cli.run import run_until_stopped  # noqa: PLC0415
        from bridge.errors import ConfigurationError  # noqa: PLC0415
        from bridge.telemetry.failures import describe  # noqa: PLC0415
        from bridge.telemetry.logging import configure, logger  # noqa: PLC0415

        process.load(ingest=ingest, egress=egress)

    configure(style=settings.log.format, level=settings.log.level)

    async def workers(stop: asyncio.Event) -> int:
        reloads = Reloads(read, settings)
        reloads.listen()
        try:
            return await process.run_workers(
                settings, ingest=ingest, egress=egress, stop=stop, renewed=reloads.renewed, beside=[reloads.run]
            )
        except ConfigurationError:
            raise  # told to the person who started it
        except Exception as error:  # noqa: BLE001 - a bug; mail stays where it was, whoever supervises restarts us
            logger().error("process.failed", **describe(error))
            return Exit.BUG

    return run_until_stopped(workers, grace_seconds=grace_seconds)
