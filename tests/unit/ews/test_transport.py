"""Whatever the other side sends, a call ends in time, with the whole answer or with an error of the bridge."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import itertools
import socket
import threading
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from bridge.adapters import http_deadline
from bridge.adapters.ews.client import EwsClient, EwsConnection
from bridge.adapters.ews.low_priority_limit import LowPriorityLimit
from bridge.adapters.ews.soap import element
from bridge.errors import BridgeError, MailboxThrottled, MailboxUnavailable, SendTooLate
from bridge.ports.low_priority import low_priority
from tests.support.raw_server import RawServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

_BODY = (
    b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><m:GetItemResponse '
    b'xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"><m:ResponseMessages>'
    b'<m:GetItemResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode>'
    b"</m:GetItemResponseMessage></m:ResponseMessages></m:GetItemResponse></s:Body></s:Envelope>"
)
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\n"


class Place:
    """A raw server and a client with one connection to it."""

    def __init__(self) -> None:
        self._ends: list[Callable[[], None]] = []
        self.over = threading.Event()
        self.server: RawServer

    def hanging(self, mailbox: str, *, seconds: float) -> Callable[[socket.socket, bytes], None]:
        """Return what answers all but calls for this mailbox, which it keeps waiting."""

        def answer(connection: socket.socket, request: bytes) -> None:
            if mailbox.encode() in request:
                self.over.wait(seconds)
            connection.sendall(_HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY))

        return answer

    def client(
        self,
        answer: Callable[[socket.socket, bytes], None],
        *,
        read_bytes_per_second: int | None = None,
        **options: object,
    ) -> EwsClient:
        self.server = RawServer(answer, read_bytes_per_second=read_bytes_per_second)
        connection = EwsConnection(
            **{"url": self.server.url, "connections": 1, "call_timeout_seconds": 120, **options}  # type: ignore[arg-type]
        )
        client = EwsClient(connection, login=("basic", "user", "password"))
        self._ends += [self.server.close, client.close]
        return client

    def close(self) -> None:
        self.over.set()
        for end in self._ends:
            end()


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place()
    yield made
    made.close()


@pytest.mark.parametrize("framing", [b"Content-Length: 100000\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n20000\r\n"])
async def test_an_answer_that_trickles_ends_at_the_deadline(place: Place, framing: bytes) -> None:
    """Each byte comes in time and the whole never does: the connection would be gone for good."""

    def trickle(connection: socket.socket, _: bytes) -> None:
        connection.sendall(_HEAD + framing)
        while not place.over.wait(0.05):
            connection.sendall(b"x")

    client = place.client(trickle, call_timeout_seconds=0.5)
    started = time.monotonic()

    with pytest.raises(MailboxUnavailable):
        await client.call("dispatch@example.org", element("m:GetItem"))

    assert time.monotonic() - started < 60  # for ever, without one


@pytest.mark.parametrize("begin", [b"", b"HTTP/1.1 200 OK\r\nX-Long: ", b"HTTP/1.1 200 OK\r\n"])
@pytest.mark.parametrize("more", [b"x", b"X-More: and more\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"])
async def test_a_head_that_trickles_ends_at_the_deadline(place: Place, begin: bytes, more: bytes) -> None:
    """A timeout of each wait for the socket never ends it."""

    def trickle(connection: socket.socket, _: bytes) -> None:
        connection.sendall(begin)
        while not place.over.wait(0.05):
            connection.sendall(more)

    client = place.client(trickle, call_timeout_seconds=0.5)
    started = time.monotonic()

    with pytest.raises(MailboxUnavailable):
        await client.call("dispatch@example.org", element("m:GetItem"))

    assert time.monotonic() - started < 60  # for ever, without one


async def test_a_server_that_reads_a_large_request_slowly_is_given_up_at_the_deadline(place: Place) -> None:
    """What has to be sent is told from what was: each piece is given what is left, not a time of its own."""

    def answer(connection: socket.socket, _: bytes) -> None:
        connection.sendall(_HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY))

    client = place.client(answer, read_bytes_per_second=200_000, call_timeout_seconds=0.5)
    payload = element("m:GetItem")
    payload.text = "x" * (32 << 20)  # more than the kernel takes off our hands
    started = time.monotonic()

    with pytest.raises(MailboxUnavailable):
        await client.call("dispatch@example.org", payload)

    assert time.monotonic() - started < 60  # almost three minutes, without one


@pytest.mark.parametrize("looks", [1, 2, 3])
async def test_a_call_whose_time_is_over_when_its_last_bytes_go_out_is_not_made(place: Place, looks: int) -> None:
    """Frozen before the head, before the body or before its last piece: no server has the whole of the request."""
    came: list[bytes] = []
    client = place.client(lambda _, request: came.append(request))
    seen = 0

    def look() -> None:
        nonlocal seen
        seen += 1
        if seen == looks:
            raise SendTooLate

    payload = element("m:SendItem")
    payload.text = "x" * 20_000

    with pytest.raises(SendTooLate):
        await client.call("dispatch@example.org", payload, look=look)

    client.close()
    place.server.close()
    assert not any(request.rstrip().endswith(b"Envelope>") for request in came)


async def test_a_name_with_many_silent_addresses_costs_no_more_than_the_deadline(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = place.client(lambda connection, _: connection.sendall(_HEAD), call_timeout_seconds=8)
    asked: list[float] = []
    began = time.monotonic()

    def silent(address: tuple[str, int], timeout: float, **_: object) -> socket.socket:
        asked.append(timeout)
        raise TimeoutError

    # No time passes but what the silent addresses take of it.
    clock = SimpleNamespace(monotonic=lambda: began + sum(asked))
    monkeypatch.setattr(http_deadline, "time", clock)
    monkeypatch.setattr(http_deadline, "_addresses", lambda *_: [f"192.0.2.{number}" for number in range(1, 9)])
    monkeypatch.setattr("urllib3.util.connection.create_connection", silent)

    with pytest.raises(MailboxUnavailable):
        await client.call("dispatch@example.org", element("m:GetItem"))

    assert asked == pytest.approx([1.0] * 8, abs=0.2)


async def test_answers_in_every_framing_come_whole_over_one_connection(place: Place) -> None:
    packed = gzip.compress(_BODY)
    numbers = itertools.count()

    def answer(connection: socket.socket, _: bytes) -> None:
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (_BODY[:7], _BODY[7:]))
        forms = [
            b"Content-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY),
            b"Transfer-Encoding: chunked\r\n\r\n%s0\r\n\r\n" % chunks,
            b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(packed), packed),
        ]
        connection.sendall(_HEAD + forms[next(numbers) % 3])

    client = place.client(answer)

    for _ in range(6):
        [message] = await client.call("dispatch@example.org", element("m:GetItem"))
        assert message.code == "NoError"

    assert place.server.connections == 1


@pytest.mark.parametrize(
    "rest",
    [
        b"Content-Length: 9999\r\n\r\n<cut",
        b"Transfer-Encoding: chunked\r\n\r\n40\r\n<cut",
        b"Transfer-Encoding: chunked\r\n\r\nno chunk\r\n",
        b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
        b"Content-Length: -5\r\n\r\n",
        b"",
    ],
)
async def test_an_answer_that_breaks_off_is_an_error_and_the_next_call_works(place: Place, rest: bytes) -> None:
    def answer(connection: socket.socket, _: bytes) -> None:
        if place.server.connections == 1:
            connection.sendall(_HEAD + rest)
            connection.shutdown(socket.SHUT_RDWR)
        else:
            connection.sendall(_HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY))

    client = place.client(answer)

    with pytest.raises(MailboxUnavailable):
        await client.call("dispatch@example.org", element("m:GetItem"))

    assert len(await client.call("dispatch@example.org", element("m:GetItem"))) == 1


async def test_an_answer_larger_than_allowed_is_not_read_to_its_end(place: Place) -> None:
    packed = gzip.compress(bytes(50 << 20), 9)

    def answer(connection: socket.socket, _: bytes) -> None:
        head = b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
        connection.sendall(_HEAD + head + packed)

    client = place.client(answer, largest_answer_bytes=1 << 20)

    with pytest.raises(MailboxUnavailable, match="AnswerTooLarge"):
        await client.call("dispatch@example.org", element("m:GetItem"))


async def test_a_date_that_came_over_plain_http_tells_no_time(place: Place) -> None:
    """Anybody on the way could set it, and by it requests expire."""
    head = _HEAD + b"Date: Tue, 24 Nov 2026 03:00:00 GMT\r\nContent-Length: %d\r\n\r\n" % len(_BODY)
    client = place.client(lambda connection, _: connection.sendall(head + _BODY))

    await client.call("dispatch@example.org", element("m:GetItem"))

    assert client.time.heard() is None


@pytest.mark.parametrize("stated", [b"\xb2", b"9" * 400, b"-1", b"soon"])
async def test_a_stated_wait_that_makes_no_sense_is_none(place: Place, stated: bytes) -> None:
    client = place.client(
        lambda connection, _: connection.sendall(
            b"HTTP/1.1 503 Busy\r\nRetry-After: %s\r\nContent-Length: 0\r\n\r\n" % stated
        )
    )

    with pytest.raises(MailboxThrottled) as caught:
        await client.call("dispatch@example.org", element("m:GetItem"))

    assert caught.value.retry_after_seconds is None


async def test_a_ca_file_that_is_gone_is_trouble_and_no_bug(place: Place, tmp_path: Path) -> None:
    client = place.client(
        lambda *_: None, url="https://127.0.0.1:1/EWS/Exchange.asmx", ca_file=str(tmp_path / "gone.pem")
    )

    with pytest.raises(BridgeError):
        await client.call("dispatch@example.org", element("m:GetItem"))


async def test_a_mailbox_whose_calls_hang_leaves_connections_to_the_others(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted and not timed: all of their calls are answered before any that hangs comes to its own end."""
    monkeypatch.setattr("bridge.domain.lane_shares.SILENT_SECONDS", 0.3)
    client = place.client(place.hanging("stuck@", seconds=120), connections=4, impersonate=True)
    await client.call("dispatch@example.org", element("m:GetItem"))
    stuck = [asyncio.ensure_future(client.call("stuck@example.org", element("m:GetItem"))) for _ in range(20)]
    async with asyncio.timeout(30):
        while place.server.connections < 2:
            await asyncio.sleep(0.01)

    async with asyncio.timeout(60):
        for _ in range(3):
            await client.call("dispatch@example.org", element("m:GetItem"))
    ended = [task for task in stuck if task.done()]
    place.over.set()
    for task in stuck:
        task.cancel()
    await asyncio.gather(*stuck, return_exceptions=True)

    assert not ended


