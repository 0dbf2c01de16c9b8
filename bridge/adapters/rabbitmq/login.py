"""One login to the broker and out again, to learn whether it works."""

from __future__ import annotations

import pika

from bridge.adapters.rabbitmq.errors import translate


def try_login(url: str, *, timeout_seconds: float = 10.0) -> None:
    """
    Return after a complete AMQP handshake: connected, logged in, virtual host open.

    Raises:
        BrokerUnavailable: Nobody answers, or not in time.
        BrokerAccessRefused: Login or virtual host are refused.
    """
    parameters = pika.URLParameters(url)
    parameters.socket_timeout = timeout_seconds
    parameters.stack_timeout = timeout_seconds
    parameters.blocked_connection_timeout = timeout_seconds
    try:
        pika.BlockingConnection(parameters).close()
    except Exception as error:
        raise translate(error) from error
