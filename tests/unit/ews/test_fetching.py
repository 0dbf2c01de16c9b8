"""MIME is taken for the mail only where it can be, no mail of a batch is left out, and a receipt is for one mail."""

from __future__ import annotations

import base64
import contextlib
import errno
import tempfile
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.ews.client import EwsClient, EwsConnection
from bridge.adapters.ews.inbox import EwsInbox
from bridge.adapters.ews.response_codes import CONVERSION_REFUSALS
from bridge.adapters.ews.soap import MalformedAnswer, ResponseMessage, T, parse_answer
from bridge.domain.mail import FailedFetch, FetchedMail, MailRef, SpooledMail, UnconvertibleMail
from bridge.errors import BlobStoreUnusable, MailUnreadable
from bridge.ports.broker import PublishReceipt

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lxml import etree

    from bridge.adapters.ews.streamed import StreamedMime

_ANSWER = (
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages" '
    'xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"><s:Body><m:GetItemResponse>'
    "<m:ResponseMessages>{}</m:ResponseMessages></m:GetItemResponse></s:Body></s:Envelope>"
)
_MESSAGE = (
    '<m:GetItemResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode>'
    "<m:Items><t:Message>{}</t:Message></m:Items></m:GetItemResponseMessage>"
)


class Mailbox(EwsClient):
    """Gives each mail the MIME that is told for it; a call for one without any is answered with nothing of use."""

    def __init__(self, mimes: Mapping[str, bytes]) -> None:
        super().__init__(EwsConnection("http://127.0.0.1:1"), login=("basic", "user", "password"))
        self.mimes = mimes
        self.calls = 0

    def _call(
        self, address: str, payload: etree._Element, timeout_seconds: float | None, look: Callable[[], None]
    ) -> list[ResponseMessage]:
        self.calls += 1
        ids = [found.get("Id") or "" for found in payload.iter(f"{T}ItemId")]
        fields = {found.get("FieldURI") for found in payload.iter(f"{T}FieldURI")}
        if "item:MimeContent" not in fields:
            inner = "<t:Subject>of its properties</t:Subject>"
            return parse_answer(_ANSWER.format(_MESSAGE.format(inner) * len(ids)).encode(), "GetItem")
        if not all(one in self.mimes for one in ids):
            return parse_answer(_ANSWER.format("").encode(), "GetItem")
        contents = (base64.b64encode(self.mimes[one]).decode() for one in ids)
        answers = "".join(_MESSAGE.format(f"<t:MimeContent>{content}</t:MimeContent>") for content in contents)
        return parse_answer(_ANSWER.format(answers).encode(), "GetItem")


class Streaming(Mailbox):
    """Gives large mails, too: in pieces."""

    async def call_for_mime(
        self, address: str, payload: etree._Element, mime: StreamedMime, *, size_bytes: int
    ) -> list[ResponseMessage]:
        [item_id] = [found.get("Id") or "" for found in payload.iter(f"{T}ItemId")]
        if item_id not in self.mimes:
            raise MalformedAnswer("no XML")
        mime.feed(base64.b64encode(self.mimes[item_id]).decode())
        mime.end()
        return parse_answer(_ANSWER.format(_MESSAGE.format("")).encode(), "GetItem")


class Refusing(Mailbox):
    """Has the properties of each mail, and refuses its MIME with this code."""

    def __init__(self, code: str) -> None:
        super().__init__({})
        self.code = code

    def _call(
        self, address: str, payload: etree._Element, timeout_seconds: float | None, look: Callable[[], None]
    ) -> list[ResponseMessage]:
        if all(found.get("FieldURI") != "item:MimeContent" for found in payload.iter(f"{T}FieldURI")):
            return super()._call(address, payload, timeout_seconds, look)
        refusal = _MESSAGE.format("").replace("NoError", self.code).replace("Success", "Error")
        return parse_answer(_ANSWER.format(refusal).encode(), "GetItem")


def a_ref(number: int, *, size: int = 100) -> MailRef:
    return MailRef(f"m{number}", f"item-{number}", None, size, "IPM.Note")


async def test_mime_that_is_empty_is_never_taken_for_the_mail() -> None:
    with contextlib.closing(Mailbox({"item-1": b""})) as client:
        [outcome] = await EwsInbox(client, "dispatch@example.org").fetch([a_ref(1)])

    assert isinstance(outcome, UnconvertibleMail)
    assert outcome.exchange_code == "mime_empty"


@pytest.mark.parametrize(("mime_bytes", "taken"), [(1_000, False), (1 << 20, True)])
async def test_mime_that_is_far_smaller_than_the_mail_is_never_taken_for_it(mime_bytes: int, *, taken: bool) -> None:
    with contextlib.closing(Mailbox({"item-1": b"x" * mime_bytes})) as client:
        [outcome] = await EwsInbox(client, "dispatch@example.org").fetch([a_ref(1, size=3 << 20)])

    if taken:
        assert isinstance(outcome, FetchedMail)
    else:
        assert isinstance(outcome, FailedFetch)
        assert isinstance(outcome.error, MailUnreadable)


