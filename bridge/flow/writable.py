"""A broker that takes no publishes at the moment is waited for, a little."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from bridge.errors import BrokerBlocked, BrokerUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.ports.broker import Publisher

_TROUBLE_AFTER_SECONDS: Final = 1.0


async def until_writable(publisher: Publisher, over: Callable[[], bool]) -> None:
    """
    Return once the broker takes a publish, or nobody wants to publish any more.

    Raises:
        BrokerBlocked: It has taken none for a while, for an alarm.
        BrokerUnavailable: Likewise, for any other reason.
    """
    waiting = asyncio.ensure_future(publisher.wait_ready())
    try:
        while not waiting.done() and not over():
            await asyncio.wait({waiting}, timeout=_TROUBLE_AFTER_SECONDS)
            if not waiting.done() and (trouble := publisher.trouble) is not None:
                raise BrokerBlocked if trouble == BrokerBlocked.code else BrokerUnavailable(trouble)
        if waiting.done():
            await waiting
    finally:
        waiting.cancel()
