"""exchangelib, as it is, synchronises with the sandbox and hears of its events, over HTTPS."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from exchangelib import IMPERSONATION, Account, Build, Configuration, FailFast, Message, Version
from exchangelib.credentials import OAuth2AuthorizationCodeCredentials
from exchangelib.errors import (
    ErrorInvalidPushSubscriptionUrl,
    ErrorInvalidSubscription,
    ErrorInvalidSyncStateData,
    ErrorInvalidWatermark,
    ErrorMissedNotificationEvents,
    ErrorSubscriptionNotFound,
)
from exchangelib.folders import Messages
from exchangelib.properties import CreatedEvent, DeletedEvent, ModifiedEvent, MovedEvent, NewMailEvent, StatusEvent
from exchangelib.protocol import BaseProtocol
from exchangelib.transport import OAUTH2
from requests.adapters import HTTPAdapter

from tests.support.sandbox import SandboxProcess
from tests.support.soap import EwsClient
from tests.support.waits import joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

_DISPATCH, _CREW = "dispatch@example.org", "crew@example.org"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    directory = tmp_path_factory.mktemp("streaming") / "sandbox"
    with SandboxProcess(directory, mailboxes=[_DISPATCH, _CREW]) as running:
        yield running


@pytest.fixture(autouse=True)
def _trust(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    class Adapter(HTTPAdapter):
        def cert_verify(self, conn: object, url: str, verify: object, cert: object) -> None:
            super().cert_verify(conn, url, sandbox.info["ca_file"], cert)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(BaseProtocol, "HTTP_ADAPTER_CLS", Adapter)


@pytest.fixture
def account(sandbox: SandboxProcess) -> Account:
    token = {"access_token": EwsClient(sandbox, _DISPATCH).token, "token_type": "Bearer", "expires_in": 3599}
    configuration = Configuration(
        service_endpoint=sandbox.info["ews_url"],
        version=Version(Build(15, 20)),
        retry_policy=FailFast(),
        credentials=OAuth2AuthorizationCodeCredentials(client_id=sandbox.info["client_id"], access_token=token),
        auth_type=OAUTH2,
        max_connections=4,
    )
    return Account(_DISPATCH, config=configuration, autodiscover=False, access_type=IMPERSONATION)


@pytest.fixture
def folder(account: Account) -> Messages:
    """A folder of the test's own."""
    made = Messages(parent=account.inbox, name=f"test {time.monotonic_ns()}")
    made.save()
    return made


def _draft(account: Account, folder: Messages, subject: str = "a") -> Message:
    message = Message(account=account, folder=folder, subject=subject, body="x")
    message.save()
    return message


def _events(notifications: Iterable[Any], kind: type) -> list[Any]:
    return [event for one in notifications for event in one.events if isinstance(event, kind)]


def _of_items(events: Iterable[Any]) -> list[str]:
    return [event.item_id.id for event in events if event.item_id is not None]


def test_a_folder_is_synchronised(account: Account, folder: Messages) -> None:
    assert list(folder.sync_items()) == []
    message = _draft(account, folder)

    ((what, created),) = folder.sync_items()
    assert (what, created.id) == ("create", message.id)

    message.subject = "b"
    message.save(update_fields=["subject"])
    ((what, updated),) = folder.sync_items()
    assert (what, updated.id) == ("update", message.id)

    message.is_read = not message.is_read
    message.save(update_fields=["is_read"])
    ((what, (item_id, is_read)),) = folder.sync_items()
    assert (what, item_id.id, is_read) == ("read_flag_change", message.id, message.is_read)

    known = message.id
    message.delete()
    ((what, gone),) = folder.sync_items()
    assert (what, gone.id) == ("delete", known)


def test_a_big_folder_is_synchronised_in_pages(account: Account, folder: Messages) -> None:
    account.bulk_create(folder, [Message(subject=str(number), body="x") for number in range(230)])

    told = list(folder.sync_items(only_fields=["subject"], max_changes_returned=50))

    assert sorted(int(item.subject) for what, item in told if what == "create") == list(range(230))
    assert list(folder.sync_items()) == []


