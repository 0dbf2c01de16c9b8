"""The folders of a mailbox are compared also where the server knows less than Exchange does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.adapters.ews.client import EwsClient, EwsConnection
from bridge.adapters.ews.soap import MESSAGES, TYPES, ResponseMessage, parse_answer
from bridge.adapters.ews.watched import WatchedFolders
from bridge.errors import FoldersConflict, MailboxAccessDenied, MailboxThrottled

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lxml import etree

_ENVELOPE = (
    f'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:m="{MESSAGES}" xmlns:t="{TYPES}"><s:Body>'
    "<m:{0}Response><m:ResponseMessages>{1}</m:ResponseMessages></m:{0}Response></s:Body></s:Envelope>"
)


class PlainServer(EwsClient):
    """A client of a server whose folders have no properties of others."""

    def __init__(self) -> None:
        super().__init__(EwsConnection("http://127.0.0.1:1"), login=("basic", "user", "password"))
        self.refuses: dict[str, str] = {}
        """What it says of a folder that it does not open."""

    def _call(
        self, address: str, payload: etree._Element, timeout_seconds: float | None, look: Callable[[], None]
    ) -> list[ResponseMessage]:
        operation = str(payload.tag).rpartition("}")[2]
        asks_for_property = next(payload.iter(f"{{{TYPES}}}ExtendedFieldURI"), None) is not None
        if operation == "FindFolder":
            answers = [_answer(operation, "NoError", "<m:RootFolder><t:Folders/></m:RootFolder>")]
        elif asks_for_property:
            answers = [_answer(operation, "ErrorInvalidPropertyRequest") for _ in payload[-1]]
        else:
            answers = [
                _answer(
                    operation,
                    self.refuses.get(one.get("Id") or "", "NoError"),
                    f'<m:Folders><t:Folder><t:FolderId Id="{one.get("Id")}"/></t:Folder></m:Folders>',
                )
                for one in payload[-1]
            ]
        return parse_answer(_ENVELOPE.format(operation, "".join(answers)).encode(), operation)


def _answer(operation: str, code: str, inner: str = "") -> str:
    kind = "Success" if code == "NoError" else "Error"
    inner = inner if code == "NoError" else ""
    return (
        f'<m:{operation}ResponseMessage ResponseClass="{kind}"><m:ResponseCode>{code}</m:ResponseCode>'
        f"{inner}</m:{operation}ResponseMessage>"
    )


@pytest.fixture
def server() -> Iterator[PlainServer]:
    made = PlainServer()
    yield made
    made.close()


async def test_mailbox_of_a_server_without_properties_of_folders_is_read(server: PlainServer) -> None:
    await WatchedFolders(server, "dispatch@example.org", ["inbox"], None).check()


async def test_folders_of_a_server_without_such_properties_are_compared_all_the_same(server: PlainServer) -> None:
    with pytest.raises(FoldersConflict):
        await WatchedFolders(server, "dispatch@example.org", ["drafts"], None).check()


@pytest.mark.parametrize(
    "code", ["ErrorAccessDenied", "ErrorInvalidRequest", "ErrorFolderNotFound", "ErrorItemNotFound", "ErrorStaleObject"]
)
async def test_a_folder_that_cannot_be_opened_holds_up_no_mailbox_that_does_not_read_it(
    server: PlainServer, code: str
) -> None:
    server.refuses = {"outbox": code}

    await WatchedFolders(server, "dispatch@example.org", ["inbox"], None).check()
    with pytest.raises(FoldersConflict):  # the others are compared all the same
        await WatchedFolders(server, "dispatch@example.org", ["sentitems"], None).check()


async def test_trouble_that_passes_and_a_folder_that_is_to_be_read_are_told(server: PlainServer) -> None:
    server.refuses = {"outbox": "ErrorServerBusy"}
    with pytest.raises(MailboxThrottled):
        await WatchedFolders(server, "dispatch@example.org", ["inbox"], None).check()

    server.refuses = {"inbox": "ErrorAccessDenied"}
    with pytest.raises(MailboxAccessDenied):
        await WatchedFolders(server, "dispatch@example.org", ["inbox"], None).check()