async def test_any_number_of_mailboxes_that_hang_leave_connections_to_one_that_answers(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted and not timed: all of its calls are answered before any that hangs comes to its own end."""
    monkeypatch.setattr("bridge.domain.lane_shares.SILENT_SECONDS", 0.3)
    client = place.client(place.hanging("stuck-", seconds=120), connections=2, impersonate=True)
    await client.call("dispatch@example.org", element("m:GetItem"))
    stuck = [
        asyncio.ensure_future(client.call(f"stuck-{number}@example.org", element("m:GetItem"))) for number in range(12)
    ]
    await asyncio.sleep(0)

    async with asyncio.timeout(60):
        for _ in range(10):
            await client.call("dispatch@example.org", element("m:GetItem"))

    ended = [task for task in stuck if task.done()]
    for task in stuck:
        task.cancel()
    outcomes = await asyncio.gather(*ended, return_exceptions=True)
    await asyncio.gather(*stuck, return_exceptions=True)
    assert {str(outcome) for outcome in outcomes} == {"no answer, and others needed the connection"}


async def test_a_handshake_that_hangs_has_the_time_of_a_connection_and_not_of_a_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bridge.adapters.ews.transport._CONNECT_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        connection = EwsConnection(f"https://127.0.0.1:{silent.getsockname()[1]}/", call_timeout_seconds=300)
        with contextlib.closing(EwsClient(connection, login=("basic", "user", "password"))) as client:
            async with asyncio.timeout(60):
                with pytest.raises(MailboxUnavailable):
                    await client.call("dispatch@example.org", element("m:GetItem"))


async def test_a_change_that_hangs_is_not_cut_short_for_others(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have been made. It has a connection beside the others instead."""
    monkeypatch.setattr("bridge.domain.lane_shares.SILENT_SECONDS", 0.3)
    client = place.client(place.hanging("stuck-", seconds=120), connections=2, impersonate=True)
    await client.call("dispatch@example.org", element("m:GetItem"))
    stuck = [
        asyncio.ensure_future(client.call(f"stuck-{number}@example.org", element("m:CreateItem")))
        for number in range(2)
    ]
    await asyncio.sleep(0)

    async with asyncio.timeout(60):
        for _ in range(10):
            await client.call("dispatch@example.org", element("m:GetItem"))

    assert not any(task.done() for task in stuck)
    place.over.set()
    await asyncio.gather(*stuck, return_exceptions=True)


async def test_a_call_that_was_given_up_counts_until_its_end(place: Place) -> None:
    """Whoever gave it up does not free its connection."""
    client = place.client(place.hanging("stuck@", seconds=120), connections=1, impersonate=True)
    given_up = asyncio.ensure_future(client.call("stuck@example.org", element("m:GetItem")))
    async with asyncio.timeout(30):
        while not place.server.connections:
            await asyncio.sleep(0.01)
    given_up.cancel()
    await asyncio.gather(given_up, return_exceptions=True)

    waiting = asyncio.ensure_future(client.call("stuck@example.org", element("m:GetItem")))
    await asyncio.sleep(0.2)
    assert place.server.connections == 1
    place.over.set()
    await asyncio.wait_for(waiting, 30)


async def test_calls_that_nobody_waits_for_use_half_of_the_connections(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many come at once; whoever is waited for has the rest at once."""
    for times in ("low_priority_limit._LONGEST_WAIT_SECONDS", "low_priority_limit.SILENT_SECONDS"):
        monkeypatch.setattr(f"bridge.adapters.ews.{times}", 120.0)  # no call is taken for one that hangs
    monkeypatch.setattr("bridge.domain.lane_shares.SILENT_SECONDS", 120.0)
    open_now: set[object] = set()
    more, most = threading.Event(), 0

    def answer(connection: socket.socket, request: bytes) -> None:
        nonlocal most
        open_now.add(connection)
        most = max(most, len(open_now))
        if b"waited@" not in request:
            more.wait(120)
        open_now.discard(connection)
        connection.sendall(_HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY))

    client = place.client(answer, connections=6, impersonate=True)
    with low_priority():
        looks = [
            asyncio.ensure_future(client.call(f"crew-{number}@example.org", element("m:GetItem")))
            for number in range(20)
        ]
    async with asyncio.timeout(60):
        while len(open_now) < 3:
            await asyncio.sleep(0.001)
        await client.call("waited@example.org", element("m:GetItem"))
    assert not any(look.done() for look in looks)
    more.set()
    await asyncio.gather(*looks)

    assert (most, place.server.connections) == (4, 4)


async def test_calls_that_nobody_waits_for_are_made_though_others_of_them_hang(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.adapters.ews.low_priority_limit._LONGEST_WAIT_SECONDS", 0.1)
    client = place.client(place.hanging("stuck-", seconds=120), connections=4, impersonate=True)
    with low_priority():
        stuck = [
            asyncio.ensure_future(client.call(f"stuck-{number}@example.org", element("m:GetItem")))
            for number in range(2)
        ]
        async with asyncio.timeout(60):
            await client.call("crew@example.org", element("m:GetItem"))
        assert not any(task.done() for task in stuck)
    place.over.set()
    await asyncio.gather(*stuck)


async def test_a_mailbox_that_exchange_throttles_has_fewer_calls_in_progress_and_the_others_as_many_as_before(
    place: Place,
) -> None:
    """Nobody tunes a number by hand: each refusal halves what one mailbox asks at a time, and no more than that."""
    together: dict[bytes, int] = {b"much@": 0, b"dispatch@": 0}
    most, lock = dict(together), threading.Lock()
    refusing = True

    def by_mailbox(connection: socket.socket, request: bytes) -> None:
        name = next(one for one in together if one in request)
        with lock:
            together[name] += 1
            most[name] = max(most[name], together[name])
        place.over.wait(0.1)
        with lock:
            together[name] -= 1
        if refusing and name == b"much@":
            connection.sendall(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
        else:
            connection.sendall(_HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY))

    client = place.client(by_mailbox, connections=8, impersonate=True)

    async def ask(name: str, times: int) -> None:
        calls = (client.call(f"{name}@example.org", element("m:GetItem")) for _ in range(times))
        outcomes = await asyncio.gather(*calls, return_exceptions=True)
        assert all(isinstance(outcome, list | MailboxThrottled) for outcome in outcomes)

    await asyncio.gather(ask("dispatch", 1), ask("much", 1))
    await ask("much", 10)
    assert client.calls_allowed == 1
    most.update(dict.fromkeys(most, 0))
    await asyncio.gather(ask("dispatch", 12), ask("much", 4))
    assert most[b"much@"] == 1
    assert 1 < most[b"dispatch@"] <= 4

    refusing = False
    for _ in range(20):
        await ask("much", 4)
    assert client.calls_allowed > 2


async def test_a_call_that_is_waited_for_after_all_waits_for_no_room(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notice comes while the mailbox is about to be listed by the clock."""
    monkeypatch.setattr("bridge.adapters.ews.low_priority_limit._LONGEST_WAIT_SECONDS", 120.0)
    client = place.client(place.hanging("stuck@", seconds=120), connections=2, impersonate=True)
    notice = asyncio.Event()
    with low_priority():
        stuck = asyncio.ensure_future(client.call("stuck@example.org", element("m:GetItem")))
    with low_priority(until=notice):
        listing = asyncio.ensure_future(client.call("crew@example.org", element("m:GetItem")))
    await asyncio.sleep(0.1)
    assert not listing.done()

    notice.set()
    async with asyncio.timeout(60):  # the room that it waited for takes longer
        await listing
    assert not stuck.done()
    place.over.set()
    await stuck


class _OthersEnd(LowPriorityLimit):
    """Whenever one looks, others have come to an end since."""

    _count = itertools.count()
    _ended = property(lambda self: next(self._count), lambda *_: None)


async def test_as_long_as_others_come_to_an_end_room_is_waited_for_three_times_as_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A machine that stood still has every wait run out at once, and nothing hangs."""
    monkeypatch.setattr("bridge.adapters.ews.low_priority_limit._LONGEST_WAIT_SECONDS", 0.3)
    room, over, began = _OthersEnd(1), asyncio.Event(), time.monotonic()
    waited: list[float] = []

    async def having() -> None:
        async with room.enough():
            await over.wait()

    async def waiting() -> None:
        async with room.enough():
            waited.append(time.monotonic() - began)

    with low_priority():
        having_it, waiting_for_it = asyncio.ensure_future(having()), asyncio.ensure_future(waiting())
    await waiting_for_it
    over.set()
    await having_it

    assert waited[0] >= 0.85


async def test_room_is_given_back_whatever_becomes_of_a_call() -> None:
    room = LowPriorityLimit(1)

    async def call() -> None:
        async with room.enough():
            await asyncio.sleep(1000)

    with low_priority():
        for _ in range(3):
            having, waiting = asyncio.ensure_future(call()), asyncio.ensure_future(call())
            await asyncio.sleep(0.01)
            for task in (waiting, having):
                task.cancel()
            await asyncio.gather(having, waiting, return_exceptions=True)
        async with asyncio.timeout(30), room.enough():
            assert room._free.locked()
    assert not room._free.locked()


async def test_connections_that_are_not_needed_any_more_are_closed_and_made_anew_when_they_are(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight of them to an Exchange that is asked twice a minute would be seven for nothing."""
    together = threading.Barrier(3)
    open_now: set[object] = set()
    meet = True

    def answer(connection: socket.socket, _: bytes) -> None:
        open_now.add(connection)
        if meet:
            together.wait(60)
        connection.sendall(_HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY))

    client = place.client(answer, connections=3)

    async def call() -> None:
        await client.call("dispatch@example.org", element("m:GetItem"))

    await asyncio.gather(*(call() for _ in range(3)))
    assert (len(open_now), place.server.connections) == (3, 3)

    meet = False
    monkeypatch.setattr("bridge.adapters.ews.client._REST_AFTER_SECONDS", 0.05)
    for _ in range(2):
        await asyncio.sleep(0.1)  # the time in which they are not needed
        await call()
        await call()
    assert sum(lane.used_at is not None for lane in client._lanes.queue) == 1

    meet = True
    monkeypatch.setattr("bridge.adapters.ews.client._REST_AFTER_SECONDS", 60.0)
    await asyncio.gather(*(call() for _ in range(3)))
    assert sum(lane.used_at is not None for lane in client._lanes.queue) == 3
    assert place.server.connections >= 5


@pytest.mark.parametrize("excepted", [False, True])
async def test_calls_go_through_the_proxy_of_the_environment(
    place: Place, monkeypatch: pytest.MonkeyPatch, *, excepted: bool
) -> None:
    asked: list[bytes] = []

    def answer(connection: socket.socket, request: bytes) -> None:
        asked.append(request.split(b"\r\n")[0])
        connection.sendall(_HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(_BODY), _BODY))

    server = RawServer(answer)
    for name in ("HTTP_PROXY", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("http_proxy", server.url)
    if excepted:
        monkeypatch.setenv("no_proxy", "exchange.invalid")
    client = place.client(lambda *_: None, url="http://exchange.invalid/EWS/Exchange.asmx")

    with contextlib.closing(server), pytest.raises(MailboxUnavailable) if excepted else contextlib.nullcontext():
        await client.call("dispatch@example.org", element("m:GetItem"))

    assert asked == ([] if excepted else [b"POST http://exchange.invalid/EWS/Exchange.asmx HTTP/1.1"])


async def test_a_mailbox_is_known_to_answer_since_its_last_good_answer(place: Place) -> None:
    answers = [_BODY, _BODY.replace(b"NoError", b"ErrorAccessDenied").replace(b"Success", b"Error"), b"no XML"]

    def answer(connection: socket.socket, _: bytes) -> None:
        body = answers.pop(0)
        connection.sendall(_HEAD + b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    client = place.client(answer, impersonate=True)
    assert client.answered_seconds_ago("dispatch@example.org") == float("inf")

    await client.call("dispatch@example.org", element("m:GetItem"))
    good_until = time.monotonic()
    for _ in range(2):
        with contextlib.suppress(MailboxUnavailable):
            await client.call("dispatch@example.org", element("m:GetItem"))
    await asyncio.sleep(0.05)

    assert client.answered_seconds_ago("dispatch@example.org") >= time.monotonic() - good_until
    assert client.answered_seconds_ago("crew@example.org") == float("inf")
