"""Subscribe, Unsubscribe, GetEvents and GetStreamingEvents."""

from __future__ import annotations

import re
import threading
import time
from base64 import b64encode
from typing import TYPE_CHECKING

import pytest
import requests
from lxml import etree

from bridge.sandbox.ews.behaviour.backends import back_end
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.hooks import StreamFault
from bridge.sandbox.ews.subscriptions import Subscriptions, is_id, new_id, read_watermark, watermark
from bridge.sandbox.store import changes
from tests.unit.sandbox.ews.conftest import ADDRESS, OTHER, M, T, User, a_mail, item_ids

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.sandbox.ews.conftest import Ews

_EVENTS = ("CopiedEvent", "CreatedEvent", "DeletedEvent", "ModifiedEvent", "MovedEvent", "NewMailEvent")
_ENVELOPE = re.compile(rb"<Envelope .*?</Envelope>", re.DOTALL)


def subscription(kind: str, *, folder: str = "inbox", events: tuple[str, ...] = _EVENTS, rest: str = "") -> str:
    where = f"<t:FolderIds><t:DistinguishedFolderId Id='{folder}'/></t:FolderIds>" if folder else ""
    everywhere = "" if folder else " SubscribeToAllFolders='true'"
    wanted = "".join(f"<t:EventType>{name}</t:EventType>" for name in events)
    return (
        f"<m:Subscribe><m:{kind}SubscriptionRequest{everywhere}>{where}<t:EventTypes>{wanted}</t:EventTypes>{rest}"
        f"</m:{kind}SubscriptionRequest></m:Subscribe>"
    )


def pull(ews: Ews, **how: object) -> tuple[str, str]:
    answer = ews.call(subscription("Pull", rest="<t:Timeout>10</t:Timeout>", **how))  # type: ignore[arg-type]  # as they are
    return str(next(answer.iter(M + "SubscriptionId")).text), str(next(answer.iter(M + "Watermark")).text)


def impersonating(address: str) -> str:
    return (
        "<t:ExchangeImpersonation><t:ConnectingSID><t:SmtpAddress>"
        f"{address}</t:SmtpAddress></t:ConnectingSID></t:ExchangeImpersonation>"
    )


def stream(ews: Ews, *, user: str = ADDRESS, impersonated: str = "", **how: object) -> str:
    request = subscription("Streaming", **how)  # type: ignore[arg-type]  # likewise
    header = impersonating(impersonated) if impersonated else ""
    answer = ews.call(request, user=user, header=header, anchor=impersonated or None)
    assert not list(answer.iter(M + "Watermark"))
    return str(next(answer.iter(M + "SubscriptionId")).text)


def events(ews: Ews, subscription_id: str, mark: str, *, user: str = ADDRESS) -> etree._Element:
    request = (
        f"<m:GetEvents><m:SubscriptionId>{subscription_id}</m:SubscriptionId><m:Watermark>{mark}</m:Watermark>"
        "</m:GetEvents>"
    )
    return ews.call(request, user=user)


def told(answer: etree._Element) -> list[tuple[str, str]]:
    """The events in an answer: its kind and the id of its item or folder."""
    found = []
    for notification in answer.iter(M + "Notification"):
        for event in notification:
            name = str(event.tag).rpartition("}")[2]
            if name.endswith("Event"):
                objects = [str(node.get("Id")) for node in event if node.tag in (T + "ItemId", T + "FolderId")]
                found.append((name, objects[0] if objects else ""))
    return found


def last_mark(answer: etree._Element) -> str:
    return str(list(answer.iter(T + "Watermark"))[-1].text)


