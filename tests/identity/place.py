"""Where identity is tested: a sandbox, a virtual host of the run's broker, and a file for each configuration."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.bootstrap.broker import rabbit_settings
from bridge.cli.broker import wanted_topology
from bridge.config import TopologySettings, load
from tests.support.fork_server import ForkedWorker
from tests.support.rights import with_least_rights
from tests.support.workers import Worker, bridge

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tests.support.app_certificate import AppCertificate
    from tests.support.fork_server import ForkServer
    from tests.support.sandbox import SandboxProcess

Table = dict[str, object]
_EXCHANGE = "api://AzureADTokenExchange"


@dataclass
class Place:
    """What the tests of one file share; mailboxes and apps are made as they are needed."""

    directory: Path
    sandbox: SandboxProcess
    amqp_url: str
    environment: dict[str, str] = field(default_factory=dict)
    fork_server: ForkServer | None = None
    """Starts workers that need not load the bridge; without it each loads it."""

    def mailbox(self, alias: str) -> str:
        """Make a mailbox without limits on what it may send, and return its address."""
        return self.user(alias)["address"]

    def user(self, alias: str) -> dict[str, str]:
        """Make such a mailbox, and return its address, username and password."""
        user = self.sandbox.add_mailbox(f"{alias}@example.org")
        address = user["address"]
        own = self.sandbox.admin("/settings")["mailboxes"]
        own[address] = {"sends_per_minute": None}
        self.sandbox.admin("/settings", method="PUT", body={"mailboxes": own})
        return user

    def app(self, name: str, *addresses: str, **more: object) -> dict[str, Any]:
        """Make an app that Exchange lets into these mailboxes, as RBAC for Applications does."""
        body = {"name": name, "roles": [], "mailboxes": list(addresses), **more}
        made: dict[str, Any] = self.sandbox.admin("/apps", method="POST", body=body)
        return made

    def secret_ids(self, app: Mapping[str, Any]) -> list[str]:
        """Return the ids of an app's secrets."""
        [found] = [one for one in self.sandbox.admin("/apps") if one["client_id"] == app["client_id"]]
        return [secret["secret_id"] for secret in found["secrets"]]

    def register(self, app: Mapping[str, Any], certificate: AppCertificate) -> None:
        """Upload the public half of a certificate to an app."""
        body = {"pem": certificate.pem}
        self.sandbox.admin(f"/apps/{app['client_id']}/certificates", method="POST", body=body)

    def unregister(self, app: Mapping[str, Any], certificate: AppCertificate) -> None:
        """Take a certificate off an app."""
        where = f"/apps/{app['client_id']}/certificates/{certificate.thumbprint}"
        self.sandbox.admin(where, method="DELETE")

    def trust(self, app: Mapping[str, Any], subject: str) -> None:
        """Have an app take the tokens that the sandbox's cluster issues to a service account."""
        body = {"issuer": self.sandbox.info["workload_issuer_url"], "subject": subject, "audience": _EXCHANGE}
        self.sandbox.admin(f"/apps/{app['client_id']}/federated", method="POST", body=body)

    def workload_token(self, subject: str, *, lifetime: int = 3600) -> str:
        """Return a token that the sandbox's cluster issues to a service account."""
        body = {"subject": subject, "audience": _EXCHANGE, "lifetime": lifetime}
        return str(self.sandbox.admin("/workload-token", method="POST", body=body)["token"])

    def managed_identity(self, kind: str, name: str, address: str) -> ManagedIdentity:
        """Make an identity of the machine, `system` or `user` assigned, that Exchange lets into a mailbox."""
        app = self.app(name, address, managed_identity=kind)
        info = self.sandbox.info
        return ManagedIdentity(
            app["client_id"], info["metadata_url"], info["identity_endpoint"], info["identity_header"]
        )

    def entra(self, app: Mapping[str, Any], **credential: object) -> Table:
        """Return the section `[entra]` for an app, with a credential."""
        tenant, authority = self.sandbox.info["tenant_id"], str(self.sandbox.info["authority_url"])
        return {
            "tenant_id": tenant,
            "client_id": app["client_id"],
            "authority_url": authority.removesuffix(tenant),
            "ca_file": self.sandbox.ca_file,
            **credential,
        }

    def file(self, name: str, content: str | bytes) -> Path:
        """Write a file that nobody else may read, as a secret is kept."""
        path = self.directory / name
        path.touch(mode=0o600)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def config(
        self,
        name: str,
        mailboxes: Sequence[Table],
        *,
        entra: Table | None = None,
        ews: Table | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        """Write a configuration, apply the topology that it needs, and return the environment of its workers."""
        whole = self.written(name, mailboxes, entra=entra, ews=ews, environment=environment)
        self.topology(whole)
        return whole

    def written(
        self,
        name: str,
        mailboxes: Sequence[Table],
        *,
        entra: Table | None = None,
        ews: Table | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        """Write a configuration, and return the environment of commands that use it."""
        at = {"url": self.sandbox.info["ews_url"], "ca_file": self.sandbox.ca_file}
        tables = {"ews": at if ews is None else ews, "ingest": {"poll_interval_seconds": 0.2}}
        if entra is not None:
            tables = {"entra": entra, **tables}
        unlimited = {"send_rate_per_minute": "unlimited", "recipients_per_day": "unlimited"}
        path = self.file(f"{name}.toml", toml(tables, [unlimited | one for one in mailboxes]))
        return {
            **self.environment,
            "BRIDGE_CONFIG": str(path),
            "BRIDGE_RABBITMQ__URLS": self.amqp_url,
            "BRIDGE_EGRESS__SELF_TEST": "false",  # it makes a call that is refused, and refused calls are counted here
            **(environment or {}),
        }

    def topology(self, environment: Mapping[str, str]) -> None:
        """Declare what the mailboxes of a configuration need on the broker, as `bridge topology apply` does."""
        settings = load(None, environment, TopologySettings).settings
        own = rabbit_settings(settings.rabbitmq, name="tests", app=settings.broker_app)
        patient = replace(own, connect_timeout_seconds=60, answer_timeout_seconds=60)  # a machine may be busy
        found = asyncio.run(RabbitTopology(patient).apply(wanted_topology(settings)))
        assert {finding.state for finding in found} <= {"declared", "present"}, found

    def bridge(self, *arguments: str, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return bridge(*arguments, environment=environment)

    def worker(self, command: str, environment: Mapping[str, str]) -> Worker:
        """Return a worker that is not started yet, with no more rights at the broker than it needs."""
        if environment["BRIDGE_RABBITMQ__URLS"] == self.amqp_url:  # others sign in otherwise
            environment = with_least_rights(command, environment)
        name = environment["BRIDGE_CONFIG"].rpartition("/")[2].removesuffix(".toml")
        log = self.directory / f"{name}-{command}.log"
        log.touch()  # it is looked at before the worker has written to it
        if self.fork_server is None:
            return Worker(command, environment, log)
        return ForkedWorker(self.fork_server, command, environment, log)

    def waiting(self, address: str, folder: str = "inbox") -> int:
        """Return how many mails a folder holds."""
        return int(self.sandbox.admin(f"/mailboxes/{address}/folders/{folder}/mails?limit=1")["total"])

    def errors(self) -> dict[str, int]:
        """Return how many calls to Entra and Exchange failed so far, by operation, where any did."""
        return {name: figures["errors"] for name, figures in self.sandbox.calls().items() if figures["errors"]}

    def token_requests(self) -> int:
        """Return how often a token was asked for so far."""
        return self.sandbox.calls().get("token", {"count": 0})["count"]


@dataclass(frozen=True)
class ManagedIdentity:
    """How a process finds the identity of the machine or service that it runs on: by its environment."""

    client_id: str
    metadata_url: str
    endpoint: str
    header: str

    @property
    def of_a_machine(self) -> dict[str, str]:
        """The endpoint of virtual machines, which is at a fixed address unless this names another."""
        return {"AZURE_POD_IDENTITY_AUTHORITY_HOST": self.metadata_url}

    @property
    def of_a_service(self) -> dict[str, str]:
        """The endpoint of App Service, Functions and Container Apps."""
        return {"IDENTITY_ENDPOINT": self.endpoint, "IDENTITY_HEADER": self.header}


def toml(tables: Mapping[str, object], mailboxes: Sequence[Table] = ()) -> str:
    """Return TOML text; a table in a table becomes `[outer.inner]`."""
    parts = []
    for name, table in tables.items():
        assert isinstance(table, dict)
        inner = {f"{name}.{key}": value for key, value in table.items() if isinstance(value, dict)}
        parts += [_section(f"[{name}]", {key: value for key, value in table.items() if not isinstance(value, dict)})]
        parts += [_section(f"[{key}]", value) for key, value in inner.items()]
    parts += [_section("[[mailboxes]]", mailbox) for mailbox in mailboxes]
    return "\n\n".join(parts) + "\n"


def _section(head: str, values: Mapping[str, object]) -> str:
    # What JSON writes of texts, numbers, truths and lists is TOML as well.
    return "\n".join([head, *(f"{key} = {json.dumps(value, default=str)}" for key, value in values.items())])
