"""The configuration: one TOML file, the environment on top, secrets from files. Read once, by the command line."""

from bridge.config.load import Loaded, load
from bridge.config.problems import ConfigurationInvalid, Problem
from bridge.config.settings import (
    ClientSettings,
    EgressSettings,
    EntraSettings,
    EwsSettings,
    HttpSettings,
    IngestSettings,
    LogSettings,
    MailboxSettings,
    RabbitMqSettings,
    Settings,
    TopologySettings,
)

__all__ = [
    "ClientSettings",
    "ConfigurationInvalid",
    "EgressSettings",
    "EntraSettings",
    "EwsSettings",
    "HttpSettings",
    "IngestSettings",
    "Loaded",
    "LogSettings",
    "MailboxSettings",
    "Problem",
    "RabbitMqSettings",
    "Settings",
    "TopologySettings",
    "load",
]
