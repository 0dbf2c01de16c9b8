"""Somebody who calls a sandbox's EWS: an app that impersonates on Exchange Online, the user on-premises."""

from __future__ import annotations

import base64
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.cookiejar import DefaultCookiePolicy
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import requests
from lxml import etree

from tests.support.soap import MESSAGES, TYPES, EwsClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.sandbox import SandboxProcess

_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_HEADER = f"{{{_SOAP}}}Header"
_END = b"</Envelope>"
_OPEN = (
    f'<s:Envelope xmlns:s="{_SOAP}" xmlns:t="{TYPES[1:-1]}" xmlns:m="{MESSAGES[1:-1]}"><s:Header>'
    '<t:RequestServerVersion Version="{version}"/></s:Header><s:Body>{body}</s:Body></s:Envelope>'
)
_PATIENCE = 30


class Callers:
    """Makes mailboxes on a sandbox, and those who act in them. Keeps no cookies: recorded clients kept none."""

    def __init__(self, sandbox: SandboxProcess, *, on_premises: bool) -> None:
        """Know how to sign in."""
        self.sandbox = sandbox
        self.on_premises = on_premises
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = sandbox.info["ca_file"]
        self.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._token = "" if on_premises else EwsClient(sandbox, "").token

    def new(self, address: str) -> Account:
        """Return who acts in a mailbox, which is made if there is none of this address."""
        made = self.sandbox.admin("/mailboxes", method="POST", body={"address": address})
        if self.on_premises:
            secret = base64.b64encode(f"{made['username']}:{made['password']}".encode()).decode()
            return Account(self, address, {"Authorization": f"Basic {secret}"})
        return Account(self, address, {"Authorization": f"Bearer {self._token}", "X-AnchorMailbox": address})


class Account:
    """One mailbox and the one who acts in it."""

    def __init__(self, callers: Callers, address: str, headers: dict[str, str]) -> None:
        """Act with these HTTP headers."""
        self._callers = callers
        self.address = address
        self._headers = {**headers, "Content-Type": "text/xml; charset=utf-8"}

    def post(self, body: str, version: str = "Exchange2016") -> requests.Response:
        """Return the HTTP answer to an element, in an envelope of ours."""
        return self.send(self.wrapped(body, version))

    def wrapped(self, body: str, version: str) -> etree._Element:
        """Return an envelope of ours around an element."""
        return etree.fromstring(_OPEN.format(version=version, body=body))

    def send(self, envelope: etree._Element) -> requests.Response:
        """Return the HTTP answer to an envelope; an app names in its header the one impersonated."""
        return self.send_bytes(self._bytes(envelope))

    def send_bytes(self, body: bytes, *, signed_in: bool = True) -> requests.Response:
        """Return the HTTP answer to bytes as they are."""
        headers = self._headers if signed_in else {"Content-Type": self._headers["Content-Type"]}
        return self._callers.session.post(self._url, data=body, headers=headers, timeout=_PATIENCE)

    def stream(self, envelope: etree._Element) -> Iterator[etree._Element]:
        """Yield the envelopes of a streamed answer as they come."""
        with self._callers.session.post(
            self._url, data=self._bytes(envelope), headers=self._headers, timeout=_PATIENCE, stream=True
        ) as answer:
            waiting = b""
            for part in answer.iter_content(None):
                waiting += part
                while _END in waiting:
                    whole, _, waiting = waiting.partition(_END)
                    yield etree.fromstring(whole + _END)

    @contextmanager
    def busy(self, body: str) -> Iterator[None]:
        """Have a call under way for as long as the block lasts."""
        rule = {"match": {"operation": "GetFolder"}, "fault": {"kind": "late_answer", "seconds": 5}, "times": 1}
        self._callers.sandbox.faults(rule)
        with ThreadPoolExecutor(1) as pool:
            going = pool.submit(self.post, body)
            while not self._callers.sandbox.fault_report()[0]["fired"]:
                assert not going.done(), "the call ended without being held up"
            yield
            self._callers.sandbox.faults()
            going.result()

    def call(self, body: str) -> etree._Element:
        """Return the tree of an answer that came with 200."""
        answer = self.post(body)
        assert answer.status_code == 200, answer.text[:2000]
        return etree.fromstring(answer.content)

    def find(self, folder: str) -> list[str]:
        """Return the ids of a distinguished folder's items."""
        answer = self.call(
            '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>'
            f'<m:ParentFolderIds><t:DistinguishedFolderId Id="{folder}"/></m:ParentFolderIds></m:FindItem>'
        )
        return [str(element.get("Id")) for element in answer.iter(f"{TYPES}ItemId")]

    @property
    def _url(self) -> str:
        return str(self._callers.sandbox.info["ews_url"])

    def _bytes(self, envelope: etree._Element) -> bytes:
        if self._callers.on_premises:
            return etree.tostring(envelope)
        header = envelope.find(_HEADER)
        if header is None:
            header = etree.Element(_HEADER)
            envelope.insert(0, header)
        if header.find(TYPES + "ExchangeImpersonation") is None:
            header.append(
                etree.fromstring(
                    f'<t:ExchangeImpersonation xmlns:t="{TYPES[1:-1]}"><t:ConnectingSID><t:SmtpAddress>'
                    f"{escape(self.address)}</t:SmtpAddress></t:ConnectingSID></t:ExchangeImpersonation>"
                )
            )
        return etree.tostring(envelope)
