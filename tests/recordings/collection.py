"""The collection of recordings: what each file is, and which request belongs to which answer."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from lxml import etree

from tests.schema.official import SOAP_BODY, shared

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True)
_MENDING = etree.XMLParser(resolve_entities=False, no_network=True, recover=True)
_SERVER = re.compile(r"([0-9]+)\.([0-9]+)\.")
# Two answers that the index could not read are of GetItem, with a character in them that XML forbids.
_NOT_WELL_FORMED = {
    "recorded/ews-cpp/undeliverable_test_mail_get_item_response.response.xml": "15.0.847.31 V2_8",
    "recorded/viewpoint/dodgy_ews_response.response.xml": "15.1.761.16 V2016_10_10",
}
# Requests of one project's templates whose answers lie elsewhere, under another name.
_NAMED_OTHERWISE = {
    "recorded/viewpoint/find_folder_response.response.xml": "samples/viewpoint/find_folder_request.request.xml",
}
# Answers of documentation that belong to another request than the one printed beside them.
_TO_ANOTHER_REQUEST = frozenset({
    "samples/ms-docs/exportitems-operation-ExportItemsResponse~2.response.xml",  # change keys, where none was sent
    "samples/ms-docs/uploaditems-operation-UploadItemsResponse~2.response.xml",  # one answer to three items
    # All properties, where only permissions were asked for.
    "samples/ms-docs/how-to-set-folder-permissions-for-another-user-by-using-ews-in-exchange-GetFolderResponse~2.response.xml",
    "samples/ms-docs/how-to-add-attachments-by-using-ews-in-exchange-CreateAttachmentResponse.response.xml",  # a file
    # These two print a request that the schema refuses.
    "samples/ms-docs/getstreamingevents-operation-GetStreamingEventsResponse.response.xml",
    "samples/ms-docs/getstreamingevents-operation-GetStreamingEventsResponse~2.response.xml",
})  # fmt: skip


@dataclass(frozen=True)
class Recording:
    """One file of the collection."""

    file: str
    is_request: bool
    operation: str
    """The element in the SOAP body, without `Response`; `?` where there is none."""
    status: int | None
    server: tuple[int, int] | None
    """Major and minor version of the server that answered: 8.0 is Exchange 2007, 15.20 Exchange Online."""
    version: str
    """What the server says of the schema that it speaks, such as Exchange2010_SP2 or V2_8; empty where it does not."""

    @property
    def path(self) -> Path:
        """Where it lies."""
        return shared() / "ews-recordings" / self.file

    @property
    def online(self) -> bool:
        """Whether Exchange Online gave it; what names no server counts as its."""
        return self.server in (None, (15, 20))

    def envelope(self) -> etree._Element | None:
        """Return its tree, mended where a character that XML forbids is all that is wrong; None where it is no XML."""
        raw = self.path.read_bytes()
        try:
            return etree.fromstring(raw, _PARSER)
        except etree.XMLSyntaxError:
            return etree.fromstring(raw, _MENDING) if b":Envelope" in raw else None

    def headers(self) -> str | None:
        """Return the HTTP headers that it came with, None where they were not recorded."""
        path = self.path.with_name(re.sub(r"\.(xml|html)$", ".headers.txt", self.path.name))
        return path.read_text(errors="replace") if path.exists() else None


@cache
def collection() -> Sequence[Recording]:
    """Return all that the index names, in its order."""
    with (shared() / "ews-recordings" / "INDEX.tsv").open(newline="") as index:
        return [_recording(row) for row in csv.DictReader(index, delimiter="\t", quoting=csv.QUOTE_NONE)]


def request_of(answer: Recording) -> Recording | None:
    """
    Return the recorded request that an answer belongs to, None where there is none.

    Documentation shows one request and several answers to it, good and bad; where it shows as many requests, each has
    its answer.
    """
    if answer.file in _TO_ANOTHER_REQUEST:
        return None
    requests = {one.file: one for one in collection() if one.is_request}
    if answer.file in _NAMED_OTHERWISE:
        return requests[_NAMED_OTHERWISE[answer.file]]
    stem = re.sub(r"\.response\.(xml|html)$", "", answer.file)
    name, _, number = re.sub(r"Response(~[0-9]+)?$", r"\1", stem).partition("~")
    candidates = [stem, f"{name}~{number}" if number else name, name]
    return next((requests[f"{one}.request.xml"] for one in candidates if f"{one}.request.xml" in requests), None)


def body_of(envelope: etree._Element) -> etree._Element | None:
    """Return the element in a SOAP body, or one that was kept without its envelope; None where there is none."""
    body = envelope.find(SOAP_BODY)
    if body is None and str(envelope.tag).endswith("Response"):
        return envelope
    return None if body is None else next((one for one in body if isinstance(one.tag, str)), None)


def _recording(row: dict[str, str]) -> Recording:
    server = _NOT_WELL_FORMED.get(row["file"], row["server_version"])
    found = _SERVER.match(server)
    is_request = row["direction"] == "request"
    named = "GetItem" if row["file"] in _NOT_WELL_FORMED else row["operation"]
    return Recording(
        file=row["file"],
        is_request=is_request,
        operation=named if is_request else named.removesuffix("Response"),
        status=int(row["http_status"]) if row["http_status"] else None,
        server=(int(found[1]), int(found[2])) if found else None,
        version=server.partition(" ")[2],
    )