def test_states_that_are_none_of_the_folder_are_refused(account: Account, folder: Messages) -> None:
    list(account.drafts.sync_items())

    for state in ("garbage", account.drafts.item_sync_state):
        with pytest.raises(ErrorInvalidSyncStateData):
            list(folder.sync_items(sync_state=state))


def test_a_hierarchy_is_synchronised(folder: Messages) -> None:
    assert list(folder.sync_hierarchy()) == []
    inner = Messages(parent=folder, name="inner").save()

    ((what, created),) = folder.sync_hierarchy()
    assert (what, created.id) == ("create", inner.id)

    inner.name = "renamed"
    inner.save(update_fields=["name"])
    ((what, updated),) = folder.sync_hierarchy()
    assert (what, updated.name) == ("update", "renamed")

    known = inner.id
    inner.delete()
    ((what, gone),) = folder.sync_hierarchy()
    assert (what, gone.id) == ("delete", known)


def test_events_are_pulled(account: Account, folder: Messages) -> None:
    with folder.pull_subscription() as (subscription_id, watermark):
        notifications = list(folder.get_events(subscription_id, watermark))
        (status,) = _events(notifications, StatusEvent)

        message = _draft(account, folder)
        notifications = list(folder.get_events(subscription_id, status.watermark))
        assert _of_items(_events(notifications, CreatedEvent)) == [message.id]

        message.subject = "b"
        message.save(update_fields=["subject"])
        notifications = list(folder.get_events(subscription_id, notifications[-1].events[-1].watermark))
        assert _of_items(_events(notifications, ModifiedEvent)) == [message.id]

        known = message.id
        message.delete()
        notifications = list(folder.get_events(subscription_id, notifications[-1].events[-1].watermark))
        assert _of_items(_events(notifications, DeletedEvent)) == [known]

        with pytest.raises(ErrorInvalidWatermark):
            list(folder.get_events(subscription_id, "AAAA"))
    with pytest.raises(ErrorSubscriptionNotFound):
        list(folder.get_events(subscription_id, watermark))


def test_events_are_streamed(account: Account, folder: Messages) -> None:
    with folder.streaming_subscription() as subscription_id:

        def told() -> list[Any]:
            return list(
                folder.get_streaming_events(subscription_id, connection_timeout=1, max_notifications_returned=1)
            )

        message = _draft(account, folder)
        assert _of_items(_events(told(), CreatedEvent)) == [message.id]

        message.subject = "b"
        message.save(update_fields=["subject"])
        assert _of_items(_events(told(), ModifiedEvent)) == [message.id]

        message.move(account.trash)
        (moved,) = _events(told(), MovedEvent)
        assert moved.item_id.id == message.id