class Streaming:
    """A streamed answer that is read as it comes."""

    def __init__(
        self, ews: Ews, *ids: str, minutes: int = 30, user: str = ADDRESS, patience: float = 20, impersonated: str = ""
    ) -> None:
        listed = "".join(f"<t:SubscriptionId>{one}</t:SubscriptionId>" for one in ids)
        body = (
            '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
            'xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages" '
            'xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"><s:Header>'
            '<t:RequestServerVersion Version="Exchange2016"/>'
            f"{impersonating(impersonated) if impersonated else ''}</s:Header><s:Body><m:GetStreamingEvents>"
            f"<m:SubscriptionIds>{listed}</m:SubscriptionIds><m:ConnectionTimeout>{minutes}</m:ConnectionTimeout>"
            "</m:GetStreamingEvents></s:Body></s:Envelope>"
        )
        headers = {"X-AnchorMailbox": impersonated} if impersonated else {}
        self.answer = requests.post(
            ews.url, data=body.encode(), headers=headers, auth=(user, "x"), stream=True, timeout=patience
        )
        self._read = b""
        self._chunks = self.answer.iter_content(None)

    def __iter__(self) -> Iterator[etree._Element]:
        return self

    def __next__(self) -> etree._Element:
        """The next envelope, StopIteration at the end of the answer."""
        while not (found := _ENVELOPE.search(self._read)):
            self._read += next(self._chunks)
        self._read = self._read[found.end() :]
        return etree.fromstring(found[0])

    def rest(self) -> bytes:
        return self._read + b"".join(self._chunks)

    def news(self) -> list[tuple[str, str]]:
        """The events of the next envelope that has other ones than heartbeats."""
        return next(found for found in map(told, self) if found and found[0][0] != "StatusEvent")

    def close(self) -> None:
        self.answer.close()


def codes(answer: etree._Element) -> list[str | None]:
    return [node.text for node in answer.iter(M + "ResponseCode")]


# Pull


def test_without_news_there_is_a_status_event(ews: Ews) -> None:
    subscription_id, mark = pull(ews)

    answer = events(ews, subscription_id, mark)

    assert told(answer) == [("StatusEvent", "")]
    assert next(answer.iter(T + "PreviousWatermark")).text == mark
    assert next(answer.iter(T + "MoreEvents")).text == "false"


def test_a_mail_is_created_arrives_and_changes_its_folder(ews: Ews) -> None:
    subscription_id, mark = pull(ews)
    mail = ews.store.deliver(ADDRESS, a_mail(1)).item_id
    inbox = next(folder.id for folder in ews.store.folders(ADDRESS) if folder.distinguished == "inbox")

    answer = events(ews, subscription_id, mark)

    assert told(answer) == [("CreatedEvent", mail), ("NewMailEvent", mail), ("ModifiedEvent", inbox)]
    assert next(answer.iter(T + "UnreadCount")).text == "1"
    assert told(events(ews, subscription_id, last_mark(answer))) == [("StatusEvent", "")]
    assert told(events(ews, subscription_id, mark)) == told(answer)


def test_what_happens_to_an_item_is_told_in_order(ews: Ews) -> None:
    mail = ews.store.deliver(ADDRESS, a_mail(1)).item_id
    subscription_id, mark = pull(ews, folder="")
    ids = f"<m:ItemIds><t:ItemId Id='{mail}'/></m:ItemIds>"
    drafts = "<m:ToFolderId><t:DistinguishedFolderId Id='drafts'/></m:ToFolderId>"

    ews.call(
        "<m:UpdateItem ConflictResolution='AlwaysOverwrite' MessageDisposition='SaveOnly'><m:ItemChanges><t:ItemChange>"
        f"<t:ItemId Id='{mail}'/><t:Updates><t:SetItemField><t:FieldURI FieldURI='message:IsRead'/><t:Message>"
        "<t:IsRead>true</t:IsRead></t:Message></t:SetItemField></t:Updates></t:ItemChange></m:ItemChanges></m:UpdateItem>"
    )
    ((copy, _),) = item_ids(ews.call(f"<m:CopyItem>{drafts}{ids}</m:CopyItem>"))
    ((moved, _),) = item_ids(ews.call(f"<m:MoveItem>{drafts}{ids}</m:MoveItem>"))
    ews.call(f"<m:DeleteItem DeleteType='HardDelete'><m:ItemIds><t:ItemId Id='{copy}'/></m:ItemIds></m:DeleteItem>")
    answer = events(ews, subscription_id, mark)

    of_items = [one for one in told(answer) if len(one[1]) > 140]
    assert of_items == [
        ("ModifiedEvent", mail), ("CopiedEvent", copy), ("MovedEvent", moved), ("DeletedEvent", copy),
    ]  # fmt: skip
    assert [node.get("Id") for node in answer.iter(T + "OldItemId")] == [mail, mail]
    marks = [read_watermark(str(node.text)) for node in answer.iter(T + "Watermark")]
    assert marks == sorted(marks)


