"""Streams of several mailboxes over one connection of their own, and what becomes of them when something fails."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.entra.app import EntraApp
from bridge.adapters.entra.credentials import SecretSource
from bridge.adapters.entra.sign_in import SignIn
from bridge.adapters.ews.client import EwsClient, EwsConnection
from bridge.adapters.ews.inbox import EwsInbox
from bridge.adapters.ews.notifications import EwsNotifications
from bridge.adapters.ews.stream_thread import StreamTimes
from bridge.domain.notices import Notice, StreamGarbled, StreamRefused, StreamSilent, Subscribed
from bridge.errors import BridgeError, EwsBlocked, FolderNotFound, MailboxNotFound, MailboxThrottled, MailboxUnavailable
from tests.support.sandbox import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

_DISPATCH, _CREW = "dispatch@example.org", "crew@example.org"
_TIMES = StreamTimes(minutes=1, first_seconds=3, silence_seconds=50)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    directory = tmp_path_factory.mktemp("notifications") / "sandbox"
    with SandboxProcess(directory, mailboxes=[_DISPATCH, _CREW]) as process:
        yield process


@pytest.fixture
def sandbox(running: SandboxProcess) -> Iterator[SandboxProcess]:
    running.admin("/settings", method="PUT", body={"back_ends": 1})
    yield running
    running.admin("/faults", method="DELETE")


@contextlib.contextmanager
def _open(sandbox: SandboxProcess, times: StreamTimes = _TIMES) -> Iterator[EwsNotifications]:
    info = sandbox.info
    app = EntraApp(
        f"{info['authority_url']}",
        info["client_id"],
        "https://outlook.office365.com/.default",
        ca_file=info["ca_file"],
    )
    tokens = SignIn("default", app, [SecretSource(str(info["client_secret"]), None)]).tokens()
    connection = EwsConnection(info["ews_url"], ca_file=info["ca_file"], connections=1, call_timeout_seconds=10)
    with (
        contextlib.closing(EwsClient(connection, tokens=tokens)) as client,
        contextlib.closing(EwsNotifications(connection, client, tokens=tokens, times=times)) as notifications,
    ):
        yield notifications


@pytest.fixture
def notifications(sandbox: SandboxProcess) -> Iterator[EwsNotifications]:
    with _open(sandbox) as made:
        yield made


def _strike(sandbox: SandboxProcess, kind: str, operation: str = "GetStreamingEvents", **given: object) -> None:
    rule = {"match": {"operation": operation}, "fault": {"kind": kind, **given}}
    sandbox.admin("/faults", method="PUT", body=[rule])


def _mail(number: int, to: str) -> bytes:
    return f"From: a@example.com\r\nTo: {to}\r\nSubject: {number}\r\n\r\nx\r\n".encode()


async def _next(notices: AsyncIterator[Notice], *, seconds: float = 20) -> Notice:
    return await asyncio.wait_for(anext(notices), seconds)


async def _subscribed(notifications: EwsNotifications, address: str = _DISPATCH, folder: str = "inbox") -> Subscribed:
    return await notifications.subscribe(address, [folder], lead_mailbox=address, affinity=None)


async def test_one_stream_tells_of_the_mail_of_two_mailboxes(
    sandbox: SandboxProcess, notifications: EwsNotifications
) -> None:
    first = await _subscribed(notifications)
    second = await notifications.subscribe(_CREW, ["inbox"], lead_mailbox=_DISPATCH, affinity=first.affinity)
    ids = [first.subscription, second.subscription]

    async with notifications.stream(ids, lead_mailbox=_DISPATCH, affinity=first.affinity) as notices:
        assert await _next(notices) == Notice()
        for one, address in ((second, _CREW), (first, _DISPATCH)):
            sandbox.deliver(address, _mail(1, address))
            assert await _next(notices) == Notice(arrived=frozenset({one.subscription}))

    for one, address in ((first, _DISPATCH), (second, _CREW)):
        await notifications.unsubscribe(address, one.subscription, affinity=one.affinity)
        await notifications.unsubscribe(address, one.subscription, affinity=one.affinity)


async def test_streams_keep_no_connection_from_the_calls_that_fetch(
    sandbox: SandboxProcess, notifications: EwsNotifications
) -> None:
    """There is one for calls; with two streams open and nothing to tell, calls go on as if there were none."""
    async with contextlib.AsyncExitStack() as streams:
        for address in (_DISPATCH, _CREW):
            made = await _subscribed(notifications, address)
            stream = notifications.stream([made.subscription], lead_mailbox=address, affinity=made.affinity)
            assert await _next(await streams.enter_async_context(stream)) == Notice()

        inbox = EwsInbox(notifications._client, _DISPATCH)
        async with asyncio.timeout(20):
            await asyncio.gather(*(inbox.list_waiting("inbox", limit=10) for _ in range(10)))


async def test_a_mailbox_of_another_server_is_told_by_its_cookie_and_refused_by_the_stream(
    sandbox: SandboxProcess, notifications: EwsNotifications
) -> None:
    sandbox.admin("/settings", method="PUT", body={"back_ends": 64})
    first = await _subscribed(notifications)
    second = await notifications.subscribe(_CREW, ["inbox"], lead_mailbox=_DISPATCH, affinity=first.affinity)
    assert first.affinity is not None
    assert second.affinity is not None
    assert first.affinity.server != second.affinity.server

    ids = [first.subscription, second.subscription]
    async with notifications.stream(ids, lead_mailbox=_DISPATCH, affinity=first.affinity) as notices:
        assert await _next(notices) == Notice(lost=frozenset({second.subscription}), closed=True)
    async with notifications.stream([ids[1]], lead_mailbox=_CREW, affinity=second.affinity) as notices:
        assert await _next(notices) == Notice()


async def test_a_stream_ends_with_its_context_and_its_thread_with_it(notifications: EwsNotifications) -> None:
    one = await _subscribed(notifications)
    async with notifications.stream([one.subscription], lead_mailbox=_DISPATCH, affinity=one.affinity) as notices:
        await _next(notices)
        started = time.monotonic()

    until = time.monotonic() + 5
    while any(thread.name == "ews-stream" for thread in threading.enumerate()):
        assert time.monotonic() < until
        await asyncio.sleep(0.01)
    assert time.monotonic() - started < 5


async def test_lost_subscriptions_are_told(sandbox: SandboxProcess, notifications: EwsNotifications) -> None:
    one = await _subscribed(notifications)
    async with notifications.stream([one.subscription], lead_mailbox=_DISPATCH, affinity=one.affinity) as notices:
        await _next(notices)
        sandbox.admin("/expire", method="POST", body={"what": "subscriptions"})
        assert await _next(notices) == Notice(lost=frozenset({one.subscription}), closed=True)
        with pytest.raises(StopAsyncIteration):
            await _next(notices)


@pytest.mark.parametrize(
    ("fault", "given", "error"),
    [
        ("stream_silent", {}, StreamSilent),
        ("stall_before", {}, StreamSilent),
        ("blocked_by_policy", {}, EwsBlocked),
        ("soap_fault", {"code": "ErrorInvalidOperation"}, StreamRefused),
        ("http_error", {"status": 404}, StreamRefused),
        ("http_error", {"status": 502}, MailboxUnavailable),
        ("unavailable", {"retry_after_seconds": 7}, MailboxThrottled),
        ("server_busy", {"back_off_milliseconds": 7_000}, MailboxThrottled),
        ("html_page", {}, StreamGarbled),
        ("malformed", {}, StreamGarbled),
        ("truncated", {}, StreamGarbled),
        ("empty", {}, StopAsyncIteration),
        ("no_http", {}, MailboxUnavailable),
        ("cut_before", {}, MailboxUnavailable),
        ("gzip_broken", {"how": "mislabelled"}, MailboxUnavailable),
    ],
)
async def test_a_stream_that_is_not_had_says_why(
    sandbox: SandboxProcess,
    notifications: EwsNotifications,
    fault: str,
    given: dict[str, object],
    error: type[Exception],
) -> None:
    one = await _subscribed(notifications)
    _strike(sandbox, fault, "GetStreamingEvents", **given)

    async with notifications.stream([one.subscription], lead_mailbox=_DISPATCH, affinity=one.affinity) as notices:
        with pytest.raises(error) as told:
            await _next(notices)

    if isinstance(told.value, MailboxThrottled):
        assert told.value.retry_after_seconds == 7
    await notifications.unsubscribe(_DISPATCH, one.subscription, affinity=one.affinity)


@pytest.mark.parametrize(("fault", "error"), [("stream_garbage", StreamGarbled), ("stream_cut", MailboxUnavailable)])
async def test_a_stream_that_breaks_says_so(
    sandbox: SandboxProcess, notifications: EwsNotifications, fault: str, error: type[BridgeError]
) -> None:
    one = await _subscribed(notifications)
    _strike(sandbox, fault)
    async with notifications.stream([one.subscription], lead_mailbox=_DISPATCH, affinity=one.affinity) as notices:
        assert await _next(notices) == Notice()
        sandbox.deliver(_DISPATCH, _mail(1, _DISPATCH))
        with pytest.raises(error):
            await _next(notices)
    await notifications.unsubscribe(_DISPATCH, one.subscription, affinity=one.affinity)


async def test_a_stream_that_dies_silently_is_noticed_within_its_bound(sandbox: SandboxProcess) -> None:
    with _open(sandbox, StreamTimes(first_seconds=3, silence_seconds=2)) as notifications:
        one = await _subscribed(notifications)
        async with notifications.stream([one.subscription], lead_mailbox=_DISPATCH, affinity=one.affinity) as notices:
            await _next(notices)
            started = time.monotonic()
            with pytest.raises(StreamSilent):
                await _next(notices)
            assert 1.5 <= time.monotonic() - started < 10
        await notifications.unsubscribe(_DISPATCH, one.subscription, affinity=one.affinity)


@pytest.mark.parametrize("code", ["ErrorExceededSubscriptionCount", "ErrorInvalidSubscriptionRequest"])
async def test_a_subscription_that_is_refused_is_no_reason_to_ask_often(
    sandbox: SandboxProcess, notifications: EwsNotifications, code: str
) -> None:
    _strike(sandbox, "item_error", "Subscribe", code=code)

    with pytest.raises(StreamRefused):
        await _subscribed(notifications)


async def test_what_is_not_there_cannot_be_subscribed_to(notifications: EwsNotifications) -> None:
    with pytest.raises(FolderNotFound):
        await _subscribed(notifications, folder="No Such Folder")
    with pytest.raises(MailboxNotFound):
        await _subscribed(notifications, "nobody@example.org")
