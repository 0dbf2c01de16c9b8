"""One blocking connection with limits on every wait, and what pika's exceptions mean."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pika
from pika import exceptions as amqp

from bridge.errors import (
    BridgeError,
    BrokerAccessRefused,
    BrokerUnavailable,
    ConfigurationError,
    PublishRefused,
    PublishUnconfirmed,
    PublishUnroutable,
)
from bridge.ports.elapsed import elapsed_seconds
from bridge.wire.broker_replies import meaning_of_reply, reply_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from bridge.ports.tokens import AccessToken, TokenSource

_log = logging.getLogger(__name__)

_CONNECT_SECONDS = 10.0
_HEARTBEAT_SECONDS = 30
_LOOK_SECONDS = 20.0

_NO_AMQP = "what answers there does not speak AMQP; to a port with TLS the url is amqps://"
_NO_TLS = "the TLS handshake failed; to a port without TLS the url is amqp://"
_CODES = {_NO_AMQP: "broker_protocol_mismatch", _NO_TLS: "tls_failed"}
_MEANINGS: tuple[tuple[type[BaseException], type[BridgeError], str], ...] = (
    (amqp.UnroutableError, PublishUnroutable, "no queue is bound for it"),
    (amqp.NackError, PublishRefused, "the broker answered nack; a queue may be full"),
    (amqp.ProbableAuthenticationError, BrokerAccessRefused, "the broker refuses the login"),
    (amqp.ProbableAccessDeniedError, BrokerAccessRefused, "the broker refuses the virtual host"),
    (amqp.IncompatibleProtocolError, BrokerUnavailable, _NO_AMQP),
    (ssl.SSLCertVerificationError, BrokerAccessRefused, "the broker's certificate is not trusted"),
    (ssl.SSLError, BrokerUnavailable, _NO_TLS),
    (TimeoutError, PublishUnconfirmed, "no answer in time; whether the broker has it is not known"),
    (amqp.AMQPError, BrokerUnavailable, "the connection failed"),
    (OSError, BrokerUnavailable, "the connection failed"),
)


@dataclass(frozen=True, slots=True)
class SignIn:
    """How a client signs in, where it is not by user and password of the url."""

    tls: Callable[[], ssl.SSLContext] | None = None
    """Makes the context of each connection to `amqps://`, with a certificate to show; the CA file is not used then."""
    by_certificate: bool = False
    """The certificate is the login (SASL EXTERNAL)."""
    tokens: TokenSource | None = field(default=None, repr=False)
    """Where tokens come from that are the login; a newer one is put on the open connection."""


def connect(url: str, ca_file: Path | None, sign_in: SignIn | None = None) -> pika.BlockingConnection:
    """
    Return an open connection.

    Raises:
        BrokerUnavailable: Nobody answers, or not in time.
        BrokerAccessRefused: Login, virtual host or certificate are refused.
        ConfigurationError: The url or the CA file cannot be used.
        TokenUnavailable: There is no token to sign in with.
    """
    sign_in = sign_in or SignIn()
    try:
        parameters = pika.URLParameters(url)
    except (ValueError, TypeError):
        raise ConfigurationError("the url of the broker cannot be used") from None  # its text may hold the password
    parameters.heartbeat = _HEARTBEAT_SECONDS
    parameters.socket_timeout = parameters.stack_timeout = _CONNECT_SECONDS
    parameters.blocked_connection_timeout = _CONNECT_SECONDS
    parameters.client_properties = {"connection_name": f"bridge-client {socket.gethostname()}:{os.getpid()}"}
    if urlsplit(url).scheme == "amqps":
        try:
            context = sign_in.tls() if sign_in.tls is not None else ssl.create_default_context(cafile=ca_file)
        except OSError as error:
            raise ConfigurationError("the CA file cannot be read") from error
        parameters.ssl_options = pika.SSLOptions(context, server_hostname=parameters.host)
    token = sign_in.tokens.token() if sign_in.tokens is not None else None
    if sign_in.by_certificate:
        parameters.credentials = pika.credentials.ExternalCredentials()
    elif token is not None:
        # RabbitMQ takes the name from the token; the one beside it only has to be there.
        parameters.credentials = pika.PlainCredentials("token", token.value)
    try:
        with translated():
            connection = pika.BlockingConnection(parameters)
        if token is not None and sign_in.tokens is not None:
            _keep_signed_in(connection, sign_in.tokens, token)
    except BrokerUnavailable as error:
        # Which one, of several, and whether it was the one that was meant; the url also holds the password.
        raise BrokerUnavailable(
            f"{parameters.host}:{parameters.port}: {error.detail}", code=error.code
        ) from error.__cause__
    return connection


def _keep_signed_in(connection: pika.BlockingConnection, tokens: TokenSource, token: AccessToken) -> None:
    """Put newer tokens on the connection whenever it is waited on; what it may do ends with its token."""

    def look(current: AccessToken) -> None:
        if not connection.is_open:
            return
        try:
            newer = tokens.token()
            if newer.value != current.value:
                connection._impl.update_secret(newer.value, "renewed", lambda _: None)  # noqa: SLF001 - no wait
        except (BridgeError, amqp.AMQPError) as error:
            _log.warning("the broker's token is not renewed (%s)", getattr(error, "code", type(error).__name__))
            newer = current
        again(newer)

    def again(current: AccessToken) -> None:
        left = current.ends_at - elapsed_seconds()
        wait = min(_LOOK_SECONDS, max(left / 10, 1.0))
        connection._impl.ioloop.call_later(wait, lambda: look(current))  # noqa: SLF001 - as `limited` does

    again(token)


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Let only errors of the bridge out, with pika's as their cause."""
    try:
        yield
    except (amqp.AMQPError, OSError) as error:
        raise _meaning(error) from error


@contextlib.contextmanager
def limited(connection: pika.BlockingConnection, seconds: float) -> Iterator[None]:
    """
    Raise TimeoutError out of a call of pika that takes longer; the connection is of no use afterwards.

    A quorum queue without its majority answers a publish never, and says nothing; pika would wait for ever.
    """

    def give_up() -> None:
        raise TimeoutError

    # The blocking connection's own timers are not looked at while it waits for a confirm; those beneath it are.
    timer = connection._impl.ioloop.call_later(seconds, give_up)  # noqa: SLF001
    try:
        yield
    finally:
        connection._impl.ioloop.remove_timeout(timer)  # noqa: SLF001


def close(connection: pika.BlockingConnection) -> None:
    """Say goodbye; a broker that does not answer is left without."""
    with contextlib.suppress(amqp.AMQPError, OSError):
        if connection.is_open:
            with limited(connection, 3):
                connection.close()


def _meaning(error: BaseException) -> BridgeError:
    if isinstance(error, amqp.ChannelClosedByBroker | amqp.ConnectionClosedByBroker):
        return meaning_of_reply(int(error.reply_code), str(error.reply_text))
    guessed = isinstance(error, amqp.ProbableAuthenticationError | amqp.ProbableAccessDeniedError)
    if guessed and (reply := reply_in(str(error.args[0]) if error.args else "")) is not None:
        return meaning_of_reply(*reply)
    for vendor, ours, text in _MEANINGS:
        if isinstance(error, vendor):
            return ours(text, code=_CODES.get(text))
    return BrokerUnavailable(type(error).__name__)
