"""How the adapter understands its settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.adapters.rabbitmq.settings import RabbitSettings, node_of, parameters
from bridge.errors import ConfigurationError


def test_a_password_is_in_no_repr() -> None:
    """Settings end up in logs and tracebacks."""
    assert "hunter2" not in repr(RabbitSettings(("amqp://bridge:hunter2@broker/",)))


@pytest.mark.parametrize(
    ("url", "node"),
    [
        ("amqp://u:p@broker", "broker:5672"),
        ("amqps://u:p@broker/v", "broker:5671"),
        ("amqp://u:p@[::1]:7/", "::1:7"),
        ("amqp://u:p%40@10.0.0.1:5673/%2F", "10.0.0.1:5673"),
    ],
)
def test_a_node_is_told_by_host_and_port(url: str, node: str) -> None:
    """And by nothing else of the url."""
    assert node_of(url) == node


@pytest.mark.parametrize("urls", [(), ("http://broker/",), ("broker",)])
def test_urls_that_are_none_are_refused(urls: tuple[str, ...]) -> None:
    """At the start, by the key's name."""
    with pytest.raises(ConfigurationError, match=r"rabbitmq\.urls"):
        RabbitSettings(urls)


def test_a_url_that_cannot_be_parsed_is_refused_without_its_password() -> None:
    """pika's own error quotes it."""
    settings = RabbitSettings(("amqp://bridge:hunter2@broker/?heartbeat=x",))

    with pytest.raises(ConfigurationError) as caught:
        parameters(settings, settings.urls[0], "publish")

    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_heartbeats_and_limits_are_ours_whatever_the_url_says() -> None:
    """A heartbeat of 0 in a url would never notice a dead node."""
    settings = RabbitSettings(("amqp://broker/?heartbeat=0&connection_attempts=9",), heartbeat_seconds=7)

    made = parameters(settings, settings.urls[0], "publish")

    assert (made.heartbeat, made.connection_attempts, made.blocked_connection_timeout) == (7, 1, None)


def test_a_ca_file_that_is_missing_is_told(tmp_path: Path) -> None:
    """Instead of trusting the system's."""
    settings = RabbitSettings(("amqps://broker/",), ca_file=tmp_path / "none.pem")

    with pytest.raises(ConfigurationError, match=r"rabbitmq\.ca_file cannot be read"):
        parameters(settings, settings.urls[0], "publish")


def test_a_password_with_special_characters_is_understood() -> None:
    """Percent-encoded, as in every url."""
    settings = RabbitSettings(("amqp://br%2Fidge:p%40ss%3A%25@broker/my%2Fhost",))

    made = parameters(settings, settings.urls[0], "publish")

    assert (made.credentials.username, made.credentials.password) == ("br/idge", "p@ss:%")  # type: ignore[union-attr]
    assert made.virtual_host == "my/host"