def test_folders_are_told_as_well(ews: Ews) -> None:
    subscription_id, mark = pull(ews, folder="")
    answer = ews.call(
        "<m:CreateFolder><m:ParentFolderId><t:DistinguishedFolderId Id='inbox'/></m:ParentFolderId><m:Folders>"
        "<t:Folder><t:DisplayName>a</t:DisplayName></t:Folder></m:Folders></m:CreateFolder>"
    )
    folder = str(next(answer.iter(T + "FolderId")).get("Id"))
    ids = f"<m:FolderIds><t:FolderId Id='{folder}'/></m:FolderIds>"
    ews.call(f"<m:DeleteFolder DeleteType='MoveToDeletedItems'>{ids}</m:DeleteFolder>")
    ews.call(f"<m:DeleteFolder DeleteType='HardDelete'>{ids}</m:DeleteFolder>")

    assert told(events(ews, subscription_id, mark)) == [
        ("CreatedEvent", folder), ("MovedEvent", folder), ("DeletedEvent", folder),
    ]  # fmt: skip


def test_only_the_folders_and_events_that_were_asked_for_are_told(ews: Ews) -> None:
    drafts, mark = pull(ews, folder="drafts")
    arrivals, _ = pull(ews, events=("NewMailEvent",))
    mail = ews.store.deliver(ADDRESS, a_mail(1)).item_id
    ews.store.deliver(OTHER, a_mail(2))

    assert told(events(ews, drafts, mark)) == [("StatusEvent", "")]
    assert told(events(ews, arrivals, mark)) == [("NewMailEvent", mail)]


def test_what_is_too_much_for_one_answer_comes_in_several(ews: Ews) -> None:
    subscription_id, mark = pull(ews, events=("NewMailEvent",))
    ids = [ews.store.deliver(ADDRESS, a_mail(number)).item_id for number in range(60)]
    seen: list[tuple[str, str]] = []

    more = True
    while more:
        answer = events(ews, subscription_id, mark)
        seen += told(answer)
        mark = last_mark(answer)
        more = next(answer.iter(T + "MoreEvents")).text == "true"

    assert [one for _, one in seen] == ids


def test_a_new_subscription_goes_on_at_an_old_watermark(ews: Ews) -> None:
    _, mark = pull(ews)
    mail = ews.store.deliver(ADDRESS, a_mail(1)).item_id
    answer = ews.call(
        subscription(
            "Pull", rest=f"<t:Watermark>{mark}</t:Watermark><t:Timeout>1</t:Timeout>", events=("CreatedEvent",)
        )
    )

    assert next(answer.iter(M + "Watermark")).text == mark
    assert told(events(ews, str(next(answer.iter(M + "SubscriptionId")).text), mark)) == [("CreatedEvent", mail)]


@pytest.mark.parametrize("mark", ["AAAA", "no base64", watermark(1 << 40), b64encode(b"\x01" * 13).decode()])
def test_what_is_no_watermark_is_refused(ews: Ews, mark: str) -> None:
    subscription_id, _ = pull(ews)

    assert codes(events(ews, subscription_id, mark)) == ["ErrorInvalidWatermark"]
    refused = ews.codes(subscription("Pull", rest=f"<t:Watermark>{mark}</t:Watermark><t:Timeout>1</t:Timeout>"))
    assert refused == ["ErrorInvalidWatermark"]


def test_a_watermark_older_than_the_log_is_refused(ews: Ews) -> None:
    subscription_id, mark = pull(ews)
    for number in range(3):
        ews.store.deliver(ADDRESS, a_mail(number))
    with ews.store.writing() as db:
        db.execute("DELETE FROM changes WHERE seq < ?", (changes.last(db),))

    assert codes(events(ews, subscription_id, mark)) == ["ErrorInvalidWatermark"]


# Subscriptions


def test_an_ended_subscription_is_unknown(ews: Ews) -> None:
    subscription_id, mark = pull(ews)
    end = f"<m:Unsubscribe><m:SubscriptionId>{subscription_id}</m:SubscriptionId></m:Unsubscribe>"

    assert ews.codes(end) == ["NoError"]
    assert ews.codes(end) == ["ErrorSubscriptionNotFound"]
    assert codes(events(ews, subscription_id, mark)) == ["ErrorSubscriptionNotFound"]


def test_what_is_no_id_is_invalid_and_somebody_elses_is_refused(ews: Ews) -> None:
    subscription_id, mark = pull(ews)

    assert codes(events(ews, "AAA-", mark)) == ["ErrorInvalidSubscription"]
    assert codes(events(ews, subscription_id, mark, user=OTHER)) == ["ErrorSubscriptionAccessDenied"]
    assert ews.codes(
        f"<m:Unsubscribe><m:SubscriptionId>{subscription_id}</m:SubscriptionId></m:Unsubscribe>", user=OTHER
    ) == ["ErrorSubscriptionAccessDenied"]


