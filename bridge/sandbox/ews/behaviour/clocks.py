"""How far the sandbox's clocks are from the true time, as the settings say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.clock import ENTRA, EXCHANGE

if TYPE_CHECKING:
    from bridge.sandbox.ews.behaviour.book import BehaviourSettings


def set_clocks(book: BehaviourSettings) -> None:
    """Have both clocks go as the settings say, now and after each change."""

    def take() -> None:
        EXCHANGE.ahead_seconds = book.of_all("exchange_clock_ahead_seconds")
        ENTRA.ahead_seconds = book.of_all("entra_clock_ahead_seconds")

    take()
    book.listen(take)
