"""Asks the sandbox for what each recorded answer says, and compares."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lxml import etree

from bridge.sandbox.ews.operations import OPERATIONS
from tests.recordings.compare import differences
from tests.recordings.mailbox import ADDRESS, OTHER, Mailbox, NotBuiltError
from tests.recordings.requests import request_for
from tests.schema.official import FAULT, SOAP_BODY, shared
from tests.support.callers import call
from tests.support.sandbox import SandboxProcess
from tests.support.soap import TYPES

if TYPE_CHECKING:
    from pathlib import Path

_HEADER = "{http://schemas.xmlsoap.org/soap/envelope/}Header"
# How faults of these codes are had; the others belong to operations that are not in the sandbox.
_BY_RULE = {
    "ErrorServerBusy": {"kind": "server_busy", "back_off_milliseconds": 297749},
    "ErrorExceededConnectionCount": {"kind": "soap_fault", "code": "ErrorExceededConnectionCount"},
}
_ASKED = re.compile(r'RequestServerVersion[^>]*Version="\s*(Exchange\w+)"')
# Its answers hold what Exchange 2010 has in their shapes, and nothing that came later.
_PHP_EWS = "php-ews-exchange-online"
_AROUND = ("no HTTP header", "HTTP header", "Header/", "no SOAP header")
_PROBE = "<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape>{}</m:GetFolder>"
_INBOX = '<m:FolderIds><t:DistinguishedFolderId Id="inbox"/></m:FolderIds>'


@dataclass
class Replay:
    """What came of one recorded answer."""

    file: str
    operation: str
    not_compared: str = ""
    """Why not, empty if it was."""
    found: list[str] = field(default_factory=list)
    """The differences."""

    @property
    def same_body(self) -> bool:
        """Whether it was compared and differs in HTTP headers and the server's version at most."""
        return not self.not_compared and all(one.startswith(_AROUND) for one in self.found)


def replay_all(folder: Path) -> list[Replay]:
    """Return what came of every answer in the index, on one sandbox in `folder`."""
    recordings = shared() / "ews-recordings"
    with (recordings / "INDEX.tsv").open(newline="") as index:
        rows = list(csv.DictReader(index, delimiter="\t", quoting=csv.QUOTE_NONE))
    with SandboxProcess(folder, mailboxes=[ADDRESS, OTHER]) as sandbox:
        mailbox = Mailbox(sandbox)
        return [_replay(mailbox, recordings, row) for row in rows if row["direction"] == "response"]


def _replay(mailbox: Mailbox, recordings: Path, row: dict[str, str]) -> Replay:
    replay = Replay(row["file"], row["operation"].removesuffix("Response") or "?")
    path = recordings / row["file"]
    try:
        envelope = etree.fromstring(path.read_bytes(), etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError:
        replay.not_compared = "not well-formed, or no XML at all"
        return replay
    body = envelope.find(SOAP_BODY)
    answers = [] if body is None else [one for one in body if isinstance(one.tag, str)]
    if not answers:
        replay.not_compared = "no SOAP answer"
        return replay
    answer = answers[0]
    try:
        request = _fault(mailbox, answer) if answer.tag == FAULT else _request(mailbox, replay.operation, answer)
    except NotBuiltError as error:
        replay.not_compared = str(error)
        return replay
    response = call(
        mailbox.sandbox, request, token=mailbox.client.token, impersonate=ADDRESS, version=_version(path, envelope)
    )
    mailbox.sandbox.faults()
    given = etree.fromstring(response.content)
    replay.found = _compare(answer, given, envelope)
    if row["http_status"] and int(row["http_status"]) != response.status_code:
        replay.found.append(f"HTTP {response.status_code}, not {row['http_status']}")
    headers = path.with_name(path.name.removesuffix(".xml") + ".headers.txt")
    if headers.exists():
        replay.found += _headers(headers.read_text(errors="replace"), dict(response.headers))
    return replay


def _version(path: Path, answer: etree._Element) -> str:
    """Return the version that an answer was asked for in: as its request says it, else the newest it can have been."""
    request = path.with_name(path.name.replace(".response.", ".request."))
    asked = _ASKED.search(request.read_text(errors="replace")) if request.exists() else None
    if asked:
        return asked[1]
    if _PHP_EWS in path.parts:
        return "Exchange2010_SP2"
    server = next((one for one in answer.iter(f"{TYPES}ServerVersionInfo")), None)
    if server is None or (server.get("MajorVersion") or "15", server.get("MinorVersion")) > ("15", "0"):
        return "Exchange2016"
    if server.get("MajorVersion") == "15":
        return "Exchange2013_SP1"
    return server.get("Version") or "Exchange2007_SP1"


def _request(mailbox: Mailbox, operation: str, answer: etree._Element) -> str:
    if operation not in OPERATIONS:
        raise NotBuiltError("the sandbox has no such operation")
    if not etree.QName(answer).localname.endswith("Response"):
        raise NotBuiltError("no SOAP answer")
    return request_for(mailbox, answer)


def _fault(mailbox: Mailbox, fault: etree._Element) -> str:
    code = next((one.text or "" for one in fault.iter() if str(one.tag).endswith("ResponseCode")), "")
    if code == "ErrorSchemaValidation":
        return _PROBE.format('<m:FolderIds><t:DistinguishedFolderId Id="invalidparentid"/></m:FolderIds>')
    if code not in _BY_RULE:
        raise NotBuiltError("a fault that only other operations and versions give")
    mailbox.sandbox.faults({"match": {"operation": "GetFolder"}, "fault": _BY_RULE[code]})
    return _PROBE.format(_INBOX)


def _compare(recorded: etree._Element, envelope: etree._Element, whole: etree._Element) -> list[str]:
    body = envelope.find(SOAP_BODY)
    given = None if body is None else body[0]
    if given is None or etree.QName(given).localname != etree.QName(recorded).localname:
        return [f"the answer is {'none' if given is None else etree.QName(given).localname}"]
    found = differences(recorded, given)
    theirs, ours = whole.find(_HEADER), envelope.find(_HEADER)
    if theirs is not None and len(theirs):
        found += ["no SOAP header"] if ours is None else differences(theirs, ours)
    return found


def _headers(recorded: str, given: dict[str, str]) -> list[str]:
    names = dict(line.partition(":")[::2] for line in recorded.splitlines()[1:] if ":" in line)
    theirs = {name.strip().lower(): " ".join(value.split()) for name, value in names.items()}
    ours = {name.lower(): " ".join(value.split()) for name, value in given.items()}
    found = [
        f"HTTP header {name} is “{ours.get(name)}”, not “{theirs[name]}”"
        for name in ("content-type", "cache-control")
        if name in theirs and theirs[name].lower() != ours.get(name, "").lower()
    ]
    return found + [f"no HTTP header {name}" for name in sorted(theirs) if name not in ours]
