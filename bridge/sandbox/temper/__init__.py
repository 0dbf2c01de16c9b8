"""
Exchange's temper: its limits and moods, each a setting that the admin API changes while the sandbox runs.

    book = TemperBook(path)                     # the settings, kept in a file
    temper = Temper(book, store)                # the rules, over the store and a clock
    EwsService(store, ..., temper=temper); MailFlow(store, tenant, ..., temper=temper)
"""

from bridge.sandbox.temper.book import SettingError, TemperBook
from bridge.sandbox.temper.rules import Temper

__all__ = ["SettingError", "Temper", "TemperBook"]
