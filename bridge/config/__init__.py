"""The configuration: one TOML file, the environment on top, secrets from files. Read once, by the command line."""

from bridge.config.entra import DEFAULT_APP, EntraAppSettings, EntraSettings
from bridge.config.load import Loaded, load
from bridge.config.problems import ConfigurationInvalid, Problem
from bridge.config.rabbitmq import RabbitMqSettings
from bridge.config.settings import (
    ClientSettings,
    EgressSettings,
    EwsSettings,
    HttpSettings,
    IngestSettings,
    LogSettings,
    MailboxSettings,
    Settings,
    TopologySettings,
)

__all__ = [
    "DEFAULT_APP",
    "ClientSettings",
    "ConfigurationInvalid",
    "EgressSettings",
    "EntraAppSettings",
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