def test_a_stream_is_not_pulled_and_a_pull_subscription_not_streamed(ews: Ews) -> None:
    pulled, mark = pull(ews)

    assert codes(events(ews, stream(ews), mark)) == ["ErrorInvalidPullSubscriptionId"]
    (only,) = Streaming(ews, pulled)
    assert codes(only) == ["ErrorInvalidSubscription"]


def test_push_is_refused_as_where_exchange_cannot_call_back(ews: Ews) -> None:
    rest = "<t:StatusFrequency>1</t:StatusFrequency><t:URL>https://example.org/</t:URL>"

    assert ews.codes(subscription("Push", rest=rest)) == ["ErrorInvalidPushSubscriptionUrl"]


def test_folders_and_all_folders_are_one_too_many_and_neither_too_few(ews: Ews) -> None:
    both = subscription("Streaming").replace(
        "<m:StreamingSubscriptionRequest", "<m:StreamingSubscriptionRequest SubscribeToAllFolders='true'"
    )
    neither = subscription("Streaming", folder="").replace(" SubscribeToAllFolders='true'", "")

    assert ews.codes(both) == ["ErrorInvalidSubscriptionRequest"]
    assert ews.codes(neither) == ["ErrorInvalidSubscriptionRequest"]


def test_a_mailbox_has_twenty_subscriptions(ews: Ews) -> None:
    ids = [stream(ews) for _ in range(20)]

    assert ews.codes(subscription("Streaming")) == ["ErrorExceededSubscriptionCount"]
    stream(ews, user=OTHER)
    ews.call(f"<m:Unsubscribe><m:SubscriptionId>{ids[0]}</m:SubscriptionId></m:Unsubscribe>")
    stream(ews)


def test_a_subscription_that_is_not_used_for_its_time_is_forgotten(ews: Ews) -> None:
    now = 0.0
    book = Subscriptions(clock=lambda: now)
    caller, mailbox = User(ADDRESS), ews.store.mailbox(ADDRESS)
    made = book.add(mailbox, caller, streaming=False, folders=None, events=frozenset(), place=0, idle_seconds=60)
    told_on = book.add(mailbox, caller, streaming=True, folders=None, events=frozenset(), place=0)
    book.connect(stream := object(), ADDRESS, [told_on])

    now = 59.0
    assert book.find(made.id, caller) is made
    now = 120.0
    with pytest.raises(EwsError, match="ErrorSubscriptionNotFound"):
        book.find(made.id, caller)
    now = 100_000.0
    assert book.find(told_on.id, caller) is told_on
    book.disconnect(stream, ADDRESS, [told_on])
    now = 200_000.0
    with pytest.raises(EwsError, match="ErrorSubscriptionNotFound"):
        book.find(told_on.id, caller)


def test_ids_have_a_form_of_their_own() -> None:
    assert is_id(new_id())
    assert is_id("f6bc657d-dde1-4f94-952d-143b95d6483d")
    assert not any(map(is_id, ("", "AAAA", "AAA-", "x" * 1000, new_id()[4:])))


# Streams


def test_a_stream_begins_at_once_and_tells_what_happens(ews: Ews) -> None:
    subscription_id = stream(ews, events=("NewMailEvent",))
    streaming = Streaming(ews, subscription_id)

    first = next(streaming)
    mail = ews.store.deliver(ADDRESS, a_mail(1)).item_id

    assert streaming.answer.headers["Transfer-Encoding"] == "chunked"
    assert next(first.iter(M + "ConnectionStatus")).text == "OK"
    assert streaming.news() == [("NewMailEvent", mail)]
    streaming.close()


def test_a_stream_beats_while_nothing_happens_and_closes_when_its_time_is_over(ews: Ews) -> None:
    streaming = list(Streaming(ews, stream(ews), minutes=1))

    assert ("StatusEvent", "") in [event for one in streaming for event in told(one)]
    assert next(streaming[-1].iter(M + "ConnectionStatus")).text == "Closed"
    assert all(code == "NoError" for one in streaming for code in codes(one))