async def test_a_garbled_answer_costs_no_mail_its_bytes_unless_it_comes_each_time() -> None:
    """Its properties alone would be published, and the mail removed: once or twice it may be the network."""
    with contextlib.closing(Mailbox({})) as client:
        inbox = EwsInbox(client, "dispatch@example.org")
        for _ in range(2):
            [outcome] = await inbox.fetch([a_ref(1)])
            assert isinstance(outcome, FailedFetch)
            assert isinstance(outcome.error, MailUnreadable)
        client.mimes = {"item-1": b"Subject: x\r\n\r\n"}
        [outcome] = await inbox.fetch([a_ref(1)])
        assert isinstance(outcome, FetchedMail)

        outcomes = [(await inbox.fetch([a_ref(2)]))[0] for _ in range(3)]

    assert [type(outcome) for outcome in outcomes] == [FailedFetch, FailedFetch, UnconvertibleMail]


async def test_garbled_answers_from_before_a_mail_was_read_are_not_held_against_it() -> None:
    """It comes back at times, when it could not be published: only answers in a row say that it is the mail."""
    with contextlib.closing(Mailbox({})) as client:
        inbox = EwsInbox(client, "dispatch@example.org")
        for _ in range(2):
            await inbox.fetch([a_ref(1)])
        client.mimes = {"item-1": b"Subject: x\r\n\r\n"}
        await inbox.fetch([a_ref(1)])
        client.mimes = {}

        outcomes = [(await inbox.fetch([a_ref(1)]))[0] for _ in range(3)]

    assert [type(outcome) for outcome in outcomes] == [FailedFetch, FailedFetch, UnconvertibleMail]


async def test_garbled_answers_from_before_a_large_mail_was_read_are_not_held_against_it() -> None:
    large = a_ref(1, size=5 << 20)
    with contextlib.closing(Streaming({})) as client:
        inbox = EwsInbox(client, "dispatch@example.org")
        for _ in range(2):
            await inbox.fetch([large])
        client.mimes = {"item-1": b"x" * (5 << 20)}
        [outcome] = await inbox.fetch([large])
        assert isinstance(outcome, SpooledMail)
        outcome.file.close()
        client.mimes = {}

        outcomes = [(await inbox.fetch([large]))[0] for _ in range(3)]

    assert [type(outcome) for outcome in outcomes] == [FailedFetch, FailedFetch, UnconvertibleMail]


@pytest.mark.parametrize("code", sorted(CONVERSION_REFUSALS))
async def test_a_mail_that_exchange_cannot_convert_comes_as_its_properties_and_says_why(code: str) -> None:
    with contextlib.closing(Refusing(code)) as client:
        [outcome] = await EwsInbox(client, "dispatch@example.org").fetch([a_ref(1)])

    assert isinstance(outcome, UnconvertibleMail)
    assert (outcome.exchange_code, outcome.properties.subject) == (code, "of its properties")


@pytest.mark.parametrize("spoils", range(7))
async def test_a_batch_that_one_mail_spoils_is_halved_and_no_mail_of_it_is_left_out(spoils: int) -> None:
    refs = [a_ref(number) for number in range(7)]
    mimes = {ref.item_id: b"Subject: x\r\n\r\n" for ref in refs if ref is not refs[spoils]}

    with contextlib.closing(Mailbox(mimes)) as client:
        outcomes = await EwsInbox(client, "dispatch@example.org").fetch(refs)

    assert [outcome.ref for outcome in outcomes] == refs
    assert [outcome.ref for outcome in outcomes if not isinstance(outcome, FetchedMail)] == [refs[spoils]]


async def test_exchange_is_not_asked_to_remove_a_mail_against_a_receipt_for_another() -> None:
    with contextlib.closing(Mailbox({})) as client, pytest.raises(ValueError, match="another mail"):
        await EwsInbox(client, "dispatch@example.org").remove([(a_ref(1), PublishReceipt("m2"))])

    assert client.calls == 0


@pytest.mark.parametrize(("size", "taken"), [(5 << 20, True), (17 << 20, False)])
async def test_a_mail_that_the_broker_may_carry_needs_no_room_for_a_file(
    size: int, *, taken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A worker whose file system is read-only, and that has no blob store, took such mails before there were files."""

    def read_only(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr(tempfile, "mkstemp", read_only)
    with contextlib.closing(Mailbox({"item-1": b"x" * size})) as client:
        [outcome] = await EwsInbox(client, "dispatch@example.org").fetch([a_ref(1, size=size)])

    if taken:
        assert outcome == FetchedMail(outcome.ref, b"x" * size)
    else:
        assert isinstance(outcome, FailedFetch)
        assert isinstance(outcome.error, BlobStoreUnusable)
