"""One client's connections to the sandbox: HTTPS, SMTP and the admin API, and when there is somebody to talk to."""

from __future__ import annotations

import json
import smtplib
import ssl
import threading
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit
from xml.sax.saxutils import escape

from lxml import etree

from tests.support.sandbox import stuffed

if TYPE_CHECKING:
    from collections.abc import Sequence

MESSAGES = "{http://schemas.microsoft.com/exchange/services/2006/messages}"
TYPES = "{http://schemas.microsoft.com/exchange/services/2006/types}"
TIMEOUT_SECONDS = 60.0

_ENVELOPE = """<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" \
xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types" \
xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"><s:Header>\
<t:RequestServerVersion Version="Exchange2016"/><t:ExchangeImpersonation><t:ConnectingSID>\
<t:SmtpAddress>{address}</t:SmtpAddress></t:ConnectingSID></t:ExchangeImpersonation></s:Header>\
<s:Body>{body}</s:Body></s:Envelope>"""


class LostAnswerError(Exception):
    """The connection broke after something was asked: it may have been done."""


class WrongAnswerError(Exception):
    """An answer that no request here should get: another status than 200, or no XML."""


class Gate:
    """Open while the sandbox runs; `generation` counts how often it was started."""

    def __init__(self, info: dict[str, Any]) -> None:
        """Stand open for the sandbox that `info` tells of."""
        self.info = info
        self.context = ssl.create_default_context(cafile=info["ca_file"])
        self.generation = 1
        self.delicate = threading.Event()
        """Set whenever something is about to be asked that touches many things at once: a good moment for a kill."""
        self._open = threading.Event()
        self._open.set()

    def shut(self) -> None:
        """The sandbox is about to be killed."""
        self._open.clear()

    def open(self) -> None:
        """It runs again."""
        self.generation += 1
        self._open.set()

    def wait(self) -> None:
        """Wait until it runs; one that never comes back is a failure of the run."""
        if not self._open.wait(TIMEOUT_SECONDS):
            raise AssertionError("the sandbox did not come back")

    def token(self) -> str:
        """Return a token that Entra issues now."""
        url = urlsplit(self.info["authority_url"])
        form = {
            "grant_type": "client_credentials",
            "client_id": self.info["client_id"],
            "client_secret": self.info["client_secret"],
            "scope": "https://outlook.office365.com/.default",
        }
        connection = HTTPSConnection(url.netloc, context=self.context, timeout=TIMEOUT_SECONDS)
        try:
            connection.request(
                "POST",
                f"{url.path}/oauth2/v2.0/token",
                urlencode(form),
                {"Content-Type": "application/x-www-form-urlencoded"},
            )
            return str(json.loads(connection.getresponse().read())["access_token"])
        finally:
            connection.close()


@dataclass(frozen=True, slots=True)
class Answer:
    """One response message: whether it went well, its code, and its element."""

    code: str
    node: etree._Element

    @property
    def done(self) -> bool:
        """Whether it says so."""
        return self.code == "NoError"

    def ids(self, name: str = "ItemId") -> list[str]:
        """Return the ids of items (or of what else is named) that it tells."""
        return [str(node.get("Id")) for node in self.node.iter(TYPES + name)]


class Link:
    """One mailbox as one client reaches it, over a connection that is kept."""

    def __init__(self, gate: Gate, address: str, token: str) -> None:
        """Call for `address`; nothing is connected yet."""
        self.gate = gate
        self.address = address
        self._url = urlsplit(gate.info["ews_url"])
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "text/xml; charset=utf-8",
            "X-AnchorMailbox": address,
        }
        self._connection: HTTPSConnection | None = None

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def call(self, body: str) -> list[Answer]:
        """
        Return the response messages of a call.

        Raises:
            LostAnswerError: The answer did not come.
            WrongAnswerError: It was no answer of EWS.
        """
        response = self.open(body)
        try:
            content = response.read()
        except (OSError, HTTPException) as error:
            self.close()
            raise LostAnswerError from error
        if response.status != 200:
            raise WrongAnswerError(f"HTTP {response.status}: {content[:600]!r}")
        try:
            root = etree.fromstring(content)
        except etree.XMLSyntaxError as error:
            raise WrongAnswerError(f"no XML: {content[:200]!r}") from error
        return answers(root)

    def open(self, body: str) -> HTTPResponse:
        """Return the response whose body is still to be read; raises as `call` does."""
        self._connect()
        connection = self._connection
        if connection is None:
            raise AssertionError("not connected")
        content = _ENVELOPE.format(address=escape(self.address), body=body).encode()
        try:
            connection.request("POST", self._url.path, content, self._headers)
            return connection.getresponse()
        except (OSError, HTTPException) as error:
            self.close()
            raise LostAnswerError from error

    def _connect(self) -> None:
        """Have a connection. As long as there is none, nothing was asked, so this may be tried again."""
        while self._connection is None:
            self.gate.wait()
            generation = self.gate.generation
            connection = HTTPSConnection(self._url.netloc, context=self.gate.context, timeout=TIMEOUT_SECONDS)
            try:
                connection.connect()
            except OSError as error:
                connection.close()
                self._must_have_been_killed(generation, error)
                continue
            self._connection = connection

    def _must_have_been_killed(self, generation: int, error: OSError) -> None:
        self.gate.wait()
        if self.gate.generation == generation:
            raise WrongAnswerError(f"no connection, though the sandbox runs: {error}") from error


def answers(root: etree._Element) -> list[Answer]:
    """Return the response messages of an answer."""
    found = []
    for node in root.iter(MESSAGES + "ResponseMessages"):
        for message in node:
            code = message.findtext(MESSAGES + "ResponseCode")
            if code is not None:
                found.append(Answer(code, message))
    return found


def deliver(gate: Gate, recipients: Sequence[str], mime: bytes) -> None:
    """
    Deliver a mail by SMTP.

    Raises:
        LostAnswerError: Nobody said whether it was taken.
        WrongAnswerError: It was refused.
    """
    gate.wait()
    host, _, port = gate.info["smtp"].rpartition(":")
    try:
        with smtplib.SMTP(host, int(port), local_hostname="localhost", timeout=TIMEOUT_SECONDS) as client:
            client.ehlo()
            for code, said in (
                client.mail("sender@elsewhere.example"),
                *map(client.rcpt, recipients),
                client.docmd("DATA"),
            ):
                if not 200 <= code < 400:
                    raise WrongAnswerError(f"SMTP {code}: {said!r}")
            client.send(stuffed(mime))
            code, said = client.getreply()
    except (OSError, smtplib.SMTPException) as error:
        raise LostAnswerError from error
    if code != 250:
        raise WrongAnswerError(f"SMTP {code}: {said!r}")


def deliver_by_admin(gate: Gate, address: str, mime: bytes) -> str:
    """Deliver a mail by the admin API and return its id; raises as `deliver` does."""
    gate.wait()
    connection = HTTPConnection(gate.info["admin_url"].removeprefix("http://"), timeout=TIMEOUT_SECONDS)
    try:
        connection.request("POST", f"/mailboxes/{quote(address)}/mails", mime, {"Content-Type": "message/rfc822"})
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, HTTPException) as error:
        raise LostAnswerError from error
    finally:
        connection.close()
    if answer.status != 200:
        raise WrongAnswerError(f"HTTP {answer.status}: {content[:200]!r}")
    return str(json.loads(content)["item_id"])


__all__ = [
    "MESSAGES",
    "TYPES",
    "Answer",
    "Gate",
    "Link",
    "LostAnswerError",
    "WrongAnswerError",
    "answers",
    "deliver",
    "deliver_by_admin",
]
