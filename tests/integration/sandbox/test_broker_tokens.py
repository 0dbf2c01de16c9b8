"""RabbitMQ takes tokens of the sandbox's Entra, verified by its discovery, with the rights of an app's roles."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pika
import pytest
from pika.exceptions import ChannelClosedByBroker, ProbableAccessDeniedError, ProbableAuthenticationError

from tests.support.callers import EXCHANGE, app_token, new_app
from tests.support.certificates import TestAuthority
from tests.support.secured_broker import SecuredBroker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.sandbox import SandboxProcess

_URI = "api://rabbitmq"
_ROLES = [f"bridge.{right}:%2F/orders.*" for right in ("configure", "write", "read")]


@pytest.fixture(scope="module", params=[1, 2], ids=["version 1", "version 2"])
def resource(request: pytest.FixtureRequest, sandbox: SandboxProcess) -> Iterator[dict[str, Any]]:
    given = {"app_id_uri": _URI, "app_roles": _ROLES, "token_version": request.param}
    made: dict[str, Any] = sandbox.admin("/resources", method="POST", body=given)
    yield made
    sandbox.admin(f"/resources/{made['client_id']}", method="DELETE")


@pytest.fixture(scope="module")
def broker(
    resource: dict[str, Any], sandbox: SandboxProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SecuredBroker]:
    directory: Path = tmp_path_factory.mktemp("broker")
    instead = {
        "auth_oauth2.issuer": f"{sandbox.info['authority_url']}/v2.0",
        "auth_oauth2.https.cacertfile": sandbox.ca_file,
        "auth_oauth2.resource_server_id": resource["client_id"] if resource["token_version"] == 2 else _URI,
    }
    authority = TestAuthority(directory)
    with SecuredBroker.prepared(directory / "node", authority, "oauth", instead=instead) as running:
        yield running


def _connected(broker: SecuredBroker, token: str) -> pika.BlockingConnection:
    parameters = pika.ConnectionParameters(
        host="localhost",
        port=int(urlsplit(broker.url()).port or 0),
        credentials=pika.PlainCredentials("", token),
        ssl_options=pika.SSLOptions(ssl.create_default_context(cafile=str(broker.authority.file)), "localhost"),
    )
    return pika.BlockingConnection(parameters)


def test_an_app_does_what_its_roles_allow_and_nothing_else(sandbox: SandboxProcess, broker: SecuredBroker) -> None:
    token = app_token(sandbox, new_app(sandbox, roles=[*_ROLES, "full_access_as_app"]), _URI)

    with _connected(broker, token) as connection:
        channel = connection.channel()
        channel.queue_declare("orders.new", durable=True)
        channel.basic_publish("", "orders.new", b"one")
        with pytest.raises(ChannelClosedByBroker) as refused:
            connection.channel().queue_declare("others")
    assert refused.value.reply_code == 403


def test_a_token_without_roles_or_for_something_else_opens_nothing(
    sandbox: SandboxProcess, broker: SecuredBroker
) -> None:
    app = new_app(sandbox, roles=[*_ROLES, "full_access_as_app"])

    with pytest.raises(ProbableAccessDeniedError):
        _connected(broker, app_token(sandbox, new_app(sandbox), _URI))
    with pytest.raises(ProbableAuthenticationError):
        _connected(broker, app_token(sandbox, app, EXCHANGE))
