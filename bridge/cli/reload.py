"""What a running worker does at SIGHUP: it reads its configuration again, takes up what it can, and tells the rest."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import TYPE_CHECKING

from bridge.config import ConfigurationInvalid
from bridge.config.changes import changes
from bridge.telemetry.logging import configure, logger

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.config import Loaded, Settings


class Reloads:
    """Reads the configuration at each SIGHUP; what is changed and sound goes into `renewed`."""

    def __init__(self, load: Callable[[], Loaded[Settings]], settings: Settings) -> None:
        self._load, self._settings = load, settings
        self._asked = asyncio.Event()
        self._outlives_terminal = False
        self.renewed: asyncio.Queue[Settings] = asyncio.Queue()

    def listen(self) -> None:
        """
        Take SIGHUP for a wish to reload from now on, on the running loop.

        Also where it was ignored so far, as `nohup` does: the worker must outlive its terminal, and does, for a
        terminal that goes costs no more than a reload.
        """
        self._outlives_terminal = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._told)

    def _told(self) -> None:
        if not self._outlives_terminal and sys.stdin is not None and sys.stdin.isatty():
            os.kill(os.getpid(), signal.SIGTERM)  # the terminal is gone: nobody is there to be told anything
        else:
            self._asked.set()

    async def run(self) -> None:
        """Reload whenever told to."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            try:
                loaded = await asyncio.to_thread(self._load)
            except ConfigurationInvalid as error:
                problems = [f"{problem.key}: {problem.what}" for problem in error.problems]
                logger().error("configuration.reload_refused", problems=problems)
                continue
            self._take(loaded.settings)

    def _take(self, settings: Settings) -> None:
        found = changes(self._settings, settings)
        configure(style=settings.log.format, level=settings.log.level)
        told = logger().warning if found.needs_restart else logger().info
        told("configuration.reloaded", changed=list(found.applied), needs_restart=list(found.needs_restart))
        if not found.needs_restart:
            self._settings = settings  # otherwise it is told again at each reload, until there was a restart
        self.renewed.put_nowait(settings)
