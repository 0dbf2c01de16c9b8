"""HTTP that no client should speak, on EWS and the admin port: one answer to one request, or none, and all is well."""

from __future__ import annotations

import json
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

import pytest

from tests.support.sandbox import SandboxProcess
from tests.support.siege import EWS_PATH, MAILBOX, PING, Besieged, everything
from tests.support.soap import EwsClient

if TYPE_CHECKING:
    from collections.abc import Iterator

_BODY = (
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types" '
    'xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"><s:Header><t:ExchangeImpersonation>'
    f"<t:ConnectingSID><t:SmtpAddress>{MAILBOX}</t:SmtpAddress></t:ConnectingSID></t:ExchangeImpersonation></s:Header>"
    f"<s:Body>{PING}</s:Body></s:Envelope>"
).encode()
_LENGTH = f"Content-Length: {len(_BODY)}"
_SMUGGLED = b"GET /EWS/Exchange.asmx HTTP/1.1\r\nHost: localhost\r\n\r\n"
_CLIENTS = 200


@pytest.fixture(scope="module")
def siege(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    with SandboxProcess(tmp_path_factory.mktemp("siege") / "sandbox", mailboxes=[MAILBOX]) as running:
        yield Besieged(running)


@pytest.fixture(autouse=True)
def _as_well_as_before(siege: Besieged) -> Iterator[None]:
    yield
    siege.must_be_well()


def _said(siege: Besieged, *parts: bytes) -> bytes:
    """Return all that comes back to some bytes on a connection to EWS."""
    with siege.https() as connection:
        with suppress(OSError):  # it may hang up before all is said
            for part in parts:
                connection.sendall(part)
        return everything(connection, seconds=1.0)


def _statuses(said: bytes) -> list[int]:
    return [int(part.split(b" ", 1)[0]) for part in said.split(b"HTTP/1.1 ")[1:]]


def test_the_means_of_these_tests_get_an_answer_where_nothing_is_wrong(siege: Besieged) -> None:
    assert _statuses(_said(siege, siege.head(_LENGTH) + _BODY)) == [200]


# What makes two servers see two requests where there is one


@pytest.mark.parametrize(
    "lines",
    [
        (_LENGTH, "Content-Length: 5"),
        ("Content-Length: 5", _LENGTH),
        (_LENGTH, "Transfer-Encoding: chunked"),
        ("Transfer-Encoding: chunked", _LENGTH),
        ("Content-Length: +5",),
        ("Content-Length: -1",),
        ("Content-Length: 0x10",),
        ("Content-Length: 5, 5",),
        ("Content-Length: 99999999999999999999999999",),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding: xchunked",),
        (_LENGTH, "Transfer-Encoding : chunked"),
        (_LENGTH, " Transfer-Encoding: chunked"),
        (_LENGTH, "Transfer-Encoding:\x0bchunked"),
        (_LENGTH, "X: y\nTransfer-Encoding: chunked"),
        (_LENGTH, "X: y\rTransfer-Encoding: chunked"),
        (_LENGTH, "X\x00Y: z"),
        (_LENGTH, "No colon at all"),
        (_LENGTH, ": no name"),
    ],
    ids=range(19),
)
def test_an_ambiguous_request_is_never_answered_as_two(siege: Besieged, lines: tuple[str, ...]) -> None:
    """Refused, or taken as one and the connection closed; what follows is never a request of its own."""
    said = _said(siege, siege.head(*lines), b"0\r\n\r\n" + _SMUGGLED + _BODY)

    statuses = _statuses(said)
    assert len(statuses) <= 1
    assert statuses in ([], [400], [413], [500])


@pytest.mark.parametrize(
    "chunks",
    [
        b"zz\r\n" + _SMUGGLED,
        b"-1\r\n" + _SMUGGLED,
        b"ffffffffffffffffff\r\n" + _SMUGGLED,
        b"5;" + b"x" * 1_000_000 + b"\r\n",
        b"1\nx\n0\n\n" + _SMUGGLED,
        b"1\r\nxy\r\n0\r\n\r\n" + _SMUGGLED,
        b"0\r\n" + b"X: y\r\n" * 100_000 + b"\r\n",
    ],
    ids=["no number", "negative", "endless", "extension", "bare feeds", "wrong size", "trailers"],
)
def test_chunks_that_are_none_are_refused(siege: Besieged, chunks: bytes) -> None:
    statuses = _statuses(_said(siege, siege.head("Transfer-Encoding: chunked"), chunks))

    assert statuses in ([], [400], [500])


@pytest.mark.parametrize(
    "head",
    [
        b"POST /EWS/Exchange.asmx\r\n\r\n",
        b"POST /EWS/Exchange.asmx HTTP/9.9\r\nHost: x\r\n\r\n",
        b"POST  /EWS/Exchange.asmx  HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST\t/EWS/Exchange.asmx\tHTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /EWS/Exchange.asmx HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x00" * 10_000,
        b"\r\n" * 100_000,
        b"GET " + b"/" * 1_000_000,
        b"G" * 1_000_000,
        b"POST /EWS/Exchange.asmx HTTP/1.1\r\nX: " + b"y" * 1_000_000,
        b"POST /EWS/Exchange.asmx HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % number for number in range(100_000)),
        b"POST /EWS/%00%ff%2e%2e/Exchange.asmx?%00=%ff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST http://[::1/EWS/Exchange.asmx HTTP/1.1\r\nHost: x\r\n\r\n",
        b"CONNECT evil.example:443 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /EWS/Exchange.asmx HTTP/1.1\r\nHost: x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
    ],
    ids=range(16),
)
def test_a_head_that_is_none_is_refused_and_not_kept(siege: Besieged, head: bytes) -> None:
    before = siege.forget_peak()

    statuses = _statuses(_said(siege, head))

    assert all(400 <= status < 500 for status in statuses)
    assert siege.memory_mb() - before < 30


def test_requests_that_come_together_are_answered_in_order(siege: Besieged) -> None:
    said = _said(siege, (siege.head(_LENGTH) + _BODY) * 50)

    assert _statuses(said) == [200] * 50


def test_a_body_that_never_ends_gets_no_further_than_its_connection(siege: Besieged) -> None:
    with ExitStack() as stack:
        open_ones = [stack.enter_context(siege.https()) for _ in range(20)]
        for connection in open_ones:
            connection.sendall(siege.head("Content-Length: 60000000") + b"<s:Envelope")

        assert EwsClient(siege.sandbox, MAILBOX).codes(PING) == ["NoError"]


# Many, and slow


def test_two_hundred_clients_at_once_are_all_answered(siege: Besieged) -> None:
    """As by Exchange: those above an app's connections in a mailbox are told so, and nobody hangs."""
    before = siege.forget_peak()
    start = threading.Barrier(_CLIENTS)

    def ask(_number: int) -> str:
        client = EwsClient(siege.sandbox, MAILBOX, timeout=60)
        start.wait(60)
        answer = client.post(PING)
        return "ok" if answer.status_code == 200 else answer.text

    with ThreadPoolExecutor(_CLIENTS) as pool:
        answers = list(pool.map(ask, range(_CLIENTS)))

    assert answers.count("ok") >= 27
    assert all(answer == "ok" or "ErrorExceededConnectionCount" in answer for answer in answers)
    assert siege.memory_mb() - before < 150


def test_clients_that_say_one_byte_a_time_hold_up_nobody(siege: Besieged) -> None:
    head = siege.head(_LENGTH)
    with ExitStack() as stack:
        slow = [stack.enter_context(siege.https()) for _ in range(_CLIENTS)]
        for byte in range(8):
            for connection in slow:
                connection.sendall(head[byte : byte + 1])
            started = time.monotonic()
            assert siege.ews.codes(PING) == ["NoError"]
            assert time.monotonic() - started < 3

        for connection in slow[:5]:  # and they are answered, when they come to an end
            connection.sendall(head[8:] + _BODY)
            assert everything(connection, seconds=1.0).startswith(b"HTTP/1.1 200")


def test_connections_that_say_nothing_hold_up_nobody(siege: Besieged) -> None:
    with ExitStack() as stack:
        for _ in range(_CLIENTS):
            host, _, port = siege.sandbox.info["smtp"].rpartition(":")
            stack.enter_context(socket.create_connection((host, int(port)), 10))
            stack.enter_context(siege.admin())

        assert siege.ews.codes(PING) == ["NoError"]
        assert siege.sandbox.calls()


# The admin API


def _admin(siege: Besieged, head: str, body: bytes = b"", **headers: str) -> tuple[int, bytes]:
    given = {"Host": siege.sandbox.info["admin_url"].removeprefix("http://"), **headers}
    lines = [head + " HTTP/1.1", *(f"{name.replace('_', '-')}: {value}" for name, value in given.items())]
    lines += ["Connection: close", f"Content-Length: {len(body)}"]
    with siege.admin() as connection:
        connection.sendall("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)
        said = everything(connection)
    return _statuses(said)[0], said.partition(b"\r\n\r\n")[2]


_PATHS = (
    "/mailboxes/../../etc/passwd/folders",
    "/mailboxes/..%2f..%2fetc%2fpasswd/folders",
    "/mailboxes/%2e%2e/folders",
    "/mailboxes/dispatch%00@example.org/folders",
    "/mailboxes/%ff%fe/folders",
    "/mailboxes/%ed%a0%80/folders",
    "/mailboxes/%0d%0aX:%20y/folders",
    "/mailboxes/' OR 1=1 --/folders".replace(" ", "%20"),
    f"/mailboxes/{MAILBOX}/folders/../../../../etc/passwd/mails",
    f"/mailboxes/{MAILBOX}/folders/..%2f..%2fetc%2fpasswd/mails",
    f"/mailboxes/{MAILBOX}/folders/%00/mails",
    f"/mailboxes/{MAILBOX}/folders/%ed%a0%80/mails",
    f"/mailboxes/{MAILBOX}/folders/inbox/mails/%00/mime",
    f"/mailboxes/{MAILBOX}/folders/inbox/mails/..%2f..%2fstore.sqlite/mime",
    f"/mailboxes/{MAILBOX}/folders/inbox/mails/%ed%a0%80/view",
    f"/mailboxes/{MAILBOX}/folders/inbox/mails/AAMk/attachments/99999999999999999999",
    "/web/../store.sqlite",
    "/web/..%2f..%2fstore.sqlite",
    "/web/%2e%2e%2f__init__.py",
    "/web/%00",
    "/%2e%2e/%2e%2e/etc/passwd",
    "//etc/passwd",
    "/apps/%00",
)


@pytest.mark.parametrize("path", _PATHS)
def test_no_path_of_the_admin_api_leads_anywhere_else(siege: Besieged, path: str) -> None:
    status, body = _admin(siege, f"GET {path}")

    assert status in {400, 404, 405}
    assert b"root:" not in body
    assert b"SQLite" not in body
    assert siege.sandbox.directory.as_posix().encode() not in body


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": ""},
    ],
)
@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "application/json"])
def test_another_site_changes_nothing(siege: Besieged, headers: dict[str, str], content_type: str) -> None:
    for head, body in (
        ("POST /expire", b'{"what":"tokens"}'),
        ("PUT /faults", b'[{"match":{},"fault":"reset"}]'),
        ("DELETE /faults", b""),
        ("PUT /settings", b'{"ews_enabled":false}'),
        (f"POST /mailboxes/{MAILBOX}/mails", b"Subject: x\r\n\r\n"),
        ("OPTIONS /expire", b""),
    ):
        status, _ = _admin(siege, head, body, Content_Type=content_type, **headers)
        assert status in {400, 403}

    assert siege.ews.codes(PING) == ["NoError"]
    assert siege.sandbox.mails(MAILBOX) == []


