"""
A sandbox as a process of its own: started, killed, restarted on the same directory. Needs nothing but Python.

    with SandboxProcess(tmp_path / "sandbox", mailboxes=["dispatch@example.org"]) as sandbox:
        sandbox.deliver("dispatch@example.org", mime)          # over SMTP
        sandbox.mails("dispatch@example.org")                  # over the admin API
        sandbox.kill(); sandbox.start()                        # SIGKILL, and back on the same ports with the same mails
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import smtplib
import ssl
import subprocess
import sys
import time
from contextlib import AbstractContextManager, contextmanager
from http import HTTPStatus
from http.client import HTTPConnection, HTTPSConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from types import TracebackType

_START_SECONDS = 30.0
_STOP_SECONDS = 15.0


def stuffed(mime: bytes) -> bytes:
    """
    Return a mail as it is sent after DATA, its end included.

    A line is what CRLF ends (RFC 5321 4.5.2). smtplib also doubles dots after bare line feeds, and a server that keeps
    every byte then keeps those too.
    """
    whole = mime if mime.endswith(b"\r\n") or not mime else mime + b"\r\n"
    doubled = whole.replace(b"\r\n.", b"\r\n..")
    return (b"." if doubled.startswith(b".") else b"") + doubled + b".\r\n"


class SandboxFailedError(AssertionError):
    """The sandbox did not start, or did not stop; the message holds what it said on standard error."""


class AdminRefusedError(AssertionError):
    """The admin API, or Entra, answered with something else than 200."""

    def __init__(self, status: int, answer: dict[str, Any]) -> None:
        """Hold the HTTP status and the JSON."""
        super().__init__(f"HTTP {status}: {answer}")
        self.status = status
        self.answer = answer


class SandboxProcess(AbstractContextManager["SandboxProcess"]):
    """One sandbox. `info` is what sandbox.json says, once it is ready."""

    def __init__(
        self,
        directory: Path,
        *,
        mailboxes: Sequence[str] = ("dispatch@example.org",),
        on_premises: bool = False,
        realistic: bool = False,
        options: Sequence[str] = (),
        command: Sequence[str] = (sys.executable, "-m", "bridge.sandbox"),
    ) -> None:
        """
        Prepare a sandbox in `directory`; `options` go to its command line as they are.

        `BRIDGE_SANDBOX_REALISTIC=1` in the environment makes each one `realistic`.
        """
        self.directory = directory
        self.info: dict[str, Any] = {}
        self._arguments = [*command, "--dir", str(directory), "--stop-with-stdin"]
        for address in mailboxes:
            self._arguments += ["--mailbox", address]
        if on_premises:
            self._arguments.append("--on-premises")
        if realistic:
            self._arguments.append("--realistic")
        self._arguments += options
        self._process: subprocess.Popen[str] | None = None
        self._errors = directory.with_name(directory.name + ".stderr")

    def __enter__(self) -> SandboxProcess:
        """Start, and wait until it is ready."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it in whatever state it is."""
        self.kill()

    @property
    def pid(self) -> int:
        """The process id of the running sandbox."""
        if self._process is None:
            raise SandboxFailedError("the sandbox is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    @property
    def stderr(self) -> str:
        """All that it said on standard error so far."""
        return self._errors.read_text() if self._errors.exists() else ""

    def start(self) -> dict[str, Any]:
        """
        Start the sandbox and return what its line on standard output says, once it is ready.

        Raises:
            SandboxFailedError: It ended, or said nothing in time.
        """
        if self.running:
            raise SandboxFailedError("the sandbox is running already")
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        # Proxies of the surroundings must not come between the tests and loopback.
        environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        with self._errors.open("a") as errors:
            # Its standard input is a pipe that nobody writes to: when this process dies, of whatever, it ends with it.
            self._process = subprocess.Popen(  # noqa: S603 - the caller's own command
                self._arguments,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=environment,
            )
        line = self._first_line(self._process)
        self.info = json.loads(line)
        return self.info

    def kill(self) -> None:
        """End it by SIGKILL, as a crash would; no complaint if it has ended already."""
        if self._process is not None:
            self._process.kill()
            self._finish()

    def stop(self) -> int:
        """
        End it by SIGTERM and return its exit code.

        Raises:
            SandboxFailedError: It does not end in time; it is killed then.
        """
        if self._process is None:
            raise SandboxFailedError("the sandbox is not running")
        self._process.terminate()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.kill()
            raise SandboxFailedError(f"the sandbox ignores SIGTERM: {self.stderr}") from None
        return self._finish()

    def freeze(self) -> None:
        """Stop it in its tracks (SIGSTOP): connections stay, nothing answers."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def restart(self) -> dict[str, Any]:
        """Kill it and start it again on the same directory."""
        self.kill()
        return self.start()

    # What it is told, and what it tells.

    def deliver(self, recipient: str | Sequence[str], mime: bytes, *, sender: str = "sender@elsewhere.example") -> None:
        """Deliver a mail by SMTP; it is kept when this returns. A mail that ends without CRLF gets one."""
        recipients = [recipient] if isinstance(recipient, str) else list(recipient)
        host, _, port = self.info["smtp"].rpartition(":")
        with smtplib.SMTP(host, int(port), local_hostname="localhost", timeout=60) as client:
            client.ehlo()
            for code, answer in (client.mail(sender), *map(client.rcpt, recipients), client.docmd("DATA")):
                if not 200 <= code < 400:
                    raise smtplib.SMTPResponseException(code, answer)
            client.send(stuffed(mime))
            code, answer = client.getreply()
        if code != 250:
            raise smtplib.SMTPResponseException(code, answer)

    def admin(self, path: str, *, method: str = "GET", body: object | None = None) -> Any:  # noqa: ANN401 - JSON
        """
        Return what the admin API answers.

        Raises:
            AdminRefusedError: It refuses.
        """
        return json.loads(self.admin_bytes(path, method=method, body=body))

    def admin_bytes(self, path: str, *, method: str = "GET", body: object | None = None) -> bytes:
        """Return the bytes that the admin API answers; refusals as in `admin`. Bytes are a mail, sent as it is."""
        connection = HTTPConnection(self.info["admin_url"].removeprefix("http://"), timeout=60)
        try:
            sent = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            kind = {"Content-Type": "message/rfc822"} if isinstance(body, bytes) else {}
            connection.request(method, path, sent, kind)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status != HTTPStatus.OK:
            raise AdminRefusedError(answer.status, json.loads(content))
        return content

    def put(self, address: str, mime: bytes) -> str:
        """Put a mail into the inbox by the admin API, byte for byte, nothing added; returns its id."""
        answer = self.admin(f"/mailboxes/{quote(address)}/mails", method="POST", body=mime)
        return str(answer["item_id"])

    def folders(self, address: str) -> list[dict[str, Any]]:
        """Return a mailbox's folders."""
        found: list[dict[str, Any]] = self.admin(f"/mailboxes/{quote(address)}/folders")
        return found

    def mails(self, address: str, folder: str = "inbox", *, limit: int = 100_000) -> list[dict[str, Any]]:
        """Return a folder's mails, oldest first; `folder` is an id or a distinguished name."""
        where = f"/mailboxes/{quote(address)}/folders/{quote(folder, safe='')}/mails?limit={limit}"
        found: list[dict[str, Any]] = self.admin(where)["mails"]
        return found

    def mime(self, address: str, item_id: str, folder: str = "inbox") -> bytes:
        """Return a mail's bytes."""
        where = f"/mailboxes/{quote(address)}/folders/{quote(folder, safe='')}/mails/{quote(item_id, safe='')}/mime"
        return self.admin_bytes(where)

    def sends(self) -> list[dict[str, Any]]:
        """Return every send that Exchange accepted, in order."""
        found: list[dict[str, Any]] = self.admin("/sends")
        return found

    def calls(self) -> dict[str, dict[str, int]]:
        """Return the figures of each operation."""
        found: dict[str, dict[str, int]] = self.admin("/calls")
        return found

    def faults(self, *rules: dict[str, Any]) -> None:
        """Put these rules in the place of all others; none ends all faults."""
        self.admin("/faults", method="PUT", body=list(rules))

    def add_fault(self, rule: dict[str, Any]) -> None:
        """Put one rule, which has a name, beside the others."""
        self.admin("/faults", method="POST", body=rule)

    def remove_fault(self, name: str) -> None:
        """Take the rules of a name away; the others count on."""
        self.admin(f"/faults?name={quote(name, safe='')}", method="DELETE")

    def fault_report(self) -> list[dict[str, Any]]:
        """Return the rules with how often each fired."""
        found: list[dict[str, Any]] = self.admin("/faults")
        return found

    @contextmanager
    def settings(self, **changes: object) -> Iterator[dict[str, Any]]:
        """Have these settings of `PUT /settings` until the block ends; yields all that are in force."""
        before = self.admin("/settings")
        changed: dict[str, Any] = self.admin("/settings", method="PUT", body=changes)
        try:
            yield changed
        finally:
            back = {key: before[key] for key in changes}
            if isinstance(own := changes.get("mailboxes"), dict):
                back["mailboxes"] = {**{address: {} for address in own}, **before["mailboxes"]}
            self.admin("/settings", method="PUT", body=back)

    def add_mailbox(self, address: str) -> dict[str, str]:
        """Make a mailbox while it runs; returns its entry of sandbox.json, with the name and password on-premises."""
        added: dict[str, str] = self.admin("/mailboxes", method="POST", body={"address": address})
        return added

    @property
    def ca_file(self) -> str:
        """The PEM file of the CA that clients must trust."""
        return str(self.info["ca_file"])

    def token(self) -> str:
        """Return a bearer token for EWS that Entra issues now, for every mailbox that the app may open."""
        form = {
            "grant_type": "client_credentials",
            "client_id": self.info["client_id"],
            "client_secret": self.info["client_secret"],
            "scope": "https://outlook.office365.com/.default",
        }
        where = urlsplit(f"{self.info['authority_url']}/oauth2/v2.0/token")
        context = ssl.create_default_context(cafile=self.ca_file)
        connection = HTTPSConnection(where.netloc, timeout=60, context=context)
        try:
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            connection.request("POST", where.path, urlencode(form), headers)
            answer = connection.getresponse()
            content = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != HTTPStatus.OK:
            raise AdminRefusedError(answer.status, content)
        return str(content["access_token"])

    def _first_line(self, process: subprocess.Popen[str]) -> str:
        output = process.stdout
        if output is None:
            raise SandboxFailedError("no standard output")
        until = time.monotonic() + _START_SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(output, selectors.EVENT_READ)
            while time.monotonic() < until:
                if selector.select(timeout=until - time.monotonic()):
                    line = output.readline()
                    if line:
                        return line
                    code = self._finish()
                    raise SandboxFailedError(f"the sandbox ended with exit code {code}: {self.stderr}")
        self.kill()
        raise SandboxFailedError(f"the sandbox was not ready in {_START_SECONDS:.0f} s: {self.stderr}")

    def _finish(self) -> int:
        process, self._process = self._process, None
        if process is None:
            return 0
        code = process.wait(_STOP_SECONDS)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        return code
