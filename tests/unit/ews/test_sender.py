"""A mailbox to send from, with answers that make no sense."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import deque
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest
from lxml import etree

from bridge.adapters.ews import draft_calls as drafts
from bridge.adapters.ews import sender as senders
from bridge.adapters.ews import stamps
from bridge.adapters.ews.client import EwsClient, EwsConnection
from bridge.adapters.ews.sender import EwsSender
from bridge.adapters.ews.soap import MESSAGES, SOAP, TYPES, ResponseMessage, parse_answer
from bridge.adapters.system.clock import SystemClock
from bridge.domain.blobs import BytesInMemory
from bridge.domain.outbound import AttachedFile
from bridge.domain.outbound_records import CreatedDraft, DraftState, SeenDraft, Stamp
from bridge.errors import (
    BridgeError,
    CallNotPossible,
    ItemChanged,
    MailboxThrottled,
    MailboxUnavailable,
    SendOutcomeUnknown,
    SendRefused,
    SendTooLate,
)
from tests.unit.egress.harness import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bridge.adapters.http_insertion import Insertion

NO_ITEMS = '<m:RootFolder IncludesLastItemInRange="true"><t:Items/></m:RootFolder>'
FOLDER = (
    '<m:RootFolder><t:Folders><t:Folder><t:FolderId Id="f"/><t:ExtendedProperty><t:ExtendedFieldURI '
    f'PropertySetId="{stamps.PROPERTY_SET}" PropertyName="{stamps.LEDGER}" PropertyType="String"/>'
    "<t:Value>1</t:Value></t:ExtendedProperty></t:Folder></t:Folders></m:RootFolder>"
)
NO_FOLDERS = "<m:RootFolder><t:Folders/></m:RootFolder>"
INBOX = FOLDER.replace(stamps.LEDGER, stamps.HAD_LEDGER).replace("m:RootFolder", "m:Folders")


class Scripted(EwsClient):
    """Answers each operation as told, the last answer for ever; an answer is a list of codes and contents."""

    def __init__(self, **answers: list[list[tuple[str, str]]]) -> None:
        super().__init__(EwsConnection("https://exchange.example/EWS", connections=1), login=("basic", "u", "p"))
        self.answers = {operation: deque(some) for operation, some in answers.items()}
        self.answers.setdefault("FindFolder", deque([[("NoError", FOLDER), ("NoError", NO_FOLDERS)]]))
        self.answers.setdefault("GetFolder", deque([[("NoError", INBOX)]]))
        self.calls: list[etree._Element] = []
        self.seconds: list[float | None] = []
        """How long each call may take; None: as long as any."""
        self.fail_next: list[BridgeError] = []

    async def call(
        self,
        address: str,
        payload: etree._Element,
        *,
        timeout_seconds: float | None = None,
        look: Callable[[], None] = lambda: None,
    ) -> list[ResponseMessage]:
        look()
        assert address == "dispatch@example.org"
        operation = str(payload.tag).rpartition("}")[2]
        self.calls.append(payload)
        self.seconds.append(timeout_seconds)
        if self.fail_next:
            raise self.fail_next.pop(0)
        if operation == "FindItem" and _asks_since_when(payload):
            return parse_answer(_answer(operation, _found(_birth())), operation)
        script = self.answers[operation]
        return parse_answer(_answer(operation, script.popleft() if len(script) > 1 else script[0]), operation)

    def asked(self, operation: str) -> int:
        return sum(1 for call in self.calls if str(call.tag).endswith("}" + operation))

    async def call_with_content(
        self, address: str, payload: etree._Element, content: Insertion, *, timeout_seconds: float | None = None
    ) -> list[ResponseMessage]:
        assert content.mark in etree.tostring(payload, encoding="unicode")
        return await self.call(address, payload, timeout_seconds=timeout_seconds)


class Hanging(Scripted):
    """Keeps calls waiting until it is told to go on."""

    def __init__(self, **answers: list[list[tuple[str, str]]]) -> None:
        super().__init__(**answers)
        self.go_on = asyncio.Event()

    async def call(
        self,
        address: str,
        payload: etree._Element,
        *,
        timeout_seconds: float | None = None,
        look: Callable[[], None] = lambda: None,
    ) -> list[ResponseMessage]:
        answer = await super().call(address, payload, timeout_seconds=timeout_seconds, look=look)
        await self.go_on.wait()
        return answer


class Undeleting(Scripted):
    """Gives no answer to what it is to delete."""

    async def call(
        self,
        address: str,
        payload: etree._Element,
        *,
        timeout_seconds: float | None = None,
        look: Callable[[], None] = lambda: None,
    ) -> list[ResponseMessage]:
        if str(payload.tag).endswith("}DeleteItem"):
            raise MailboxUnavailable("no answer")
        return await super().call(address, payload, timeout_seconds=timeout_seconds, look=look)


def _answer(operation: str, messages: list[tuple[str, str]]) -> bytes:
    inner = "".join(
        f'<m:{operation}ResponseMessage ResponseClass="{"Success" if code == "NoError" else "Error"}">'
        f"<m:ResponseCode>{code}</m:ResponseCode>{content}</m:{operation}ResponseMessage>"
        for code, content in messages
    )
    return (
        f'<s:Envelope xmlns:s="{SOAP}" xmlns:m="{MESSAGES}" xmlns:t="{TYPES}"><s:Body><m:{operation}Response>'
        f"<m:ResponseMessages>{inner}</m:ResponseMessages></m:{operation}Response></s:Body></s:Envelope>"
    ).encode()


def _found(*items: str, last: bool = True) -> list[tuple[str, str]]:
    more = str(last).lower()
    return [
        (
            "NoError",
            f'<m:RootFolder IncludesLastItemInRange="{more}"><t:Items>{"".join(items)}</t:Items></m:RootFolder>',
        )
    ]


def _entry(*, created: str = "2026-11-24T03:00:00Z", **values: str) -> str:
    properties = {stamps.REQUEST_ID: "r-1", stamps.ATTEMPT: "a", stamps.DIGEST: "d", **values}
    extended = "".join(
        f'<t:ExtendedProperty><t:ExtendedFieldURI PropertySetId="{stamps.PROPERTY_SET}" PropertyName="{name}" '
        f'PropertyType="String"/><t:Value>{value}</t:Value></t:ExtendedProperty>'
        for name, value in properties.items()
    )
    return f'<t:Message><t:ItemId Id="i"/><t:DateTimeCreated>{created}</t:DateTimeCreated>{extended}</t:Message>'


def _birth() -> str:
    return _entry(**{stamps.ENTRY: "born", stamps.REASON: "first"}).replace(stamps.REQUEST_ID, "Another")


def _asks_since_when(payload: etree._Element) -> bool:
    values = [one.get("Value") for one in payload.iter(f"{{{TYPES}}}Constant")]
    return values == ["born"]


def _draft(name: str) -> CreatedDraft:
    return CreatedDraft(Stamp(name, "attempt", "digest"), name, "of-creation")


def _dated(ahead: timedelta) -> dict[str, str]:
    return {"Date": format_datetime(datetime.now(UTC) + ahead, usegmt=True)}


def _draft_item(item_id: str, *, submitted: bool = False) -> str:
    submission = "true" if submitted else "false"
    return f'<t:Message><t:ItemId Id="{item_id}"/><t:IsSubmitted>{submission}</t:IsSubmitted></t:Message>'


def _told(**answers: list[list[tuple[str, str]]]) -> Scripted:
    """Return a client that knows what time it is at Exchange."""
    client = Scripted(**answers)
    client.time.note(_dated(timedelta()), asked_at=client.time.elapsed())
    return client


def _sender(client: EwsClient) -> EwsSender:
    return EwsSender(client, "dispatch@example.org")


@pytest.mark.parametrize("count", [0, 2])
async def test_other_number_of_answers_than_of_searches_is_trouble_and_no_bug(count: int) -> None:
    client = Scripted(FindItem=[[("NoError", NO_ITEMS)] * count])

    with pytest.raises(MailboxUnavailable):
        await _sender(client).find_drafts("r-1")


async def test_search_that_never_ends_is_given_up() -> None:
    client = Scripted(FindItem=[_found(*[_entry()] * 250, last=False)])

    with pytest.raises(MailboxUnavailable):
        await _sender(client).find_in_ledger("r-1")

    assert client.asked("FindItem") < 1000


async def test_sweep_says_how_many_were_deleted_and_not_how_many_were_asked_for() -> None:
    answers = [("NoError", ""), ("ErrorItemNotFound", ""), ("ErrorAccessDenied", "")]
    client = _told(FindItem=[_found(), _found(*[_entry()] * 3)], DeleteItem=[answers])

    assert await _sender(client).sweep(timedelta(days=14), limit=3) == 2


async def test_second_call_that_sends_says_so_in_its_entry() -> None:
    client = Scripted(FindItem=[_found(_entry())], CreateItem=[[("NoError", "")]])

    with pytest.raises(SendOutcomeUnknown):  # the answer that is told here has no id
        await _sender(client).enter_begun(Stamp("r-1", "a-1", "d-1"), 1, call=2)

    values = [value.text for value in client.calls[-1].iter(f"{{{TYPES}}}Value")]
    assert values[-2:] == ["1", "2"]


async def test_search_of_sent_items_is_bounded_by_time_where_a_time_is_given() -> None:
    client = Scripted(FindItem=[[("NoError", NO_ITEMS)]])
    since = datetime(2026, 12, 1, 3, 0, tzinfo=UTC)

    with contextlib.suppress(BridgeError):  # what is answered is of no matter here
        await _sender(client).find_in_sent_items("r-1", since=since)

    [bound] = client.calls[-1].iter(f"{{{TYPES}}}IsGreaterThanOrEqualTo")
    assert [one.get("Value") for one in bound.iter(f"{{{TYPES}}}Constant")] == ["2026-12-01T03:00:00Z"]


async def test_sweep_takes_drafts_before_entries_and_no_more_than_it_is_told() -> None:
    """A draft without its entry would be taken for one whose send was never begun."""
    client = _told(FindItem=[_found(_entry())], DeleteItem=[[("NoError", "")]])

    assert await _sender(client).sweep(timedelta(days=14), limit=1) == 1

    assert [_folder_of(call) for call in client.calls if call.tag.endswith("}FindItem")] == ["drafts"]


async def test_sweep_leaves_a_draft_that_is_on_its_way_out() -> None:
    """Deleted between its submission and its leaving Drafts, the mail might never go out."""
    drafts = (_draft_item("d-0"), _draft_item("d-1", submitted=True), _draft_item("d-2"))
    client = _told(FindItem=[_found(*drafts), _found()], DeleteItem=[[("NoError", "")] * 2])

    assert await _sender(client).sweep(timedelta(days=14), limit=9) == 2

    assert [one.get("Id") for one in client.calls[-1].iter(f"{{{TYPES}}}ItemId")] == ["d-0", "d-2"]


async def test_sweep_that_deletes_nothing_says_why() -> None:
    client = _told(FindItem=[_found(), _found(_entry())], DeleteItem=[[("ErrorServerBusy", "")]])

    with pytest.raises(MailboxThrottled):
        await _sender(client).sweep(timedelta(days=14), limit=1)


async def test_sweep_whose_deletion_has_no_answer_may_have_deleted() -> None:
    client = Undeleting(FindItem=[_found(), _found(_entry())])
    client.time.note(_dated(timedelta()), asked_at=client.time.elapsed())

    with pytest.raises(SendOutcomeUnknown):
        await _sender(client).sweep(timedelta(days=14), limit=1)


async def test_sweep_with_another_number_of_answers_raises() -> None:
    client = _told(FindItem=[_found(), _found(_entry(), _entry())], DeleteItem=[[("NoError", "")]])

    with pytest.raises(BridgeError):
        await _sender(client).sweep(timedelta(days=14), limit=2)


async def test_clock_of_an_answer_that_is_months_ahead_sweeps_nothing_that_is_needed() -> None:
    client = Scripted(FindItem=[_found()], DeleteItem=[[("NoError", "")]])
    clock = SystemClock()
    clock.server("Entra").note(_dated(timedelta()), asked_at=client.time.elapsed())
    client.time.note(_dated(timedelta(days=100)), asked_at=client.time.elapsed())

    await EwsSender(client, "dispatch@example.org", certain_now=clock.certain_now).sweep(timedelta(days=14), limit=1)

    def latest(age: timedelta) -> str:
        return (datetime.now(UTC) - age + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")

    values = [one.get("Value", "") for call in client.calls for one in call.iter(f"{{{TYPES}}}Constant")]
    *deleted, archived = [value for value in values if value.startswith("20")]
    assert [value <= latest(timedelta(days=14)) for value in deleted] == [True, True, True]
    assert archived <= latest(timedelta(hours=26))


@pytest.mark.parametrize("told", ["Entra", "Exchange"])
async def test_nothing_is_swept_while_one_of_those_who_must_say_has_not_said_what_time_it_is(told: str) -> None:
    client, clock = Scripted(FindItem=[_found(_entry())], DeleteItem=[[("NoError", "")]]), SystemClock()
    server = clock.server("Entra") if told == "Entra" else client.time
    server.note(_dated(timedelta(days=100)), asked_at=client.time.elapsed())
    sender = EwsSender(client, "dispatch@example.org", certain_now=clock.certain_now)

    assert await sender.sweep(timedelta(days=14), limit=1) == 0
    assert not client.calls


@pytest.mark.parametrize(
    "date",
    [
        "Mon, 01 Jan 2024 00:00:00 +99999999999999",
        "Mon, 01 Jan 2024 99999999999999999:00:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Mon, 01 Jan 0100 00:00:00 GMT",
    ],
)
async def test_date_of_an_answer_that_can_be_no_time_is_ignored(date: str) -> None:
    client = Scripted(FindItem=[_found()])

    client.time.note({"Date": date}, asked_at=client.time.elapsed())

    assert abs(client.now() - datetime.now(UTC)) < timedelta(minutes=1)
    await _sender(client).begun_since(timedelta(days=1))


@pytest.mark.parametrize("reason", ["5", "null", "[[], {}, 1]", '["failed"]', "[" * 100_000, "{}"])
async def test_entry_that_somebody_meddled_with_is_read_without_its_reason(reason: str) -> None:
    entry = _entry(**{stamps.ENTRY: "ended", stamps.REASON: reason, stamps.RECIPIENTS: "9" * 5000})
    client = Scripted(FindItem=[_found(_birth(), entry)])

    [read] = (await _sender(client).find_in_ledger("r-1")).entries

    assert (read.reason, read.recipients) == (None, 0)


async def test_a_draft_carries_its_stamp_from_its_creation_and_is_sent_with_the_key_of_that() -> None:
    """Without the stamp nobody could find it again; with a key that was read later a void would be no fence."""
    made = '<m:Items><t:Message><t:ItemId Id="draft" ChangeKey="of-creation"/></t:Message></m:Items>'
    client = Scripted(CreateItem=[[("NoError", made)]], SendItem=[[("NoError", "")]])
    sender = EwsSender(client, "dispatch@example.org")
    stamp = Stamp("r-1", "attempt", "digest")

    draft = await sender.create_draft(b"Subject: x\r\n\r\n", stamp)
    await sender.send(draft)

    [creation, send] = client.calls
    [message] = creation.iter(f"{{{TYPES}}}Message")
    assert stamps.stamp_of(stamps.properties_of(message)) == stamp
    [item_id] = send.iter(f"{{{TYPES}}}ItemId")
    assert (item_id.get("Id"), item_id.get("ChangeKey")) == ("draft", "of-creation")


async def test_a_mail_whose_time_is_over_when_its_call_goes_out_is_not_sent() -> None:
    client = Scripted(SendItem=[[("NoError", "")]])
    draft = CreatedDraft(Stamp("r-1", "attempt", "digest"), "draft", "of-creation")

    with pytest.raises(SendTooLate):
        await _sender(client).send(draft, still=lambda: False)

    assert not client.calls


async def test_requests_that_ask_at_the_same_time_share_a_call_and_each_is_told_its_own_answer() -> None:
    client = Scripted(SendItem=[[("NoError", ""), ("ErrorStaleObject", ""), ("ErrorInternalServerError", "")]])
    sender = _sender(client)

    answers = await asyncio.gather(*(sender.send(_draft(name)) for name in "abc"), return_exceptions=True)

    assert [type(one) for one in answers] == [type(None), ItemChanged, SendOutcomeUnknown]
    [send] = client.calls
    assert [one.get("Id") for one in send.iter(f"{{{TYPES}}}ItemId")] == ["a", "b", "c"]


@pytest.mark.parametrize("refusal", [SendRefused("HTTP 413"), CallNotPossible("ErrorInvalidRequest")])
async def test_a_refusal_of_a_whole_call_is_nobodys_until_each_has_asked_alone(refusal: BridgeError) -> None:
    """The size of all, or something in one of them: the others must not fail for good with it."""
    good = '<m:Items><t:Message><t:ItemId Id="draft" ChangeKey="key"/></t:Message></m:Items>'
    client = Scripted(CreateItem=[[("NoError", good)], [("ErrorMessageSizeExceeded", "")]])
    client.fail_next = [refusal]
    sender = _sender(client)

    async def create(name: str) -> CreatedDraft:
        return await sender.create_draft(b"Subject: x\r\n\r\n", Stamp(name, "attempt", "digest"))

    together = await asyncio.gather(create("r-1"), create("r-2"), return_exceptions=True)
    alone = await asyncio.gather(create("r-1"), create("r-2"), return_exceptions=True)

    assert [type(one) for one in together] == [SendOutcomeUnknown] * 2
    assert [type(one) for one in alone] == [CreatedDraft, SendRefused]


@pytest.mark.parametrize("answers", [1, 3])
async def test_another_number_of_answers_than_of_sends_leaves_all_of_them_unknown(answers: int) -> None:
    sender = _sender(Scripted(SendItem=[[("NoError", "")] * answers]))

    told = await asyncio.gather(*(sender.send(_draft(name)) for name in "ab"), return_exceptions=True)

    assert [type(one) for one in told] == [SendOutcomeUnknown] * 2


async def test_none_of_a_call_is_sent_where_the_time_of_one_is_over_when_it_goes_out() -> None:
    client = Scripted(SendItem=[[("NoError", "")]])
    sender = _sender(client)
    looks = iter([True, False])

    told = await asyncio.gather(
        sender.send(_draft("a")), sender.send(_draft("b"), still=lambda: next(looks)), return_exceptions=True
    )

    assert [type(one) for one in told] == [SendTooLate] * 2
    assert not client.calls


async def test_who_is_too_late_before_the_call_is_left_out_of_it() -> None:
    client = Scripted(SendItem=[[("NoError", ""), ("ErrorStaleObject", "")]])
    sender = _sender(client)

    told = await asyncio.gather(
        sender.send(_draft("a")),
        sender.send(_draft("b"), still=lambda: False),
        sender.send(_draft("c")),
        return_exceptions=True,
    )

    assert [type(one) for one in told] == [type(None), SendTooLate, ItemChanged]
    [send] = client.calls
    assert [one.get("Id") for one in send.iter(f"{{{TYPES}}}ItemId")] == ["a", "c"]


async def test_a_search_for_several_that_does_not_end_on_its_page_is_made_for_each_alone() -> None:
    """Mails of the others leave between two pages, and one that is there could be skipped."""
    first_page = _found(_entry(), last=False)
    client = Scripted(FindItem=[first_page, _found(), _found()])
    sender = _sender(client)

    together = await asyncio.gather(*(sender.find_drafts(name) for name in ("r-1", "r-2")), return_exceptions=True)
    alone = await asyncio.gather(*(sender.find_drafts(name) for name in ("r-1", "r-2")))

    assert [type(one) for one in together] == [MailboxUnavailable] * 2
    assert alone == [[], []]
    assert client.asked("FindItem") == 3


async def test_large_drafts_share_no_call_beyond_its_bound_and_hold_up_no_small_one() -> None:
    item = '<m:Items><t:Message><t:ItemId Id="d" ChangeKey="k"/></t:Message></m:Items>'
    client = Hanging(CreateItem=[[("NoError", item)]])
    sender = EwsSender(client, "dispatch@example.org")
    large = [
        asyncio.create_task(sender.create_draft(b"x" * (4 << 20), Stamp(f"r-{number}", "attempt", "digest")))
        for number in range(3)
    ]
    await eventually(lambda: len(client.seconds) == 2)

    small = asyncio.create_task(sender.create_draft(b"x" * 1000, Stamp("small", "attempt", "digest")))
    await eventually(lambda: len(client.seconds) == 3)
    client.go_on.set()
    await asyncio.gather(*large, small)

    assert client.seconds == [client.call_timeout_seconds + 4, client.call_timeout_seconds + 4, None,
                              client.call_timeout_seconds + 4]  # fmt: skip
    assert [sum(1 for _ in call.iter(f"{{{TYPES}}}Message")) for call in client.calls] == [1] * 4


async def test_what_is_found_for_several_requests_is_told_to_the_one_that_it_belongs_to() -> None:
    begun = {stamps.ENTRY: "begun", stamps.RECIPIENTS: "1"}
    other = {**begun, stamps.REQUEST_ID: "r-2"}
    client = Scripted(FindItem=[_found(_birth(), _entry(**begun), _entry(**other), _entry(**other))])
    sender = _sender(client)
    await sender.prepare()

    views = await asyncio.gather(*(sender.find_in_ledger(f"r-{number}") for number in (1, 2, 3, 2)))

    assert [[one.stamp.request_id for one in view.entries] for view in views] == [
        ["r-1"],
        ["r-2", "r-2"],
        [],
        ["r-2", "r-2"],
    ]
    assert sum(not _asks_since_when(call) for call in client.calls if str(call.tag).endswith("}FindItem")) == 1


async def test_a_search_that_does_not_mind_the_case_tells_no_request_of_another_ones_mails() -> None:
    """Whether IsEqualTo minds it is a guess; of two ids that differ in case alone, each has its own mails."""
    begun = {stamps.ENTRY: "begun", stamps.RECIPIENTS: "1"}
    other = {**begun, stamps.REQUEST_ID: "R-1"}
    both = _found(_birth(), _entry(**begun), _entry(**other))
    client = Scripted(FindItem=[both])
    sender = _sender(client)
    await sender.prepare()

    for asked in (["r-1"], ["r-1", "R-1"], ["r-1", "r-2"]):
        ledger = await asyncio.gather(*(sender.find_in_ledger(one) for one in asked))
        drafts = await asyncio.gather(*(sender.find_drafts(one) for one in asked))
        sent = [await sender.find_in_sent_items(one) for one in asked]
        theirs = [[one] if one != "r-2" else [] for one in asked]

        assert [[one.stamp.request_id for one in view.entries] for view in ledger] == theirs
        assert [[one.stamp.request_id for one in found] for found in drafts] == theirs
        assert [[one.stamp.request_id for one in found] for found in sent] == theirs


async def test_a_void_never_overwrites_what_became_of_the_draft_since_it_was_seen() -> None:
    client = Scripted(UpdateItem=[[("NoError", "")]])
    seen = SeenDraft(Stamp("r-1", "attempt", "digest"), "draft", "as-seen", DraftState.UNSENT)

    await EwsSender(client, "dispatch@example.org").void(seen)

    [update] = client.calls
    [item_id] = update.iter(f"{{{TYPES}}}ItemId")
    assert (item_id.get("Id"), item_id.get("ChangeKey")) == ("draft", "as-seen")
    assert update.get("ConflictResolution") == "NeverOverwrite"


async def test_a_draft_in_parts_gets_its_stamp_by_the_last_call_and_is_sent_with_the_key_of_that() -> None:
    """Half a draft must not be taken for the draft of its request."""
    saved = '<m:Items><t:Message><t:ItemId Id="draft" ChangeKey="{}"/></t:Message></m:Items>'
    attached = (
        '<m:Attachments><t:FileAttachment><t:AttachmentId Id="a" RootItemId="draft" RootItemChangeKey="{}"/>'
        "</t:FileAttachment></m:Attachments>"
    )
    client = Scripted(
        CreateItem=[[("NoError", saved.format("1"))]],
        CreateAttachment=[[("NoError", attached.format("2"))], [("NoError", attached.format("3"))]],
        UpdateItem=[[("NoError", saved.format("4"))]],
    )

    async def attachments() -> AsyncIterator[AttachedFile]:
        for name in ("one", "two"):
            yield AttachedFile(name, "application/pdf", 7, BytesInMemory(b"content").pieces)

    stamp = Stamp("r-1", "attempt", "digest")
    draft = await _sender(client).create_draft_in_parts(b"Subject: x\r\n\r\n", attachments(), stamp)

    assert (draft.item_id, draft.version) == ("draft", "4")
    written = [[uri.get("PropertyName") for uri in call.iter(f"{{{TYPES}}}ExtendedFieldURI")] for call in client.calls]
    assert written[:3] == [[stamps.REQUEST_ID], [], []]
    assert set(written[3]) == set(stamps.STAMP_NAMES)
    [changed] = client.calls[3].iter(f"{{{TYPES}}}ItemId")
    assert changed.get("ChangeKey") == "3"
    assert client.calls[3].get("ConflictResolution") == "NeverOverwrite"


async def test_a_large_mail_has_the_longer_to_reach_exchange() -> None:
    """Given up each time after the time of any call, it would be uploaded again and again."""
    item = '<m:Items><t:Message><t:ItemId Id="d" ChangeKey="k"/></t:Message></m:Items>'
    client = Scripted(CreateItem=[[("NoError", item)]])
    sender = EwsSender(client, "dispatch@example.org")

    await sender.create_draft(b"x" * 100_000, Stamp("r", "a" * 32, "d" * 64))
    await sender.create_draft(b"x" * (48 << 20), Stamp("r", "a" * 32, "d" * 64))

    assert client.seconds == [None, client.call_timeout_seconds + 48]


def _folder_of(call: etree._Element) -> str | None:
    return next((one.get("Id") for one in call.iter(f"{{{TYPES}}}DistinguishedFolderId")), None)


async def test_a_mail_of_a_request_whose_id_differs_in_case_alone_is_not_told_as_this_ones() -> None:
    """Exchange compares without regard to case."""
    client = Scripted(FindItem=[_found(_entry(**{stamps.REQUEST_ID: "R-1"}), _entry())])

    [mail] = await _sender(client).find_in_sent_items("R-1")
    [draft] = await _sender(client).find_drafts("r-1")

    assert (mail.stamp.request_id, draft.stamp.request_id) == ("R-1", "r-1")


async def test_an_entry_of_a_request_whose_id_differs_in_case_alone_is_not_told_as_this_ones() -> None:
    begun = {stamps.ENTRY: "begun", stamps.RECIPIENTS: "1"}
    other = {**begun, stamps.REQUEST_ID: "R-1"}
    client = Scripted(FindItem=[_found(_birth(), _entry(**other), _entry(**begun))])

    view = await _sender(client).find_in_ledger("r-1")

    assert [entry.stamp.request_id for entry in view.entries] == ["r-1"]


async def test_a_mail_that_was_deleted_twice_is_found_where_the_ledger_was_lost() -> None:
    """Whoever empties Deleted Items moves it on to where only a recovery shows it."""
    sent = _entry().replace("</t:Message>", "<t:IsDraft>false</t:IsDraft></t:Message>")
    client = Scripted(FindItem=[_found(), _found(), _found(sent)])

    found = await _sender(client).find_in_sent_items("r-1", deleted=True)

    assert [mail.stamp.request_id for mail in found] == ["r-1"]
    assert [_folder_of(call) for call in client.calls] == ["sentitems", "deleteditems", "recoverableitemsdeletions"]


async def test_a_mail_that_was_deleted_shows_beside_one_that_was_not() -> None:
    """Two mails of a request may differ in content, and one alone may have other content than the request."""
    there = _entry(**{stamps.ATTEMPT: "there"}).replace("</t:Message>", "<t:IsDraft>false</t:IsDraft></t:Message>")
    deleted = _entry(**{stamps.ATTEMPT: "deleted"}).replace("</t:Message>", "<t:IsDraft>false</t:IsDraft></t:Message>")
    client = Scripted(FindItem=[_found(there), _found(deleted), _found()])

    found = await _sender(client).find_in_sent_items("r-1", deleted=True)

    assert [mail.stamp.attempt for mail in found] == ["there", "deleted"]


@pytest.mark.parametrize("said", ["<t:IsDraft>true</t:IsDraft>", ""])
async def test_a_draft_that_somebody_deleted_is_no_mail_that_was_sent(said: str) -> None:
    draft = _entry().replace("</t:Message>", f"{said}</t:Message>")
    client = Scripted(FindItem=[_found(), _found(draft)])

    assert await _sender(client).find_in_sent_items("r-1", deleted=True) == []


async def test_a_large_request_is_written_beside_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Written on it, the heartbeats of all leases and connections would wait for its base64."""
    item = '<m:Items><t:Message><t:ItemId Id="d" ChangeKey="k"/></t:Message></m:Items>'
    client, written, real = Scripted(CreateItem=[[("NoError", item)]]), list[int](), drafts.creation

    def creation(*drafts: tuple[bytes, dict[str, str]]) -> etree._Element:
        written.append(threading.get_ident())
        return real(*drafts)

    monkeypatch.setattr(senders, "creation", creation)

    await _sender(client).create_draft(b"x" * (2 << 20), Stamp("r", "a" * 32, "d" * 64))

    assert len(written) == 1
    assert threading.get_ident() not in written
