"""
Sends each recorded request to a sandbox, and compares its answer with the recorded one.

An answer whose request was not recorded is asked for by a request that is made for it. Exchange Online's are asked of a
sandbox that is one, those of other servers of a sandbox on-premises; each in a mailbox of its own.
"""

from __future__ import annotations

import itertools
import re
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lxml import etree

from bridge.sandbox.ews.operations import OPERATIONS
from tests.recordings import faults, states
from tests.recordings.accounts import Callers
from tests.recordings.collection import Recording, body_of, collection, request_of
from tests.recordings.compare import differences
from tests.recordings.mailbox import ADDRESS, OTHER, Mailbox, NotBuiltError
from tests.recordings.requests import BY_RULE, request_for
from tests.recordings.resend import resent
from tests.schema.official import FAULT
from tests.support.sandbox import SandboxProcess
from tests.support.soap import MESSAGES, TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import requests

    from tests.recordings.accounts import Account

STREAMED = "GetStreamingEvents"
_HEADER = "{http://schemas.xmlsoap.org/soap/envelope/}Header"
_AROUND = ("no HTTP header", "HTTP header", "Header/", "no SOAP header")
AS_RECORDED, BUILT, SENT, NOTHING = "as recorded", "built", "sent", "nothing to send"


@dataclass
class Replay:
    """What came of one file."""

    recording: Recording
    how: str = BUILT
    """With the recorded request, with one that was built, a request alone, or not at all."""
    not_compared: str = ""
    """Why not, empty if it was."""
    found: list[str] = field(default_factory=list)
    """The differences; of a request without an answer, what the sandbox answered if not success."""

    @property
    def file(self) -> str:
        """The file's name in the collection."""
        return self.recording.file

    @property
    def operation(self) -> str:
        """The operation that it shows."""
        return self.recording.operation

    @property
    def same_body(self) -> bool:
        """Whether it was compared and differs in HTTP headers and the server's version at most."""
        return not self.not_compared and all(one.startswith(_AROUND) for one in self.found)