_JSON = (
    b"", b"{", b"\x00", b"\xff\xfe", b"[" * 1_000_000, b'{"a":' * 100_000, b"1e999999", b"NaN", b'"\\ud800"', b"null",
    b'{"what": "\\ud800"}', b'{"what": {"what": 1}}', b'{"name": "\\u0000", "match": {}, "fault": "reset"}',
    b'[{"match": {"operation": "\\ud800"}, "fault": "reset", "times": 0}]', b'{"seconds": 1e999}', b'{"seconds": NaN}',
    b'{"mailboxes": {"../x": {}}}', b'{"mailboxes": {"\\u0000": {"sends_per_minute": 1}}}', b'{"subject": "\\ud800"}',
    b'{"conversion_refused": {"subjects": ["(a+)+$"]}}' * 2, b"9" * 5_000_000,
    b'{"sends_per_minute": ' + b"9" * 5000 + b"}",
)  # fmt: skip


@pytest.mark.parametrize(
    "head",
    ["POST /expire", "POST /issue", "PUT /faults", "POST /faults", "PUT /settings", "PUT /apps/x",
     f"POST /mailboxes/{MAILBOX}/move", f"POST /mailboxes/{MAILBOX}/mails"],
)  # fmt: skip
def test_json_that_is_none_or_means_nothing_is_refused_in_words(siege: Besieged, head: str) -> None:
    for body in _JSON:
        if not body and head.endswith(("/issue", "/move")):
            continue  # means: as usual
        status, said = _admin(siege, head, body, Content_Type="application/json")
        assert 400 <= status < 500, (body[:80], said)
        assert "error" in json.loads(said)


def test_a_body_over_the_limit_is_refused_without_being_held(siege: Besieged) -> None:
    before = siege.forget_peak()
    with siege.admin() as connection:
        host = siege.sandbox.info["admin_url"].removeprefix("http://")
        connection.sendall(f"PUT /faults HTTP/1.1\r\nHost: {host}\r\nContent-Length: 400000000\r\n\r\n".encode())
        with suppress(OSError):
            for _ in range(400):
                connection.sendall(b"[" * 1_000_000)
        said = everything(connection)

    assert _statuses(said) in ([413], [])
    assert siege.memory_mb() - before < 40


def test_a_path_of_ews_is_one_alone(siege: Besieged) -> None:
    for path in ("/", "/EWS", "/EWS/../EWS/Exchange.asmx/x", "/etc/passwd", f"{EWS_PATH}/../../x"):
        assert _statuses(_said(siege, siege.head(_LENGTH, path=path) + _BODY)) == [404]
