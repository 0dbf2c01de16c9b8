"""What the adapter needs to know; filled from the configuration by whoever puts the bridge together."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pika

from bridge.adapters.rabbitmq.tls import tls_context
from bridge.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bridge.ports.tokens import AccessToken, TokenSource


@dataclass(frozen=True, slots=True)
class RabbitSettings:
    """How to reach the broker and how long to wait for it. Times are in seconds."""

    urls: tuple[str, ...] = field(repr=False)
    """`amqp://` or `amqps://`, with user and password: one, or the nodes of a cluster, tried in turn."""
    read_urls: Callable[[], Sequence[str]] | None = field(default=None, repr=False)
    """Gives the urls as they are now, for each round of attempts; it may block."""
    ca_file: Path | None = None
    """Certificates to trust instead of the system's. Verification is never turned off."""
    client_certificate_file: Path | None = None
    client_key_file: Path | None = None
    """The certificate's key; None where it is in the same file."""
    read_client_key_passphrase: Callable[[], str] | None = field(default=None, repr=False)
    """Gives the passphrase of that key, for each connection; it may block."""
    login_by_certificate: bool = False
    """SASL EXTERNAL: the client certificate is the login, and the urls need no password."""
    tokens: TokenSource | None = field(default=None, repr=False)
    """Where the tokens come from that stand for a password; they are renewed on the open connection."""
    heartbeat_seconds: int = 10
    """A connection silent for about twice this is given up, on either side."""
    connect_timeout_seconds: float = 10.0
    """Longest wait for one node, from the name look-up to the open connection."""
    answer_timeout_seconds: float = 15.0
    """Longest wait for the answer to a command other than a publish."""
    confirm_timeout_seconds: float = 30.0
    """Longest wait for a confirm; a quorum queue without its majority never answers (and says nothing)."""
    first_wait_seconds: float = 0.25
    """Wait after the first round of failed connection attempts; doubles up to `longest_wait_seconds`."""
    longest_wait_seconds: float = 10.0
    max_message_bytes: int = 16 * 1024 * 1024
    """The broker's `max_message_size`."""
    max_outstanding_bytes: int = 64 * 1024 * 1024
    """`wait_ready` waits while this much is unconfirmed; beyond twice as much publishes are refused."""
    name: str = "bridge"
    """What the broker's own tools call the connections; host, process id and purpose are added."""

    def __post_init__(self) -> None:
        """Refuse what could never work."""
        if not self.urls:
            raise ConfigurationError("rabbitmq.urls: at least one url is needed")
        for url in self.urls:
            if urlsplit(url).scheme not in {"amqp", "amqps"}:
                raise ConfigurationError("rabbitmq.urls: a url begins with amqp:// or amqps://")

    def only(self, url: str) -> RabbitSettings:
        """Return the same for one node alone."""
        return replace(self, urls=(url,), read_urls=None)

    def current_urls(self) -> tuple[str, ...]:
        """Return the urls as they are now; never none. It may block."""
        return tuple(self.read_urls()) or self.urls if self.read_urls is not None else self.urls

    @property
    def largest_body_bytes(self) -> int:
        """
        The largest body that is published: all that the broker takes, which counts the body alone.

        With a margin a request that came by the broker could neither wait there nor be kept in `mail.dead`.
        """
        return self.max_message_bytes


def node_of(url: str) -> str:
    """Return host and port of a url, which may be told, unlike the rest."""
    parts = urlsplit(url)
    return f"{parts.hostname or 'localhost'}:{parts.port or (5671 if parts.scheme == 'amqps' else 5672)}"


def parameters(
    settings: RabbitSettings, url: str, purpose: str, token: AccessToken | None = None
) -> pika.URLParameters:
    """
    Return pika's parameters for one attempt; reads certificate files, so it may block.

    Raises:
        ConfigurationError: The url or a certificate file cannot be used.
    """
    try:
        result = pika.URLParameters(url)
    except (ValueError, TypeError):
        # The text of the error may quote the url, and with it the password.
        raise ConfigurationError(f"rabbitmq.urls: {node_of(url)} is not a url that can be used") from None
    result.heartbeat = settings.heartbeat_seconds
    result.socket_timeout = settings.connect_timeout_seconds
    result.stack_timeout = settings.connect_timeout_seconds
    result.connection_attempts = 1
    # Being blocked is no failure: outstanding publishes go on to their own timeouts.
    result.blocked_connection_timeout = None
    result.client_properties = {"connection_name": f"{settings.name}-{purpose} {socket.gethostname()}:{os.getpid()}"}
    if urlsplit(url).scheme == "amqps":
        # Made anew for each connection, so that a renewed certificate is used without a restart.
        context = tls_context(
            ca_file=settings.ca_file,
            certificate_file=settings.client_certificate_file,
            key_file=settings.client_key_file,
            read_passphrase=settings.read_client_key_passphrase,
        )
        result.ssl_options = pika.SSLOptions(context, server_hostname=result.host)
    if settings.login_by_certificate:
        result.credentials = pika.credentials.ExternalCredentials()
    elif token is not None:
        # RabbitMQ takes the name from the token; the one beside it only has to be there.
        result.credentials = pika.PlainCredentials("token", token.value)
    return result
