"""
Calls to Entra and Exchange whose refusals are what is wanted: nothing is repeated, translated or raised for a status.

Requests are built as trees, so nothing that came from a server is ever pasted into one.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import requests
import requests.adapters
import urllib3
from lxml import etree

from bridge.adapters.ews.folder_ids import name_mailbox
from bridge.adapters.ews.soap import ERRORS, SOAP, M, T, element
from bridge.adapters.ews.transport import USER_AGENT, session_factory
from bridge.adapters.http_body import read_body
from bridge.adapters.http_deadline import DeadlineAdapter, until
from bridge.probe import private
from bridge.probe.errors import NotCheckable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from bridge.ports.tokens import TokenSource

_LARGEST_BYTES: Final = 256 << 20
_SERVER_VERSION: Final = "Exchange2013_SP1"


@dataclass(frozen=True, slots=True)
class Target:
    """Where Exchange is, whose mailbox is opened, and how."""

    url: str
    address: str
    ca_file: str | None
    timeout_seconds: float
    tokens: TokenSource | None = None
    login: tuple[str, str, str] | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, whatever it is."""

    status: int
    headers: Mapping[str, str]
    challenges: tuple[str, ...]
    """The `WWW-Authenticate` headers, each by itself."""
    content: bytes
    tree: etree._Element | None

    @property
    def messages(self) -> list[etree._Element]:
        """The response messages, in order."""
        found = self.tree.find(f".//{M}ResponseMessages") if self.tree is not None else None
        return [] if found is None else list(found)

    @property
    def codes(self) -> list[str]:
        """The response codes of the messages, or the one of a SOAP fault; nothing else of the answer."""
        if self.tree is None:
            return [f"HTTP {self.status}"]
        fault = self.tree.find(f".//{{{SOAP}}}Fault")
        if fault is not None:
            text = fault.findtext(f"detail/{{{ERRORS}}}ResponseCode") or fault.findtext("faultcode") or ""
            return [private.code(text.rpartition(":")[2])]
        # A few operations answer without a list of messages.
        return [private.code(found.text) for found in self.tree.iter(f"{M}ResponseCode")] or [f"HTTP {self.status}"]

    @property
    def code(self) -> str:
        """The first response code."""
        return self.codes[0] if self.codes else "(no code)"

    @property
    def text(self) -> str:
        """The text of the first error, unguarded: compare it, tell `private.sentence` of it."""
        if self.tree is None:
            return ""
        return next((found.text or "" for found in self.tree.iter(f"{M}MessageText")), "")

    def first(self, name: str) -> etree._Element:
        """
        Return the first element of a name, in either namespace.

        Raises:
            NotCheckable: There is none.
        """
        found = next(self.tree.iter(f"{T}{name}", f"{M}{name}"), None) if self.tree is not None else None
        if found is None:
            raise NotCheckable(f"an answer without {name} ({self.code})")
        return found

    def all(self, name: str) -> list[etree._Element]:
        """Return the elements of a name, in either namespace."""
        return [] if self.tree is None else list(self.tree.iter(f"{T}{name}", f"{M}{name}"))


class _Adapter(DeadlineAdapter):
    """Verification by the configured CA only, whatever the environment says."""

    def __init__(self, ca_file: str | None) -> None:
        self._verify: str | bool = ca_file or True
        super().__init__(max_retries=0)

    def send(self, request: requests.PreparedRequest, *_: Any, **kwargs: Any) -> requests.Response:
        return super().send(request, **{**kwargs, "verify": self._verify})


