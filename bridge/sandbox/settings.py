"""What the sandbox is started with, and the files that it leaves for others to read."""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.files import write_atomically
from bridge.sandbox.hosts import SERVICE_PATH, WORKLOAD_PATH
from bridge.sandbox.tenant import is_address

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.sandbox.tenant import Tenant

DEFAULT_MAILBOX: Final = "dispatch@example.org"
HOST: Final = "127.0.0.1"
REALISTIC_ENVIRONMENT: Final = "BRIDGE_SANDBOX_REALISTIC"
"""`1` is `--realistic`, for the sandboxes of a whole test suite."""
PORTS: Final = ("entra", "ews", "smtp", "admin", "metadata", "bridge_http")
"""The ports that a directory keeps; the last is not served here, but suggested to a bridge in bridge.toml."""


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """The options of `bridge sandbox`. A port of None is the one that the directory keeps, or a free one."""

    directory: Path
    mailboxes: tuple[str, ...] = ()
    entra_port: int | None = None
    ews_port: int | None = None
    smtp_port: int | None = None
    admin_port: int | None = None
    metadata_port: int | None = None
    on_premises: bool = False
    realistic: bool = False
    """Whether settings that nobody chose are as unkind as Exchange is (`ews.behaviour.book.REALISTIC`)."""
    stop_with_stdin: bool = False
    """Whether the end of standard input stops it, as a signal does: whoever holds the other end cannot leave it."""

    def wanted_ports(self) -> dict[str, int]:
        """Return the ports that were asked for by number."""
        asked = {
            "entra": self.entra_port, "ews": self.ews_port, "smtp": self.smtp_port, "admin": self.admin_port,
            "metadata": self.metadata_port,
        }  # fmt: skip
        return {name: port for name, port in asked.items() if port is not None}


def parse(argv: Sequence[str] | None) -> SandboxOptions:
    """Return the options of a command line; says what is wrong and exits with 2 otherwise."""
    parser = argparse.ArgumentParser(
        prog="bridge sandbox", description="An Exchange and Entra to develop against, on loopback."
    )
    parser.add_argument("--dir", type=Path, required=True, help="where certificates, keys, ports and mails are kept")
    parser.add_argument(
        "--mailbox",
        action="append",
        default=[],
        type=_address,
        metavar="ADDRESS",
        help=f"repeatable; default {DEFAULT_MAILBOX}",
    )
    for name in ("entra", "ews", "smtp", "admin", "metadata"):
        parser.add_argument(f"--{name}-port", type=_port, metavar="N", help="default: the kept one, or a free one")
    parser.add_argument("--on-premises", action="store_true", help="sign in by name and password, too (basic, NTLM)")
    parser.add_argument(
        "--realistic", action="store_true", default=os.environ.get(REALISTIC_ENVIRONMENT) == "1",
        help=f"delays, throttling and other habits of Exchange; {REALISTIC_ENVIRONMENT}=1 as well",
    )  # fmt: skip
    parser.add_argument("--listen", "--host", type=_loopback, metavar=HOST, help="there is no other choice")
    parser.add_argument(
        "--stop-with-stdin", action="store_true", help="end with standard input, so with the program that holds it"
    )
    given = parser.parse_args(argv)
    return SandboxOptions(
        directory=given.dir,
        mailboxes=tuple(given.mailbox),
        entra_port=given.entra_port,
        ews_port=given.ews_port,
        smtp_port=given.smtp_port,
        admin_port=given.admin_port,
        metadata_port=given.metadata_port,
        on_premises=given.on_premises,
        realistic=given.realistic,
        stop_with_stdin=given.stop_with_stdin,
    )


def _address(text: str) -> str:
    if not is_address(text):
        message = f"not a mail address: {text!r}"
        raise argparse.ArgumentTypeError(message)
    return text


def _loopback(text: str) -> str:
    if text not in {HOST, "localhost"}:
        message = (
            f"the sandbox listens on {HOST} alone: whoever reaches it reads every mail and secret in it. "
            "In a container, let the clients share its network (docs/sandbox.md, In a container)"
        )
        raise argparse.ArgumentTypeError(message)
    return text


def _port(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 65_535:
        message = "a port is a number from 1 to 65535"
        raise argparse.ArgumentTypeError(message)
    return number


@dataclass(frozen=True, slots=True)
class Announcement:
    """What scripts need to know of a running sandbox: `DIR/sandbox.json`, and the line on standard output."""

    directory: Path
    tenant: Tenant
    ca_file: Path
    on_premises: bool

    def content(self) -> dict[str, Any]:
        """Return the keys that other people's scripts rely on."""
        ports, app = self.tenant.ports, self.tenant.apps[0]
        content: dict[str, Any] = {
            "ews_url": f"https://{HOST}:{ports['ews']}/EWS/Exchange.asmx",
            "authority_url": f"https://{HOST}:{ports['entra']}/{self.tenant.tenant_id}",
            "tenant_id": self.tenant.tenant_id,
            "client_id": app.client_id,
            "client_secret": app.current_secret_value(),
            "ca_file": str(self.ca_file),
            "smtp": f"{HOST}:{ports['smtp']}",
            "admin_url": f"http://{HOST}:{ports['admin']}",
            "graph_url": f"https://{HOST}:{ports['entra']}",
            "workload_issuer_url": f"https://{HOST}:{ports['entra']}{WORKLOAD_PATH}",
            "metadata_url": f"http://{HOST}:{ports['metadata']}",
            "identity_endpoint": f"http://{HOST}:{ports['metadata']}{SERVICE_PATH}",
            "identity_header": self.tenant.identity_header,
            "mailboxes": [
                {"address": user.address, "alias": user.alias, "username": user.username, "password": user.password}
                for user in self.tenant.users
            ],
        }
        if self.on_premises and self.tenant.service_account is not None:
            account = self.tenant.service_account
            content["service_account"] = {"username": account.username, "password": account.password}
        return content

    def line(self) -> str:
        """Return the announcement as one line of JSON."""
        return json.dumps(self.content(), separators=(",", ":"))

    def write(self) -> None:
        """Leave sandbox.json, the secret and bridge.toml in the directory, as they are true now."""
        secret_file = self.directory / "client_secret"
        content = self.content()
        write_atomically(secret_file, content["client_secret"].encode())
        write_atomically(self.directory / "bridge.toml", self._bridge_toml(content, secret_file).encode())
        write_atomically(self.directory / "sandbox.json", self.line().encode() + b"\n")

    def _bridge_toml(self, content: Mapping[str, Any], secret_file: Path) -> str:
        ca_file = content["ca_file"]
        sections = [
            "# Written anew at each start of the sandbox. Set BRIDGE_RABBITMQ__URLS, run `bridge topology apply`, go.",
            _section("[entra]", {
                "tenant_id": content["tenant_id"], "client_id": content["client_id"],
                "client_secret_file": str(secret_file), "authority_url": content["authority_url"], "ca_file": ca_file,
            }),
            _section("[ews]", {"url": content["ews_url"], "ca_file": ca_file}),
            *(
                _section("[[mailboxes]]", {"alias": mailbox["alias"], "address": mailbox["address"]})
                for mailbox in content["mailboxes"]
            ),
            _section("[http]", {"listen": f"{HOST}:{self.tenant.ports['bridge_http']}"}),
        ]  # fmt: skip
        return "\n\n".join(sections) + "\n"


def _section(head: str, values: Mapping[str, str]) -> str:
    # JSON's strings are TOML's basic strings, for all that these values can hold.
    return "\n".join([head, *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items())])
