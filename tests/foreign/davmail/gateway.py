"""DavMail, Debian's package, as an IMAP and SMTP gateway before a sandbox that is on-premises."""

from __future__ import annotations

import imaplib
import smtplib
import socket
import subprocess
import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from tests.support.sandbox import SandboxProcess

JAR = "/usr/share/davmail/davmail.jar"
_START_SECONDS = 60.0
_STORE_PASSWORD = "sandbox"


class GatewayFailedError(AssertionError):
    """DavMail did not start; the message holds the end of its log."""


class DavMail(AbstractContextManager["DavMail"]):
    """One DavMail, in EWS mode, with settings, trust and log in a folder of its own."""

    def __init__(self, folder: Path, sandbox: SandboxProcess) -> None:
        """Prepare it; nothing runs yet."""
        self._folder = folder
        self._sandbox = sandbox
        self._process: subprocess.Popen[bytes] | None = None
        self.imap_port, self.smtp_port = _free_ports(2)

    def __enter__(self) -> DavMail:
        """Start it, and wait until it answers."""
        self._folder.mkdir(parents=True, exist_ok=True)
        trust = self._folder / "trust.p12"
        subprocess.run(
            ["keytool", "-importcert", "-noprompt", "-alias", "sandbox", "-storetype", "PKCS12",
             "-file", self._sandbox.info["ca_file"], "-keystore", trust, "-storepass", _STORE_PASSWORD],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        settings = self._folder / "davmail.properties"
        settings.write_text(self._settings())
        with (self._folder / "output").open("wb") as output:
            self._process = subprocess.Popen(
                ["java", "-Xmx256M", f"-Djavax.net.ssl.trustStore={trust}", "-Djavax.net.ssl.trustStoreType=PKCS12",
                 f"-Djavax.net.ssl.trustStorePassword={_STORE_PASSWORD}", f"-Duser.home={self._folder}",
                 "--add-exports", "java.base/sun.net.www.protocol.https=ALL-UNNAMED",
                 "-jar", JAR, "-server", str(settings)],
                stdout=output, stderr=output, cwd=self._folder,
            )  # fmt: skip
        self._wait(self.imap_port)
        self._wait(self.smtp_port)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(30)

    @property
    def log(self) -> str:
        """What it logged."""
        path = self._folder / "davmail.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def imap(self, user: dict[str, str]) -> imaplib.IMAP4:
        """Return an IMAP session of a user of the sandbox."""
        client = imaplib.IMAP4("127.0.0.1", self.imap_port, timeout=60)
        client.login(user["username"], user["password"])
        return client

    def smtp(self, user: dict[str, str]) -> smtplib.SMTP:
        """Return an SMTP session of a user of the sandbox."""
        client = smtplib.SMTP("127.0.0.1", self.smtp_port, local_hostname="localhost", timeout=60)
        client.login(user["username"], user["password"])
        return client

    def _settings(self) -> str:
        values = {
            "davmail.server": "true",
            "davmail.mode": "EWS",
            "davmail.url": self._sandbox.info["ews_url"],
            "davmail.bindAddress": "127.0.0.1",
            "davmail.allowRemote": "false",
            "davmail.imapPort": self.imap_port,
            "davmail.smtpPort": self.smtp_port,
            "davmail.popPort": "",
            "davmail.ldapPort": "",
            "davmail.caldavPort": "",
            "davmail.disableUpdateCheck": "true",
            "davmail.enableProxy": "false",
            "davmail.useSystemProxies": "false",
            "davmail.enableKerberos": "false",
            # What is expunged is gone only when the client says so.
            "davmail.imapAutoExpunge": "false",
            # Minutes; without it there is no IDLE.
            "davmail.imapIdleDelay": "1",
            "davmail.smtpSaveInSent": "true",
            "davmail.logFilePath": self._folder / "davmail.log",
            "log4j.rootLogger": "WARN",
            "log4j.logger.davmail": "DEBUG",
        }
        return "".join(f"{key}={value}\n" for key, value in values.items())

    def _wait(self, port: int) -> None:
        until = time.monotonic() + _START_SECONDS
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=5).close()
            except OSError as error:
                if self._process is None or self._process.poll() is not None or time.monotonic() > until:
                    said = (self._folder / "output").read_text(errors="replace") + self.log
                    raise GatewayFailedError(said[-3000:]) from error
                time.sleep(0.1)
            else:
                return


def _free_ports(count: int) -> list[int]:
    listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    try:
        return [int(listener.getsockname()[1]) for listener in listeners]
    finally:
        for listener in listeners:
            listener.close()