class Mailboxes:
    """Two sandboxes, and a new mailbox for each recording."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        """Start them."""
        self._numbers = itertools.count(1)
        self._callers = {
            on_premises: Callers(
                stack.enter_context(SandboxProcess(folder / name, mailboxes=[ADDRESS, OTHER], on_premises=on_premises)),
                on_premises=on_premises,
            )
            for name, on_premises in (("online", False), ("premises", True))
        }

    def new(self, recording: Recording, place: str = "") -> Mailbox:
        """Return a new mailbox on the sandbox that stands for the server of a recording."""
        callers = self._callers[not recording.online]

        def account() -> Account:
            return callers.new(f"box-{next(self._numbers)}@example.org")

        return Mailbox(callers.sandbox, account(), account, place)


def replay_all(folder: Path) -> list[Replay]:
    """Return what came of every file in the index."""
    with ExitStack() as stack:
        mailboxes = Mailboxes(folder, stack)
        return [_request_alone(mailboxes, one) if one.is_request else _answer(mailboxes, one) for one in collection()]


def _answer(mailboxes: Mailboxes, recording: Recording) -> Replay:
    replay = Replay(recording)
    try:
        _compare_answer(mailboxes, recording, replay)
    except NotBuiltError as error:
        replay.not_compared, replay.how = str(error), NOTHING
    return replay


def _compare_answer(mailboxes: Mailboxes, recording: Recording, replay: Replay) -> None:
    request = request_of(recording)
    if recording.status == 401:
        replay.how = AS_RECORDED
        assert request is not None
        refused = mailboxes.new(recording).client.send_bytes(request.path.read_bytes(), signed_in=False)
        replay.found = _http(recording, refused)
        return
    envelope = recording.envelope()
    answer = None if envelope is None else body_of(envelope)
    if envelope is None or answer is None:
        raise NotBuiltError("a web page of another server, which knows no EWS")
    mailbox = mailboxes.new(recording, _place(request))
    response: requests.Response | etree._Element
    if answer.tag == FAULT:
        response = faults.fault(mailbox, recording, request, answer)
        replay.how = AS_RECORDED if request is not None else BUILT
    else:
        response = _respond(mailbox, recording, request, answer, replay)
    mailbox.sandbox.faults()
    if isinstance(response, etree._Element):
        replay.found = _compare(answer, response, envelope)
        return
    replay.found = _compare(answer, etree.fromstring(response.content), envelope) + _http(recording, response)


def _respond(
    mailbox: Mailbox, recording: Recording, request: Recording | None, answer: etree._Element, replay: Replay
) -> requests.Response | etree._Element:
    if recording.operation not in OPERATIONS and recording.operation != STREAMED:
        raise NotBuiltError("the sandbox has no such operation")
    built = request_for(mailbox, answer)
    recorded = None if request is None else request.envelope()
    if recorded is None:
        if recording.operation == STREAMED:
            return states.told(mailbox, mailbox.client.wrapped(built, _version(recording)), answer)
        _strike(mailbox, recording.operation, answer)
        return mailbox.client.post(built, _version(recording))
    replay.how = AS_RECORDED
    envelope = resent(mailbox, recorded, built)
    if recording.operation == STREAMED:
        return states.told(mailbox, envelope, answer)
    if "ErrorFolderExists" in {states.code_of(one) for one in states.messages(answer)}:
        mailbox.client.send(envelope)  # the folder is there since
    _strike(mailbox, recording.operation, answer)
    return mailbox.client.send(envelope)


def _strike(mailbox: Mailbox, operation: str, answer: etree._Element) -> None:
    """Have those items of the call fail whose codes nothing but a rule brings about."""
    rules: list[dict[str, Any]] = []
    for number, message in enumerate(states.messages(answer), 1):
        code = states.code_of(message)
        if code in BY_RULE:
            busy = message.find(f"{MESSAGES}MessageXml/{TYPES}Value[@Name='InnerErrorResponseCode']") is not None
            fault = {"kind": "item_server_busy"} if busy else {"kind": "item_error", "code": code}
            rules.append({"match": {"operation": operation, "item": number}, "fault": fault})
    if rules:
        mailbox.sandbox.faults(*rules)


def _request_alone(mailboxes: Mailboxes, recording: Recording) -> Replay:
    replay = Replay(recording, SENT)
    if any(request_of(one) == recording for one in collection() if not one.is_request):
        replay.how = AS_RECORDED
        return replay
    envelope = recording.envelope()
    if recording.operation not in OPERATIONS or envelope is None:
        replay.how = NOTHING
        replay.not_compared = _no_request(recording)
        return replay
    mailbox = mailboxes.new(recording)
    response = mailbox.client.send(resent(mailbox, envelope, None))
    codes = re.findall(rb"ResponseCode[^>]*>([^<]+)<", response.content)
    replay.found = list(dict.fromkeys(f"answered {code.decode()}" for code in codes if code != b"NoError"))
    return replay


def _no_request(recording: Recording) -> str:
    if recording.operation in ("Envelope", "AAA", "?"):
        return "no request: a piece of XML for a unit test, or a template without an operation"
    if recording.operation.startswith("SendNotification"):
        return "what Exchange sends to a client, or the client's answer to it: the sandbox calls nobody"
    if recording.operation == STREAMED:
        return "the schema refuses the sample's request; its answers were asked for by one that is right"
    return "the sandbox has no such operation"


def _place(request: Recording | None) -> str:
    """Return the distinguished folder that a recorded request looks into, empty if it names none."""
    envelope = None if request is None else request.envelope()
    if envelope is None:
        return ""
    holders = ("SyncFolderId", "ParentFolderIds", "ToFolderId")
    paths = (f".//{MESSAGES}{name}/{TYPES}DistinguishedFolderId" for name in holders)
    found = next((node for path in paths for node in envelope.iterfind(path)), None)
    return "" if found is None else f'<t:DistinguishedFolderId Id="{found.get("Id")}"/>'


def _version(recording: Recording) -> str:
    """Return the version that a client asked for whose answer this is, as far as the answer tells."""
    if recording.version.startswith("Exchange"):
        return recording.version
    if recording.operation == STREAMED:
        return "Exchange2013"
    if recording.server == (8, 0):
        return "Exchange2007"
    if "/viewpoint/dodgy" in recording.file:
        # Nothing that came with Exchange 2010 is in it.
        return "Exchange2007_SP1"
    if "/php-ews-" in recording.file:
        # Its answers have properties of Exchange 2010, and none that came later.
        return "Exchange2010"
    return "Exchange2013_SP1" if recording.version.startswith("V2_") else "Exchange2016"


def _compare(recorded: etree._Element, envelope: etree._Element, whole: etree._Element) -> list[str]:
    given = body_of(envelope)
    if given is None or etree.QName(given).localname != etree.QName(recorded).localname:
        return [f"the answer is {'none' if given is None else etree.QName(given).localname}"]
    found = differences(recorded, given)
    theirs, ours = whole.find(_HEADER), next(envelope.iter(_HEADER), None)
    if theirs is not None and len(theirs):
        found += ["no SOAP header"] if ours is None else differences(theirs, ours)
    return found


def _http(recording: Recording, response: requests.Response) -> list[str]:
    found = []
    if recording.status is not None and recording.status != response.status_code:
        found.append(f"HTTP {response.status_code}, not {recording.status}")
    headers = recording.headers()
    return found if headers is None else found + list(_headers(headers, dict(response.headers)))


def _headers(recorded: str, given: dict[str, str]) -> Iterator[str]:
    names = dict(line.partition(":")[::2] for line in recorded.splitlines()[1:] if ":" in line)
    theirs = {name.strip().lower(): " ".join(value.split()) for name, value in names.items()}
    ours = {name.lower(): " ".join(value.split()) for name, value in given.items()}
    for name in ("content-type", "cache-control"):
        if name in theirs and theirs[name].lower() != ours.get(name, "").lower():
            yield f"HTTP header {name} is “{ours.get(name)}”, not “{theirs[name]}”"
    yield from (f"no HTTP header {name}" for name in sorted(theirs) if name not in ours)