def _unsigned(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request  # given as `auth`, so that no .netrc signs in


class Wire:
    """Calls in one mailbox, one at a time; close it at the end."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.server_version = ""
        """What the last answer called its build, such as 15.20.1234.5."""
        self._session = self._open()

    def close(self) -> None:
        """Close the connection."""
        self._session.close()

    def _open(self) -> requests.Session:
        target = self.target
        make = session_factory(
            endpoint=target.url,
            ca_file=target.ca_file,
            largest_answer_bytes=_LARGEST_BYTES,
            tokens=target.tokens,
            login=target.login,
        )
        session = make()
        session.mount(target.url, _Adapter(target.ca_file))
        return session

    def call(
        self,
        body: etree._Element,
        *,
        signed: bool = True,
        impersonate: bool = True,
        anchor: bool = True,
        headers: Mapping[str, str] | None = None,
        version: str = _SERVER_VERSION,
        zone: str | None = None,
    ) -> Answer:
        """
        Return what comes back for a SOAP body; `zone` is told as the TimeZoneContext.

        Raises:
            NotCheckable: No answer.
        """
        envelope = self._envelope(body, impersonate=impersonate, version=version)
        if zone is not None:
            definition = element("t:TimeZoneDefinition", Id=zone)
            envelope[0].append(element("t:TimeZoneContext", definition))
        content = etree.tostring(envelope, xml_declaration=True, encoding="utf-8")
        return self.post(content, signed=signed, anchor=anchor, headers=headers)

    def post(
        self, content: bytes, *, signed: bool = True, anchor: bool = True, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """Return what comes back for a body of any kind; raises as `call`."""
        try:
            with until(time.monotonic() + self.target.timeout_seconds) as deadline:
                response = self._send(self._session, content, signed=signed, anchor=anchor, headers=headers or {})
                read_body(response, deadline=deadline, largest_bytes=_LARGEST_BYTES)
        except (requests.RequestException, OSError) as error:
            raise NotCheckable(f"no answer ({type(error).__name__})") from error
        tree = _tree(response.content)
        if tree is not None:
            self._note_version(tree)
        challenges = response.raw.headers.getlist("WWW-Authenticate")
        return Answer(response.status_code, response.headers, tuple(challenges), response.content, tree)

    @contextmanager
    def stream(self, body: etree._Element, *, seconds: float) -> Iterator[Iterator[etree._Element]]:
        """
        Yield the envelopes of GetStreamingEvents as they come, on a connection of its own that ends with the block.

        The iterator ends with the stream, or when nothing came for so many seconds.
        """
        content = etree.tostring(self._envelope(body, impersonate=True), xml_declaration=True, encoding="utf-8")
        session = self._open()
        try:
            response = self._send(session, content, signed=True, anchor=True, headers={}, timeout=seconds)
            try:
                yield _envelopes(response)
            finally:
                response.close()
        except (requests.RequestException, OSError) as error:
            raise NotCheckable(f"no stream ({type(error).__name__})") from error
        finally:
            session.close()

    def _send(
        self,
        session: requests.Session,
        content: bytes,
        *,
        signed: bool,
        anchor: bool,
        headers: Mapping[str, str],
        timeout: float | None = None,
    ) -> requests.Response:
        sent = {"Content-Type": "text/xml; charset=utf-8", "User-Agent": USER_AGENT}
        if anchor:
            sent["X-AnchorMailbox"] = self.target.address
        seconds = timeout or self.target.timeout_seconds
        return session.post(
            self.target.url,
            data=content,
            headers={**sent, **headers},
            auth=None if signed else _unsigned,
            stream=True,
            allow_redirects=False,
            timeout=(min(seconds, 15.0), seconds),
        )

    def _envelope(self, body: etree._Element, *, impersonate: bool, version: str = _SERVER_VERSION) -> etree._Element:
        name_mailbox(body, self.target.address)
        envelope = etree.Element(f"{{{SOAP}}}Envelope", nsmap={"s": SOAP})
        header = etree.SubElement(envelope, f"{{{SOAP}}}Header")
        header.append(element("t:RequestServerVersion", Version=version))
        if impersonate and self.target.tokens is not None:
            who = element("t:SmtpAddress", text=self.target.address)
            header.append(element("t:ExchangeImpersonation", element("t:ConnectingSID", who)))
        etree.SubElement(envelope, f"{{{SOAP}}}Body").append(body)
        return envelope

    def _note_version(self, tree: etree._Element) -> None:
        found = next(tree.iter(f"{T}ServerVersionInfo"), None)
        if found is not None:
            parts = ("MajorVersion", "MinorVersion", "MajorBuildNumber", "MinorBuildNumber")
            self.server_version = ".".join(private.number(found.get(part)) for part in parts)


def _tree(content: bytes) -> etree._Element | None:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True)
    try:
        return etree.fromstring(content, parser)
    except etree.XMLSyntaxError:
        return None


def _envelopes(response: requests.Response) -> Iterator[etree._Element]:
    waiting = b""
    try:
        while piece := response.raw.read1(1 << 16, decode_content=True):
            waiting += piece
            # Each envelope stands by itself, opened and closed; the next one begins where it ends.
            while (end := _end_of_envelope(waiting)) is not None:
                tree = _tree(waiting[:end].strip())
                waiting = waiting[end:]
                if tree is not None:
                    yield tree
    except urllib3.exceptions.HTTPError:
        return  # nothing more came in time, or it broke off: what came is what there is to see


def _end_of_envelope(waiting: bytes) -> int | None:
    start = waiting.find(b"</")
    while start >= 0:
        end = waiting.find(b">", start)
        if end < 0:
            return None
        if waiting[start:end].rstrip().endswith(b"Envelope"):
            return end + 1
        start = waiting.find(b"</", end)
    return None