def test_what_happens_between_two_connections_is_told_by_the_second(ews: Ews) -> None:
    subscription_id = stream(ews, events=("NewMailEvent",))
    one = ews.store.deliver(ADDRESS, a_mail(1)).item_id
    first = Streaming(ews, subscription_id)
    assert first.news() == [("NewMailEvent", one)]
    first.close()
    two = ews.store.deliver(ADDRESS, a_mail(2)).item_id

    second = Streaming(ews, subscription_id)

    assert [event for event in second.news() if event[1] != one] == [("NewMailEvent", two)]
    second.close()


def test_many_subscriptions_share_a_connection(ews: Ews) -> None:
    inbox, drafts = stream(ews, events=("NewMailEvent",)), stream(ews, folder="drafts", events=("CreatedEvent",))
    streaming = Streaming(ews, inbox, drafts)
    next(streaming)

    one = ews.store.deliver(ADDRESS, a_mail(1)).item_id
    assert streaming.news() == [("NewMailEvent", one)]
    two = ews.store.deliver(ADDRESS, a_mail(2), folder="drafts").item_id
    assert streaming.news() == [("CreatedEvent", two)]
    streaming.close()


def test_an_app_hears_of_several_mailboxes_on_one_connection(ews: Ews) -> None:
    ids = [stream(ews, user="app", impersonated=one, events=("NewMailEvent",)) for one in (ADDRESS, OTHER)]
    streaming = Streaming(ews, *ids, user="app", impersonated=ADDRESS)
    next(streaming)

    for address in (OTHER, ADDRESS):
        mail = ews.store.deliver(address, a_mail(1)).item_id
        assert streaming.news() == [("NewMailEvent", mail)]
    (refused,) = Streaming(ews, ids[0])
    assert codes(refused) == ["ErrorSubscriptionAccessDenied"]
    streaming.close()


def test_a_stream_knows_no_subscriptions_of_another_back_end(ews: Ews) -> None:
    ews.service.book.put({"back_ends": 64})
    assert back_end(ews.service.book, ADDRESS) != back_end(ews.service.book, OTHER)
    here, there = (stream(ews, user="app", impersonated=one) for one in (ADDRESS, OTHER))

    (answer,) = Streaming(ews, here, there, user="app", impersonated=ADDRESS)

    assert codes(answer) == ["ErrorSubscriptionNotFound"]
    assert [node.text for node in next(answer.iter(M + "ErrorSubscriptionIds"))] == [there]
    for one, address in ((here, ADDRESS), (there, OTHER)):
        streaming = Streaming(ews, one, user="app", impersonated=address)
        assert codes(next(streaming)) == ["NoError"]
        streaming.close()


def test_bad_ids_are_named_and_the_stream_ends_at_once(ews: Ews) -> None:
    good, unknown = stream(ews), new_id()

    (answer,) = Streaming(ews, "AAA-", good, unknown)

    assert codes(answer) == ["ErrorInvalidSubscription"]
    listed = next(answer.iter(M + "ErrorSubscriptionIds"))
    assert [node.text for node in listed] == ["AAA-", unknown]
    assert next(answer.iter(M + "ConnectionStatus")).text == "Closed"
    (answer,) = Streaming(ews, unknown)
    assert codes(answer) == ["ErrorSubscriptionNotFound"]


def test_more_than_two_hundred_subscriptions_are_too_many(ews: Ews) -> None:
    (answer,) = Streaming(ews, *(new_id() for _ in range(201)))

    assert codes(answer) == ["ErrorExceededSubscriptionCount"]


def test_a_mailbox_has_ten_streams(ews: Ews) -> None:
    subscriptions = [stream(ews) for _ in range(11)]
    held = [Streaming(ews, one) for one in subscriptions[:10]]
    for one in held:
        next(one)

    (refused,) = Streaming(ews, subscriptions[10])

    assert codes(refused) == ["ErrorExceededConnectionCount"]
    for one in held:
        one.close()
    until = time.monotonic() + 10
    while codes(next(Streaming(ews, subscriptions[10]))) != ["NoError"]:
        assert time.monotonic() < until
        time.sleep(0.1)


def test_a_second_connection_takes_a_subscription_over(ews: Ews) -> None:
    subscription_id = stream(ews, events=("NewMailEvent",))
    first = Streaming(ews, subscription_id)
    next(first)
    second = Streaming(ews, subscription_id)
    next(second)

    last = list(first)[-1]
    assert codes(last) == ["ErrorNewEventStreamConnectionOpened"]
    assert [node.text for node in next(last.iter(M + "ErrorSubscriptionIds"))] == [subscription_id]
    assert next(last.iter(M + "ConnectionStatus")).text == "Closed"
    mail = ews.store.deliver(ADDRESS, a_mail(1)).item_id
    assert second.news() == [("NewMailEvent", mail)]
    second.close()


