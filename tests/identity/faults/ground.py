"""Where faults are planted: one sandbox, one broker node, and a configuration with which nothing is wrong."""

from __future__ import annotations

import base64
import json
import socket
import uuid
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from bridge.demo.broker_node import BrokerNode
from bridge.wire import definitions
from bridge.wire.topology import topology
from tests.support.app_certificate import AppCertificate
from tests.support.certificates import TestAuthority
from tests.support.sandbox import SandboxProcess
from tests.support.soap import EwsClient

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

MAILBOX, CLOSED = "dispatch@example.org", "ceo@example.org"
VHOST, EMPTY_VHOST = "bridge", "empty"
PASSWORD = "n0ne-of-yours"
EXCHANGE = "api://AzureADTokenExchange"
SUBJECT = "system:serviceaccount:mail:bridge"
_PORTS = ("tls", "management")


@dataclass
class Ground:
    """The parts, and what plants change in them."""

    directory: Path
    sandbox: SandboxProcess
    node: BrokerNode
    ports: Mapping[str, int]
    authority: TestAuthority
    certificate: AppCertificate = field(default_factory=AppCertificate)
    app: dict[str, Any] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def prepared(cls, directory: Path) -> Iterator[Ground]:
        """Yield it, with everything started and nothing wrong."""
        authority, ports = TestAuthority(directory, "broker"), dict(zip(_PORTS, _free_ports(len(_PORTS)), strict=True))
        certificate = authority.issue("node")
        configuration = "\n".join([
            f"listeners.ssl.1 = 127.0.0.1:{ports['tls']}",
            f"ssl_options.cacertfile = {authority.file}",
            f"ssl_options.certfile = {certificate}",
            f"ssl_options.keyfile = {certificate}",
            f"management.tcp.port = {ports['management']}",
            "management.tcp.ip = 127.0.0.1",
        ])  # fmt: skip
        node = BrokerNode(directory / "node", configuration=configuration, plugins=["rabbitmq_management"])
        sandbox = SandboxProcess(directory / "sandbox", mailboxes=[MAILBOX, CLOSED], on_premises=True)
        with sandbox, node:
            ground = cls(directory, sandbox, node, ports, authority)
            ground.lay()
            yield ground

    def lay(self) -> None:
        """Make the app, limited to its mailbox, and on the broker the topology and a user with the rights it needs."""
        self.app = self.sandbox.admin(
            "/apps", method="POST", body={"name": "bridge", "roles": [], "mailboxes": [MAILBOX]}
        )
        self.register(self.certificate)
        body = {"issuer": self.sandbox.info["workload_issuer_url"], "subject": SUBJECT, "audience": EXCHANGE}
        self.of_app("federated", method="POST", body=body)
        self.file("secret", self.app["client_secret"])
        for vhost in (VHOST, EMPTY_VHOST):
            document = definitions.export(topology(["dispatch"]), vhost=vhost, with_users=True)
            if vhost == EMPTY_VHOST:
                document |= {"exchanges": [], "queues": [], "bindings": []}
            self.broker("definitions", method="POST", body=document)
            self.grant(self.node.username, vhost, ".*", ".*", ".*")
        self.user("bridge-run")

    # The configuration

    @property
    def environment(self) -> dict[str, str]:
        """The configuration with which nothing is wrong, as variables."""
        info = self.sandbox.info
        return {
            "BRIDGE_ENTRA__TENANT_ID": info["tenant_id"],
            "BRIDGE_ENTRA__CLIENT_ID": self.app["client_id"],
            "BRIDGE_ENTRA__CLIENT_SECRET_FILE": str(self.directory / "secret"),
            "BRIDGE_ENTRA__AUTHORITY_URL": info["authority_url"].rpartition("/")[0],
            "BRIDGE_ENTRA__GRAPH_URL": info["graph_url"],
            "BRIDGE_ENTRA__CA_FILE": self.sandbox.ca_file,
            "BRIDGE_EWS__URL": info["ews_url"],
            "BRIDGE_EWS__CA_FILE": self.sandbox.ca_file,
            "BRIDGE_MAILBOXES__0__ALIAS": "dispatch",
            "BRIDGE_MAILBOXES__0__ADDRESS": MAILBOX,
            "BRIDGE_MAILBOXES__0__MUST_NOT_REACH": CLOSED,
            "BRIDGE_RABBITMQ__URLS": self.amqp("bridge-run"),
        }

    def file(self, name: str, content: str | bytes, *, mode: int = 0o600) -> Path:
        """Write a file that nobody else may read, unless `mode` says otherwise."""
        path = self.directory / name
        path.unlink(missing_ok=True)
        path.touch(mode=0o600)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        path.chmod(mode)
        return path

    # The sandbox

    def of_app(self, what: str = "", *, method: str = "GET", body: object | None = None) -> Any:  # noqa: ANN401 - JSON
        """Ask the sandbox about the app, or change it."""
        path = f"/apps/{self.app['client_id']}" + (f"/{what}" if what else "")
        return self.sandbox.admin(path, method=method, body=body)

    def register(self, certificate: AppCertificate) -> None:
        """Upload the public half of a certificate to the app."""
        self.of_app("certificates", method="POST", body={"pem": certificate.pem})

    def soap(self) -> EwsClient:
        """Return a client for the mailbox that knows nothing of the bridge."""
        return EwsClient(self.sandbox, MAILBOX)

    def deliver(self, line: bytes = b"text\r\n", *, times: int = 1) -> None:
        """Have a mail wait in the inbox."""
        header = b"From: a@example.net\r\nTo: b@example.org\r\nSubject: s\r\n\r\n"
        self.sandbox.deliver(MAILBOX, header + line * times)

    def move_mail(self, folder: str) -> None:
        """Move the one mail of the inbox, as a person does."""
        [mail] = self.sandbox.mails(MAILBOX)
        self.soap().call(
            f"<m:MoveItem><m:ToFolderId>{folder}</m:ToFolderId>"
            f'<m:ItemIds><t:ItemId Id="{mail["item_id"]}"/></m:ItemIds></m:MoveItem>'
        )

    def request(self) -> None:
        """Have a request for a send wait."""
        request_id = f"r-{uuid.uuid4()}"
        to = [{"name": "", "address": "crew@example.net"}]
        body = {"request_id": request_id, "to": to, "subject": "s", "text": "t"}
        properties = {"delivery_mode": 2, "message_id": request_id, "type": "mail.outbound.v1"}
        message = {"properties": properties, "routing_key": "dispatch", "payload_encoding": "string"}
        self.broker(
            f"exchanges/{VHOST}/mail.outbound/publish", method="POST", body={**message, "payload": json.dumps(body)}
        )

    def purge(self, *queues: str) -> None:
        """Empty queues."""
        for queue in queues:
            self.broker(f"queues/{VHOST}/{quote(queue)}/contents", method="DELETE")

    def forget_sends(self) -> None:
        """Take the ledger away, as in a mailbox that nothing was ever sent from."""
        for folder in self.sandbox.folders(MAILBOX):
            if folder["name"] == "Bridge Sends":
                self.soap().call(
                    f'<m:DeleteFolder DeleteType="HardDelete"><m:FolderIds><t:FolderId Id="{folder["id"]}"/>'
                    "</m:FolderIds></m:DeleteFolder>"
                )

    def empty(self, folder: str) -> None:
        """Delete what is in a folder, for good."""
        for mail in self.sandbox.mails(MAILBOX, folder):
            self.soap().call(
                f'<m:DeleteItem DeleteType="HardDelete"><m:ItemIds><t:ItemId Id="{mail["item_id"]}"/></m:ItemIds>'
                "</m:DeleteItem>"
            )

    @contextmanager
    def app_with(self, **changes: object) -> Iterator[None]:
        """Have the app otherwise until the block ends."""
        before = self.of_app()
        self.of_app(method="PATCH", body=changes)
        try:
            yield
        finally:
            self.of_app(method="PATCH", body={key: before[key] for key in changes})

    @contextmanager
    def fault(self, kind: str, *, match: Mapping[str, object], **parameters: object) -> Iterator[None]:
        """Have a fault strike until the block ends."""
        self.sandbox.faults({"match": dict(match), "fault": {"kind": kind, **parameters}})
        try:
            yield
        finally:
            self.sandbox.faults()

    # The broker

    def amqp(self, user: str, *, vhost: str = VHOST, password: str = PASSWORD) -> str:
        """Return the address of a virtual host for a user."""
        return self.node.vhost_url(vhost, username=user, password=password)

    @property
    def administrator(self) -> str:
        """The same for the administrator."""
        return self.node.vhost_url(VHOST)

    def amqps(self, *, host: str = "127.0.0.1", port: int | None = None) -> str:
        """Return the address of the listener for TLS."""
        return f"amqps://bridge-run:{PASSWORD}@{host}:{port or self.ports['tls']}/{VHOST}"

    @property
    def management_url(self) -> str:
        """Where the management API is."""
        return f"http://127.0.0.1:{self.ports['management']}"

    def user(self, name: str, tags: str = "") -> None:
        """Make a user with the password of all, or change it."""
        self.broker(f"users/{name}", method="PUT", body={"password": PASSWORD, "tags": tags})

    def grant(self, user: str, vhost: str, configure: str, write: str, read: str) -> None:
        """Give a user rights in a virtual host."""
        body = {"configure": configure, "write": write, "read": read}
        self.broker(f"permissions/{vhost}/{user}", method="PUT", body=body)

    @contextmanager
    def user_with(self, configure: str, write: str, read: str, *, tags: str = "") -> Iterator[str]:
        """Have a user with these rights; yields its address."""
        self.user("planted", tags)
        self.grant("planted", VHOST, configure, write, read)
        try:
            yield self.amqp("planted")
        finally:
            self.broker("users/planted", method="DELETE")

    def broker(self, path: str, *, method: str = "GET", body: object | None = None) -> Any:  # noqa: ANN401 - JSON
        """Ask the broker's management API, or change something through it."""
        connection = HTTPConnection("127.0.0.1", self.ports["management"], timeout=30)
        login = base64.b64encode(f"{self.node.username}:{self.node.password}".encode()).decode()
        headers = {"Authorization": f"Basic {login}", "Content-Type": "application/json"}
        try:
            connection.request(method, f"/api/{path}", None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        assert 200 <= answer.status < 300, f"{method} {path}: HTTP {answer.status} {content!r}"
        return json.loads(content) if content else None

    @contextmanager
    def queue_instead(self, name: str, arguments: Mapping[str, object]) -> Iterator[None]:
        """Have a queue with other arguments until the block ends."""
        where = f"queues/{VHOST}/{quote(name)}"
        before = self.broker(where)["arguments"]
        bindings = [one for one in self.broker(f"{where}/bindings") if one["source"]]
        self._redeclare(where, arguments)
        try:
            yield
        finally:
            self._redeclare(where, before)
            for one in bindings:
                body = {"routing_key": one["routing_key"]}
                self.broker(f"bindings/{VHOST}/e/{quote(one['source'])}/q/{quote(name)}", method="POST", body=body)

    def _redeclare(self, where: str, arguments: Mapping[str, object]) -> None:
        self.broker(where, method="DELETE")
        self.broker(where, method="PUT", body={"durable": True, "arguments": dict(arguments)})

    @contextmanager
    def message_in(self, queue: str) -> Iterator[None]:
        """Have a message wait in a queue until the block ends."""
        body = {"properties": {"delivery_mode": 2}, "routing_key": queue, "payload": "{}", "payload_encoding": "string"}
        self.broker(f"exchanges/{VHOST}/amq.default/publish", method="POST", body=body)
        try:
            yield
        finally:
            self.broker(f"queues/{VHOST}/{quote(queue)}/contents", method="DELETE")


def closed_port() -> int:
    """Return a port on which nobody listens."""
    return _free_ports(1)[0]


def _free_ports(count: int) -> list[int]:
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [int(one.getsockname()[1]) for one in taken]
    finally:
        for one in taken:
            one.close()
