"""What every step of an examination knows, and how calls under way are brought to their end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from bridge.config.settings import ExchangeSettings

Role = Literal["run", "ingest", "egress"]
_T = TypeVar("_T")
_LONGEST_END_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Examination:
    """Which configuration is examined, and what for."""

    settings: ExchangeSettings
    """All of it; without the broker's section the broker is left out."""
    role: Role = "run"
    """The worker whose login at the broker this is."""
    send_test: str | None = None
    """Where a test mail goes from each mailbox that is sent from; None for no mail at all."""
    begin: Callable[[str, str], None] = field(default=lambda _step, _tried: None)
    """Is told what is tried next, before it is tried."""


async def to_its_end(call: Coroutine[Any, Any, _T]) -> _T:
    """
    Return what a call returns; where this task is cancelled, only once the call has ended.

    A call to Exchange runs on in its thread whatever becomes of who waits for it. What it makes can be taken away
    again only afterwards.
    """
    task = asyncio.ensure_future(call)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task}, timeout=_LONGEST_END_SECONDS)
        raise