def test_lost_subscriptions_end_their_streams_with_missed_events(ews: Ews) -> None:
    subscription_id = stream(ews)
    streaming = Streaming(ews, subscription_id)
    next(streaming)

    assert ews.service.subscriptions.lose_all() == 1
    last = list(streaming)[-1]

    assert codes(last) == ["ErrorMissedNotificationEvents"]
    assert [node.text for node in next(last.iter(M + "ErrorSubscriptionIds"))] == [subscription_id]
    assert next(last.iter(M + "ConnectionStatus")).text == "Closed"
    (again,) = Streaming(ews, subscription_id)
    assert codes(again) == ["ErrorSubscriptionNotFound"]


def test_a_log_that_has_forgotten_what_a_stream_must_tell_means_missed_events(ews: Ews) -> None:
    subscription_id = stream(ews)
    for number in range(3):
        ews.store.deliver(ADDRESS, a_mail(number))
    with ews.store.writing() as db:
        db.execute("DELETE FROM changes WHERE seq < ?", (changes.last(db),))

    assert codes(list(Streaming(ews, subscription_id))[-1]) == ["ErrorMissedNotificationEvents"]


def test_one_unsubscribed_of_two_leaves_the_other(ews: Ews) -> None:
    gone, kept = stream(ews), stream(ews, events=("NewMailEvent",))
    streaming = Streaming(ews, gone, kept)
    next(streaming)

    ews.call(f"<m:Unsubscribe><m:SubscriptionId>{gone}</m:SubscriptionId></m:Unsubscribe>")
    error = next(one for one in streaming if codes(one) != ["NoError"])

    assert codes(error) == ["ErrorSubscriptionNotFound"]
    assert not list(error.iter(M + "ConnectionStatus"))
    mail = ews.store.deliver(ADDRESS, a_mail(1)).item_id
    assert streaming.news() == [("NewMailEvent", mail)]
    streaming.close()


@pytest.mark.parametrize("minutes", [0, 31])
def test_connections_last_from_one_minute_to_thirty(ews: Ews, minutes: int) -> None:
    answer = Streaming(ews, stream(ews), minutes=minutes).answer

    assert answer.status_code == 500
    assert b"ErrorSchemaValidation" in answer.content


def test_a_burst_is_told_whole_and_in_order(ews: Ews) -> None:
    streaming = Streaming(ews, stream(ews, events=("NewMailEvent",)))
    next(streaming)
    ids: list[str] = []
    writer = threading.Thread(
        target=lambda: ids.extend(ews.store.deliver(ADDRESS, a_mail(number)).item_id for number in range(200))
    )

    writer.start()
    seen: list[str] = []
    while len(seen) < 200:
        seen += [one for _, one in streaming.news()]
    writer.join()

    assert seen == ids
    streaming.close()


# Faults


def _struck(ews: Ews, kind: str, *, patience: float = 20) -> Streaming:
    ews.strikes.streams = [StreamFault(kind, after=1)]
    streaming = Streaming(ews, stream(ews, events=("NewMailEvent",)), patience=patience)
    next(streaming)
    ews.store.deliver(ADDRESS, a_mail(1))
    assert len(streaming.news()) == 1
    ews.store.deliver(ADDRESS, a_mail(2))
    return streaming


def test_a_stream_sends_garbage(ews: Ews) -> None:
    assert b"this is no XML" in _struck(ews, "stream_garbage").rest()


def test_a_stream_repeats_events(ews: Ews) -> None:
    streaming = _struck(ews, "stream_repeated")

    assert streaming.news() == streaming.news()
    streaming.close()


def test_a_stream_misses_events(ews: Ews) -> None:
    streaming = _struck(ews, "stream_missed")

    assert {event for one in [next(streaming), next(streaming)] for event in told(one)} == {("StatusEvent", "")}
    streaming.close()


def test_a_stream_dies_silently(ews: Ews) -> None:
    streaming = _struck(ews, "stream_silent", patience=2.5)

    with pytest.raises(requests.exceptions.ConnectionError, match="Read timed out"):
        next(streaming)
    streaming.close()