def test_mail_that_arrives_wakes_a_stream_at_once(sandbox: SandboxProcess, account: Account) -> None:
    inbox = account.inbox
    with inbox.streaming_subscription(event_types=["NewMailEvent"]) as subscription_id:
        delays: list[float] = []
        sent: list[float] = []

        def send() -> None:
            for number in range(5):
                time.sleep(0.2)  # a pause between mails, so that each is told on its own
                sent.append(time.monotonic())
                sandbox.deliver(_DISPATCH, f"Subject: {number}\r\n\r\nx\r\n".encode())

        sender = threading.Thread(target=send)
        sender.start()
        seen = 0
        for notification in inbox.get_streaming_events(subscription_id, connection_timeout=1):
            arrived = _events([notification], NewMailEvent)
            delays.append(time.monotonic() - sent[seen])
            seen += len(arrived)
            if seen == 5:
                break
        joined(sender)

    assert seen == 5
    assert sorted(delays)[len(delays) // 2] < 1


def test_bad_subscriptions_are_named(folder: Messages) -> None:
    with folder.streaming_subscription() as subscription_id, pytest.raises(ErrorInvalidSubscription) as refused:
        list(folder.get_streaming_events(["AAA-", subscription_id, "BBB-"], connection_timeout=1))

    assert refused.value.value == "Subscription is invalid. (subscription IDs: ['AAA-', 'BBB-'])"


def test_push_is_refused(folder: Messages) -> None:
    with pytest.raises(ErrorInvalidPushSubscriptionUrl):
        folder.subscribe_to_push(callback_url="https://example.com/foo")


def test_lost_subscriptions_are_told(sandbox: SandboxProcess, folder: Messages) -> None:
    subscription_id = folder.subscribe_to_streaming()
    pulled, watermark = folder.subscribe_to_pull()
    lost = threading.Timer(1, lambda: sandbox.admin("/expire", method="POST", body={"what": "subscriptions"}))
    lost.start()

    with pytest.raises(ErrorMissedNotificationEvents):
        list(folder.get_streaming_events(subscription_id, connection_timeout=1))
    joined(lost)
    with pytest.raises(ErrorSubscriptionNotFound):
        list(folder.get_events(pulled, watermark))


def test_streams_go_wrong_by_rule(sandbox: SandboxProcess) -> None:
    client = EwsClient(sandbox, _CREW)
    rule = {"match": {"operation": "GetStreamingEvents", "mailbox": _CREW}, "fault": {"kind": "stream_garbage"}}
    sandbox.faults(rule)
    wanted = _PULL.format(mark="").replace("PullS", "StreamingS").replace("<t:Timeout>5</t:Timeout>", "")
    subscription_id = next(client.call(wanted).iter(_MESSAGES + "SubscriptionId")).text
    sandbox.deliver(_CREW, b"Subject: a\r\n\r\nx\r\n")

    answer = client.post(
        f"<m:GetStreamingEvents><m:SubscriptionIds><t:SubscriptionId>{subscription_id}</t:SubscriptionId>"
        "</m:SubscriptionIds><m:ConnectionTimeout>1</m:ConnectionTimeout></m:GetStreamingEvents>"
    )

    assert answer.content.count(b"</Envelope>") == 1
    assert answer.content.endswith(b"this is no XML")
    assert [report["fired"] for report in sandbox.fault_report()] == [1]
    sandbox.faults()


def test_a_restart_loses_subscriptions_and_keeps_states(tmp_path: Path) -> None:
    with SandboxProcess(tmp_path / "sandbox", mailboxes=[_DISPATCH]) as running:
        client = EwsClient(running, _DISPATCH)
        state, mark, subscription_id = _sync(client), *_subscribe(client)
        running.deliver(_DISPATCH, b"Subject: a\r\n\r\nx\r\n")
        running.kill()
        running.start()
        client = EwsClient(running, _DISPATCH)

        answer = client.call(_SYNC.format(state=f"<m:SyncState>{state}</m:SyncState>"))
        assert len(list(answer.iter("{http://schemas.microsoft.com/exchange/services/2006/types}Create"))) == 1
        assert client.codes(
            f"<m:GetEvents><m:SubscriptionId>{subscription_id}</m:SubscriptionId><m:Watermark>{mark}</m:Watermark>"
            "</m:GetEvents>"
        ) == ["ErrorSubscriptionNotFound"]
        renewed = client.codes(_PULL.format(mark=f"<t:Watermark>{mark}</t:Watermark>"))
        assert renewed == ["NoError"]


_SYNC = (
    "<m:SyncFolderItems><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape><m:SyncFolderId>"
    "<t:DistinguishedFolderId Id='inbox'/></m:SyncFolderId>{state}<m:MaxChangesReturned>10</m:MaxChangesReturned>"
    "</m:SyncFolderItems>"
)
_PULL = (
    "<m:Subscribe><m:PullSubscriptionRequest SubscribeToAllFolders='true'><t:EventTypes><t:EventType>NewMailEvent"
    "</t:EventType></t:EventTypes>{mark}<t:Timeout>5</t:Timeout></m:PullSubscriptionRequest></m:Subscribe>"
)
_MESSAGES = "{http://schemas.microsoft.com/exchange/services/2006/messages}"


def _sync(client: EwsClient) -> str:
    return str(next(client.call(_SYNC.format(state="")).iter(_MESSAGES + "SyncState")).text)


def _subscribe(client: EwsClient) -> tuple[str, str]:
    answer = client.call(_PULL.format(mark=""))
    return tuple(str(next(answer.iter(_MESSAGES + name)).text) for name in ("Watermark", "SubscriptionId"))  # type: ignore[return-value]  # two
