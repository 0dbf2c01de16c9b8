"""
How Exchange behaves: its limits and delays, each a setting that the admin API changes while the sandbox runs.

    book = BehaviourSettings(path)                     # the settings, kept in a file
    behaviour = ServerBehaviour(book, store)                # the rules, over the store and a clock
    EwsService(store, ..., behaviour=behaviour); MailFlow(store, tenant, ..., behaviour=behaviour)
"""

from bridge.sandbox.ews.behaviour.book import BehaviourSettings, SettingError
from bridge.sandbox.ews.behaviour.rules import ServerBehaviour

__all__ = ["BehaviourSettings", "ServerBehaviour", "SettingError"]
