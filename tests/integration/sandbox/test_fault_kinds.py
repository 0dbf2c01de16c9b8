"""Every kind of fault over real HTTPS, as a client that takes nothing for granted sees it; none hurts the sandbox."""

from __future__ import annotations

import contextlib
import gzip
import re
import ssl
import time
import zlib
from contextlib import closing
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urlsplit

import pytest
from lxml import etree

from tests.support.raw_client import RawClient, Seen, read, unchunked
from tests.support.sandbox import AdminRefusedError, SandboxProcess
from tests.support.soap import MESSAGES, TYPES, EwsClient, envelope
from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DISPATCH = "dispatch@example.org"
_FIND = (
    '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>'
    '<m:ParentFolderIds><t:DistinguishedFolderId Id="inbox"/></m:ParentFolderIds></m:FindItem>'
)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path_factory.mktemp("kinds") / "sandbox", mailboxes=[_DISPATCH]) as running:
        for number in range(3):
            running.deliver(_DISPATCH, f"Subject: {number}\r\n\r\nBody\r\n".encode())
        yield running


@pytest.fixture
def ews(sandbox: SandboxProcess) -> Iterator[EwsClient]:
    sandbox.faults()
    yield EwsClient(sandbox, _DISPATCH)
    sandbox.faults()


@pytest.fixture
def raw(sandbox: SandboxProcess, ews: EwsClient) -> RawClient:
    return _raw(sandbox, ews)


def _raw(sandbox: SandboxProcess, ews: EwsClient) -> RawClient:
    url = urlsplit(sandbox.info["ews_url"])
    headers = {
        "Authorization": f"Bearer {ews.token}",
        "Content-Type": "text/xml; charset=utf-8",
        "X-AnchorMailbox": _DISPATCH,
    }
    return RawClient(str(url.hostname), int(url.port or 0), sandbox.info["ca_file"], url.path, headers)


def _find(raw: RawClient, **given: Any) -> Seen:
    return raw.ask(envelope(_DISPATCH, _FIND), **given)


def _good(body: bytes) -> bool:
    """Return whether a body is FindItem's whole and true answer."""
    return etree.fromstring(body).findtext(f".//{MESSAGES}ResponseCode") == "NoError"


# Connections


def _connection(kind: str, **given: Any) -> dict[str, Any]:
    return {"match": {"service": "ews"}, "fault": {"kind": kind, **given}}


def test_a_connection_is_accepted_and_reset(sandbox: SandboxProcess, raw: RawClient) -> None:
    sandbox.faults(_connection("tcp_reset"))

    with closing(raw.connect()) as plain:
        seen = read(plain)

    assert (seen.data, seen.ended) == (b"", "reset")
    assert sandbox.fault_report()[0]["fired"] == 1


def test_a_connection_is_accepted_and_never_answered(sandbox: SandboxProcess, raw: RawClient) -> None:
    sandbox.faults(_connection("tcp_silent"))

    with closing(raw.connect()) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        seen = read(plain, timeout=0.5)

    assert (seen.data, seen.ended) == (b"", "open")


def test_silence_ends_with_a_reset_when_its_time_is_over(sandbox: SandboxProcess, raw: RawClient) -> None:
    sandbox.faults(_connection("tcp_silent", seconds=0.2))

    with closing(raw.connect()) as plain:
        seen = read(plain)

    assert (seen.data, seen.ended) == (b"", "reset")
    assert seen.seconds >= 0.2


def test_a_tls_handshake_is_reset(sandbox: SandboxProcess, raw: RawClient) -> None:
    sandbox.faults(_connection("tls_reset"))

    with closing(raw.connect()) as plain, pytest.raises(ConnectionResetError):
        raw.secured(plain)


def test_a_tls_handshake_stops_in_the_middle_of_the_servers_flight(sandbox: SandboxProcess, raw: RawClient) -> None:
    sandbox.faults(_connection("tls_stall"))
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context(cafile=raw.ca_file).wrap_bio(incoming, outgoing, server_hostname=raw.host)

    with closing(raw.connect()) as plain:
        with pytest.raises(ssl.SSLWantReadError):
            client.do_handshake()
        plain.sendall(outgoing.read())
        seen = read(plain)

    assert seen.data[0] == 22  # a handshake record: so it began
    assert seen.ended == "open"
    incoming.write(seen.data)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()


@pytest.mark.parametrize(
    ("fault", "alert", "reason"),
    [
        ({"kind": "tls_alert"}, 40, "HANDSHAKE_FAILURE"),
        ({"kind": "tls_alert", "description": 112}, 112, "UNRECOGNIZED_NAME"),
        ({"kind": "tls_version_refused"}, 70, "PROTOCOL_VERSION"),
    ],
)
def test_a_tls_handshake_is_refused_by_an_alert(
    sandbox: SandboxProcess, raw: RawClient, fault: dict[str, Any], alert: int, reason: str
) -> None:
    sandbox.faults({"match": {"service": "ews"}, "fault": fault})

    with closing(raw.connect()) as plain:
        plain.sendall(_client_hello(raw))
        seen = read(plain)
    with closing(raw.connect()) as plain, pytest.raises(ssl.SSLError) as refused:
        raw.secured(plain)

    assert (seen.data, seen.ended) == (bytes([21, 3, 3, 0, 2, 2, alert]), "end")
    assert reason in str(refused.value)


def _client_hello(raw: RawClient) -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname=raw.host)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


def test_a_port_speaks_http_without_tls(sandbox: SandboxProcess, raw: RawClient) -> None:
    sandbox.faults(_connection("tls_plaintext"))

    with closing(raw.connect()) as plain:
        plain.sendall(raw.request(b""))
        seen = read(plain)

    assert seen.data.startswith(b"HTTP/1.1 400 ")
    assert int(seen.header("Content-Length")[0]) == len(seen.body)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("certificate_expired", "certificate has expired"),
        ("certificate_not_yet_valid", "certificate is not yet valid"),
        ("certificate_wrong_host", "IP address mismatch"),
        ("certificate_untrusted", "unable to get local issuer certificate"),
    ],
)
def test_a_wrong_certificate_is_wrong_in_the_stated_way_alone(
    sandbox: SandboxProcess, raw: RawClient, kind: str, reason: str
) -> None:
    sandbox.faults({**_connection(kind), "times": 1})

    with closing(raw.connect()) as plain, pytest.raises(ssl.SSLCertVerificationError) as refused:
        raw.secured(plain)

    assert reason in refused.value.verify_message
    assert _good(_find(raw).content)


def test_a_client_that_verifies_nothing_is_served_under_a_wrong_certificate(
    sandbox: SandboxProcess, raw: RawClient
) -> None:
    sandbox.faults(_connection("certificate_untrusted"))
    careless = ssl.create_default_context()
    careless.check_hostname, careless.verify_mode = False, ssl.CERT_NONE

    with closing(raw.secured(raw.connect(), careless)) as secured:
        secured.sendall(raw.request(envelope(_DISPATCH, _FIND)))
        seen = read(secured)

    assert _good(seen.content)


def test_a_slow_line_delays_each_byte_of_the_request_and_the_answer(sandbox: SandboxProcess, raw: RawClient) -> None:
    padding = " " * 60_000
    sandbox.faults(_connection("slow_line", request_bytes_per_second=100_000))
    slow_up = raw.ask(envelope(_DISPATCH, _FIND + padding))
    sandbox.faults(_connection("slow_line", answer_bytes_per_second=4_000))
    slow_down = _find(raw)

    assert _good(slow_up.content)
    assert slow_up.seconds >= 0.6
    assert _good(slow_down.content)
    sizes = [size for _, size in slow_down.pieces]
    assert slow_down.pieces[-1][0] >= (sum(sizes) - sizes[0]) / 4_000 * 0.5


def test_rules_for_connections_tell_services_and_numbers_apart(sandbox: SandboxProcess, raw: RawClient) -> None:
    sandbox.faults(
        {"match": {"service": "entra"}, "fault": "tcp_reset"},
        {"match": {"service": "ews", "nth": 2}, "fault": "tcp_reset"},
    )

    assert _good(_find(raw).content)
    with pytest.raises((OSError, ssl.SSLError)):
        _find(raw)
    assert _good(_find(raw).content)
    assert [(rule["seen"], rule["fired"]) for rule in sandbox.fault_report()] == [(0, 0), (3, 1)]


@pytest.mark.parametrize("key", ["operation", "mailbox", "folder", "item"])
def test_a_rule_for_connections_cannot_name_what_only_a_call_has(sandbox: SandboxProcess, key: str) -> None:
    with pytest.raises(AdminRefusedError) as refused:
        sandbox.faults({"match": {key: 1 if key == "item" else "x"}, "fault": "tcp_reset"})

    assert refused.value.answer["key"] == f"match.{key}"
    assert refused.value.answer["known"] == ["nth", "probability", "service"]


# Before the work


def test_latency_follows_its_distribution_and_its_seed(sandbox: SandboxProcess, raw: RawClient) -> None:
    latency = {"kind": "latency", "seconds": 0.15, "distribution": "uniform", "spread": 0.15}
    rule = {"match": {"operation": "FindItem"}, "fault": latency, "seed": 3}
    sandbox.faults(rule)
    first = [_find(raw, patience=0.05).pieces[0][0] for _ in range(5)]
    sandbox.faults(rule)
    second = [_find(raw, patience=0.05).pieces[0][0] for _ in range(5)]

    assert max(first) - min(first) > 0.05
    assert second == pytest.approx(first, abs=0.08)


def test_a_slow_upload_delays_the_work_by_the_size_of_the_request(sandbox: SandboxProcess, raw: RawClient) -> None:
    body = envelope(_DISPATCH, _FIND)
    sandbox.faults(
        {"match": {"operation": "FindItem"}, "fault": {"kind": "slow_upload", "bytes_per_second": len(body) * 3}}
    )

    seen = raw.ask(body)

    assert _good(seen.content)
    assert 0.3 <= seen.pieces[0][0] < 1


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_comes_as_seconds_or_as_a_date(sandbox: SandboxProcess, raw: RawClient, form: str) -> None:
    fault = {"kind": "unavailable", "status": 429, "retry_after_seconds": 90, "retry_after_form": form}
    sandbox.faults({"match": {"operation": "FindItem"}, "fault": fault})

    seen = _find(raw)

    (value,) = seen.header("Retry-After")
    assert seen.data.startswith(b"HTTP/1.1 429 ")
    if form == "seconds":
        assert value == "90"
    else:
        ahead = parsedate_to_datetime(value) - datetime.now(UTC)
        assert timedelta(seconds=80) < ahead <= timedelta(seconds=91)


@pytest.mark.parametrize("milliseconds", [None, 4321])
def test_a_busy_server_says_when_to_come_back_unless_told_not_to(
    sandbox: SandboxProcess, raw: RawClient, milliseconds: int | None
) -> None:
    fault = {"kind": "server_busy", "back_off_milliseconds": milliseconds}
    sandbox.faults({"match": {"operation": "FindItem"}, "fault": fault})

    seen = _find(raw)

    assert seen.data.startswith(b"HTTP/1.1 500 ")
    assert b">a:ErrorServerBusy<" in seen.body
    assert (b'Name="BackOffMilliseconds">4321<' in seen.body) is (milliseconds is not None)
    assert (b"MessageXml" in seen.body) is (milliseconds is not None)


@pytest.mark.parametrize(
    ("kind", "status", "part"),
    [
        ({"kind": "soap_fault", "code": "ErrorMailboxMoveInProgress"}, 500, b"a:ErrorMailboxMoveInProgress"),
        ({"kind": "http_error", "status": 504}, 504, b"<html>"),
        ({"kind": "gateway_error", "status": 504}, 504, b"<html>"),
        ("blocked_by_policy", 403, b""),
        ("unavailable", 503, b"unavailable"),
    ],
)
def test_refusals_of_whole_calls_have_their_status_and_body(
    sandbox: SandboxProcess, raw: RawClient, kind: object, status: int, part: bytes
) -> None:
    sandbox.faults({"match": {"operation": "FindItem"}, "fault": kind})

    seen = _find(raw)

    assert seen.data.startswith(f"HTTP/1.1 {status} ".encode())
    assert part in seen.body


@pytest.mark.parametrize("kind", ["cut_before", "cut_after"])
def test_a_cut_is_a_reset_without_a_byte(sandbox: SandboxProcess, raw: RawClient, kind: str) -> None:
    sandbox.faults({"match": {"operation": "FindItem"}, "fault": kind})

    seen = _find(raw)

    assert (seen.data, seen.ended) == (b"", "reset")


@pytest.mark.parametrize("kind", ["stall_before", "stall_after"])
def test_a_stall_is_silence_and_then_a_reset(sandbox: SandboxProcess, raw: RawClient, kind: str) -> None:
    sandbox.faults({"match": {"operation": "FindItem"}, "fault": {"kind": kind, "seconds": 0.3}})

    seen = _find(raw)

    assert (seen.data, seen.ended) == (b"", "reset")
    assert seen.seconds >= 0.3


def test_a_late_answer_is_whole(sandbox: SandboxProcess, raw: RawClient) -> None:
    sandbox.faults({"match": {"operation": "FindItem"}, "fault": {"kind": "late_answer", "seconds": 0.3}})

    seen = _find(raw)

    assert seen.pieces[0][0] >= 0.3
    assert _good(seen.content)


# The course of an answer


def _came_up_to(seen: Seen, at: str) -> bool:
    whole_head = b"\r\n\r\n" in seen.data
    return {
        "status": seen.data == b"HTTP/1.1 200 OK\r\n",
        "headers": seen.data.count(b"\r\n") > 1 and not whole_head and not seen.data.endswith(b"\r\n"),
        "body": whole_head and seen.body == b"",
        "middle": whole_head and 0 < len(seen.body) < int((seen.header("Content-Length") or ["0"])[0]),
    }[at]


@pytest.mark.parametrize("at", ["status", "headers", "body", "middle"])
def test_an_answer_is_reset_at_the_stated_point(sandbox: SandboxProcess, raw: RawClient, at: str) -> None:
    sandbox.faults({"match": {"operation": "FindItem"}, "fault": {"kind": "reset_within", "at": at}})

    seen = _find(raw)

    assert _came_up_to(seen, at)
    assert seen.ended == "reset"


@pytest.mark.parametrize("at", ["status", "headers", "body", "middle"])
def test_an_answer_stalls_at_the_stated_point_and_is_reset_in_the_end(
    sandbox: SandboxProcess, raw: RawClient, at: str
) -> None:
    sandbox.faults({"match": {"operation": "FindItem"}, "fault": {"kind": "stall_within", "at": at, "seconds": 0.4}})

    seen = _find(raw, patience=2)

    assert _came_up_to(seen, at)
    assert seen.ended == "reset"
    assert seen.seconds - seen.pieces[-1][0] >= 0.3


def test_header_lines_trickle_and_the_answer_comes_whole(sandbox: SandboxProcess, raw: RawClient) -> None:
    sandbox.faults(
        {"match": {"operation": "FindItem"}, "fault": {"kind": "trickle_headers", "lines": 5, "seconds_per_line": 0.1}}
    )

    seen = _find(raw)

    assert seen.head.count(b"X-Trickle-") == 5
    assert len(seen.pieces) >= 5
    assert seen.pieces[-1][0] >= 0.5
    assert _good(seen.content)


def test_interim_answers_come_before_the_true_one(sandbox: SandboxProcess, raw: RawClient) -> None:
    fault = {"kind": "interim_answers", "answers": 3, "seconds_per_answer": 0.1}
    sandbox.faults({"match": {"operation": "FindItem"}, "fault": fault})

    seen = _find(raw)

    interim = b"HTTP/1.1 100 Continue\r\n\r\n"
    assert seen.data.startswith(interim * 3 + b"HTTP/1.1 200 OK\r\n")
    assert _good(seen.data.removeprefix(interim * 3).partition(b"\r\n\r\n")[2])


def test_an_answer_drips(sandbox: SandboxProcess, raw: RawClient) -> None:
    sandbox.faults({"match": {"operation": "FindItem"}, "fault": {"kind": "slow_drip", "bytes_per_second": 2000}})

    seen = _find(raw)

    assert len(seen.pieces) > 10
    assert seen.pieces[-1][0] >= len(seen.body) / 2000 * 0.8
    assert _good(seen.content)


def test_an_answer_is_cut_or_truncated_in_the_middle(sandbox: SandboxProcess, raw: RawClient) -> None:
    sandbox.faults({"match": {"operation": "FindItem"}, "fault": "cut_within"})
    cut = _find(raw)
    sandbox.faults({"match": {"operation": "FindItem"}, "fault": "truncated"})
    truncated = _find(raw)

    assert cut.ended == "end"
    assert len(cut.body) == int(cut.header("Content-Length")[0]) // 2
    assert len(truncated.body) == int(truncated.header("Content-Length")[0])
    for seen in (cut, truncated):
        with pytest.raises(etree.XMLSyntaxError):
            etree.fromstring(seen.body)


# The form of an answer


@pytest.mark.parametrize(("kind", "body"), [("malformed", b"<m:Broken "), ("html_page", b"<html>"), ("empty", b"")])
def test_an_answer_of_200_is_no_answer(sandbox: SandboxProcess, raw: RawClient, kind: str, body: bytes) -> None:
    sandbox.faults({"match": {"operation": "FindItem"}, "fault": kind})

    seen = _find(raw)

    assert seen.data.startswith(b"HTTP/1.1 200 OK\r\n")
    assert (body in seen.body) if body else seen.body == b""
    with pytest.raises((etree.XMLSyntaxError, AssertionError)):
        assert _good(seen.body)


def test_an_answer_is_no_http(sandbox: SandboxProcess, raw: RawClient) -> None:
    sandbox.faults({"match": {"operation": "FindItem"}, "fault": "no_http"})

    seen = _find(raw)

    assert not seen.data.startswith(b"HTTP/")
    assert seen.ended == "end"


def test_a_whole_answer_comes_under_another_type_or_date(sandbox: SandboxProcess, raw: RawClient) -> None:
    sandbox.faults(
        {"fault": {"kind": "wrong_type", "content_type": "application/json"}},
        {"fault": {"kind": "wrong_date", "seconds": -86_400}},
    )

    seen = _find(raw)

    assert seen.header("Content-Type") == ["application/json"]
    behind = datetime.now(UTC) - parsedate_to_datetime(seen.header("Date")[0])
    assert timedelta(hours=23.9) < behind < timedelta(hours=24.1)
    assert _good(seen.content)


@pytest.mark.parametrize(
    ("how", "values"),
    [
        ("too_long", lambda size: [str(size + 100)]),
        ("too_short", lambda size: [str(size // 2)]),
        ("negative", lambda size: [f"-{size}"]),
        ("not_a_number", lambda _size: ["many"]),
        ("twice", lambda size: [str(size), str(size + 1)]),
        ("chunked", lambda size: [str(size // 2)]),
    ],
)
def test_a_length_is_wrong_and_the_answer_whole(
    sandbox: SandboxProcess, raw: RawClient, how: str, values: Callable[[int], list[str]]
) -> None:
    sandbox.faults({"match": {"operation": "FindItem"}, "fault": {"kind": "wrong_length", "how": how}})

    seen = _find(raw)

    body = unchunked(seen.body)[0] if how == "chunked" else seen.body
    assert _good(body)
    assert seen.header("Content-Length") == values(len(body))
    assert seen.header("Transfer-Encoding") == (["chunked"] if how == "chunked" else [])
    assert seen.ended == "open"


def test_the_next_call_on_the_connection_goes_on_after_a_short_length(sandbox: SandboxProcess, raw: RawClient) -> None:
    """That is the danger of it: what was left over stands before the next answer."""
    fault = {"kind": "wrong_length", "how": "too_short"}
    sandbox.faults({"match": {"operation": "FindItem"}, "fault": fault, "times": 1})

    with closing(raw.secured(raw.connect())) as secured:
        for _ in range(2):
            secured.sendall(raw.request(envelope(_DISPATCH, _FIND)))
            seen = read(secured)

    assert seen.data.startswith(b"HTTP/1.1 200 OK")
    assert _good(seen.content)


@pytest.mark.parametrize("form", ["plain", "extensions", "trailers"])
def test_an_answer_comes_in_odd_chunks(sandbox: SandboxProcess, raw: RawClient, form: str) -> None:
    sandbox.faults({"match": {"operation": "FindItem"}, "fault": {"kind": "chunked", "bytes": 13, "form": form}})

    seen = _find(raw)

    body, trailer = unchunked(seen.body)
    assert _good(body)
    assert seen.body.startswith(b'd;part="a;b";x\r\n' if form == "extensions" else b"d\r\n")
    assert (b"X-Checked: yes" in trailer) is (form == "trailers")
    assert seen.header("Content-Length") == []


@pytest.mark.parametrize("how", ["bad_size", "huge_size", "early_end", "short", "no_end"])
def test_chunks_are_broken_in_the_stated_way(sandbox: SandboxProcess, raw: RawClient, how: str) -> None:
    sandbox.faults({"match": {"operation": "FindItem"}, "fault": {"kind": "chunked_broken", "how": how}})

    seen = _find(raw)

    lines = seen.body.split(b"\r\n")
    assert seen.ended == "end"
    assert seen.header("Transfer-Encoding") == ["chunked"]
    if how == "bad_size":
        assert b"several" in lines
    elif how == "huge_size":
        assert b"f" * 16 in lines
    elif how == "early_end":
        with pytest.raises(etree.XMLSyntaxError):
            etree.fromstring(unchunked(seen.body)[0])
    else:
        assert b"0" not in lines
        with pytest.raises(ValueError, match=r"shorter than it says|invalid literal"):
            unchunked(seen.body)


def test_an_answer_is_packed_and_says_so(sandbox: SandboxProcess, raw: RawClient) -> None:
    sandbox.faults({"match": {"operation": "FindItem"}, "fault": "gzip"})

    seen = _find(raw)

    assert seen.header("Content-Encoding") == ["gzip"]
    assert _good(gzip.decompress(seen.body))


@pytest.mark.parametrize("how", ["truncated", "corrupt", "unlabelled", "mislabelled"])
def test_packing_is_broken_in_the_stated_way(sandbox: SandboxProcess, raw: RawClient, how: str) -> None:
    sandbox.faults({"match": {"operation": "FindItem"}, "fault": {"kind": "gzip_broken", "how": how}})

    seen = _find(raw)

    assert seen.header("Content-Encoding") == ([] if how == "unlabelled" else ["gzip"])
    if how == "unlabelled":
        assert _good(gzip.decompress(seen.body))
    elif how == "mislabelled":
        assert _good(seen.content)
    else:
        with pytest.raises((EOFError, zlib.error, gzip.BadGzipFile)):
            gzip.decompress(seen.body)


def test_a_bomb_is_small_on_the_wire_and_well_formed(sandbox: SandboxProcess, raw: RawClient) -> None:
    sandbox.faults({"match": {"operation": "FindItem"}, "fault": {"kind": "gzip_bomb", "megabytes": 16}})

    seen = _find(raw)

    unpacked = gzip.decompress(seen.body)
    assert len(seen.body) < 40_000
    assert len(unpacked) > 16 << 20
    assert _good(unpacked.rstrip(b" "))


# Items


def _items(ews: EwsClient) -> list[str]:
    return ews.find("inbox")


@pytest.mark.parametrize("back_off", [None, 5000])
def test_an_item_that_is_busy_says_so_with_and_without_a_time(
    sandbox: SandboxProcess, ews: EwsClient, back_off: int | None
) -> None:
    items = _items(ews)
    fault = {"kind": "item_error", "code": "ErrorServerBusy", "back_off_milliseconds": back_off}
    sandbox.faults({"match": {"operation": "GetItem", "item": 2}, "fault": fault})

    answer = ews.call(ews.get(*items))

    assert [node.text for node in answer.iter(f"{MESSAGES}ResponseCode")] == ["NoError", "ErrorServerBusy", "NoError"]
    told = {node.get("Name"): node.text for node in answer.iter(f"{TYPES}Value")}
    assert told == ({} if back_off is None else {"BackOffMilliseconds": "5000"})


def test_the_third_face_of_throttling_is_within_an_item(sandbox: SandboxProcess, ews: EwsClient) -> None:
    items = _items(ews)
    sandbox.faults({"match": {"operation": "GetItem", "item": 1}, "fault": "item_server_busy"})

    answer = ews.call(ews.get(*items))

    assert answer.findtext(f".//{MESSAGES}ResponseCode") == "ErrorInternalServerError"
    told = {node.get("Name"): node.text for node in answer.iter(f"{TYPES}Value")}
    assert told["InnerErrorResponseCode"] == "ErrorServerBusy"


def test_an_item_is_done_though_its_answer_is_an_error(sandbox: SandboxProcess, ews: EwsClient) -> None:
    sandbox.deliver(_DISPATCH, b"Subject: to be deleted\r\n\r\n")
    items = _items(ews)
    delete = f'<m:DeleteItem DeleteType="HardDelete"><m:ItemIds><t:ItemId Id="{items[0]}"/></m:ItemIds></m:DeleteItem>'
    fault = {"kind": "item_error_after", "code": "ErrorTimeoutExpired"}
    sandbox.faults({"match": {"operation": ["DeleteItem", "CreateItem"]}, "fault": fault})
    sent = len(sandbox.sends())

    assert ews.codes(delete) == ["ErrorTimeoutExpired"]
    assert ews.codes(ews.send(b"To: away@elsewhere.example\r\nSubject: x\r\n\r\nx\r\n")) == ["ErrorTimeoutExpired"]

    assert _items(ews) == items[1:]
    assert len(sandbox.sends()) == sent + 1


# Streams


_STREAM = (
    "<m:GetStreamingEvents><m:SubscriptionIds><t:SubscriptionId>{id}</t:SubscriptionId></m:SubscriptionIds>"
    "<m:ConnectionTimeout>1</m:ConnectionTimeout></m:GetStreamingEvents>"
)


def _subscribed(ews: EwsClient) -> str:
    answer = ews.call(
        '<m:Subscribe><m:StreamingSubscriptionRequest><t:FolderIds><t:DistinguishedFolderId Id="inbox"/></t:FolderIds>'
        "<t:EventTypes><t:EventType>NewMailEvent</t:EventType></t:EventTypes></m:StreamingSubscriptionRequest></m:Subscribe>"
    )
    return str(answer.findtext(f".//{MESSAGES}SubscriptionId"))


def _streamed(sandbox: SandboxProcess, ews: EwsClient, raw: RawClient, *, mails: int) -> Seen:
    """Return what a stream tells of so many mails, each told in a message of its own."""
    body = envelope(_DISPATCH, _STREAM.format(id=_subscribed(ews)))
    with closing(raw.secured(raw.connect())) as secured:
        secured.sendall(raw.request(body))
        parts = [read(secured, patience=0.2)]
        for number in range(mails):
            sandbox.deliver(_DISPATCH, f"Subject: news {number}\r\n\r\n".encode())
            # Longer than a stream takes to notice that it is over.
            parts.append(read(secured, patience=1.3, timeout=1.3))
        return Seen(b"".join(part.data for part in parts), parts[-1].ended, 0)


@pytest.mark.parametrize(
    ("kind", "seen_of_it"),
    [
        ("stream_silent", (1, "open")),
        ("stream_missed", (1, "open")),
        ("stream_repeated", (3, "open")),
        ("stream_garbage", (1, "open")),
        ("stream_cut", (1, "reset")),
    ],
)
def test_a_stream_goes_wrong_after_its_first_message_of_events(
    sandbox: SandboxProcess, ews: EwsClient, raw: RawClient, kind: str, seen_of_it: tuple[int, str]
) -> None:
    sandbox.faults({"match": {"operation": "GetStreamingEvents"}, "fault": {"kind": kind, "after": 1}})

    seen = _streamed(sandbox, ews, raw, mails=2)

    assert (len(re.findall(rb"</(?:t:)?NewMailEvent>", seen.data)), seen.ended) == seen_of_it
    assert (b"this is no XML" in seen.data) is (kind == "stream_garbage")
    assert seen.data.endswith(b"\r\n0\r\n\r\n") is (kind == "stream_garbage")


@pytest.mark.parametrize("kind", ["cut_after", "stall_after"])
def test_the_answer_of_a_stream_is_lost_like_any_other(
    sandbox: SandboxProcess, ews: EwsClient, raw: RawClient, kind: str
) -> None:
    subscription = _subscribed(ews)
    fault: Any = kind if kind == "cut_after" else {"kind": kind, "seconds": 0.2}
    sandbox.faults({"match": {"operation": "GetStreamingEvents"}, "fault": fault})

    seen = raw.ask(envelope(_DISPATCH, _STREAM.format(id=subscription)))

    assert (seen.data, seen.ended) == (b"", "reset")


# All of them


# What each kind needs to be over soon; those that are not named go as they are.
_SHORT: dict[str, dict[str, Any]] = {
    "tcp_silent": {"seconds": 0.02},
    "tls_stall": {"seconds": 0.02},
    "latency": {"seconds": 0.02, "distribution": "exponential"},
    "slow_upload": {"bytes_per_second": 1_000_000},
    "slow_line": {"request_bytes_per_second": 1_000_000, "answer_bytes_per_second": 1_000_000},
    "stall_before": {"seconds": 0.02},
    "stall_after": {"seconds": 0.02},
    "stall_within": {"seconds": 0.02},
    "late_answer": {"seconds": 0.02},
    "item_error": {"code": "ErrorItemCorrupt"},
    "item_error_after": {"code": "ErrorTimeoutExpired"},
    "soap_fault": {"code": "ErrorInternalServerError"},
    "trickle_headers": {"lines": 2, "seconds_per_line": 0.01},
    "interim_answers": {"answers": 2, "seconds_per_answer": 0.01},
    "slow_drip": {"bytes_per_second": 100_000},
    "wrong_length": {"how": "too_long", "seconds": 0.02},
    "gzip_bomb": {"megabytes": 1},
}
_ROUNDS = 20


def test_all_kinds_in_a_row_leave_no_thread_and_no_descriptor_behind(sandbox: SandboxProcess, ews: EwsClient) -> None:
    raw = _raw(sandbox, ews)
    kinds = [entry["kind"] for entry in sandbox.admin("/faults/kinds")]
    subscription = _subscribed(ews)
    stream = envelope(_DISPATCH, _STREAM.format(id=subscription))

    def struck(kind: str) -> bool:
        with contextlib.suppress(OSError):
            raw.ask(stream if kind.startswith("stream_") else envelope(_DISPATCH, _FIND), patience=0.03, timeout=0.3)
        (rule,) = sandbox.fault_report()
        return bool(rule["fired"] >= 1)

    def strike_all() -> None:
        for kind in kinds:
            sandbox.faults({"match": {"service": "ews"}, "fault": {"kind": kind, **_SHORT.get(kind, {})}})
            # On a busy machine the short time may be over before the request has got there.
            until(lambda kind=kind: struck(kind), f"{kind} to strike")  # type: ignore[misc]
        sandbox.faults()

    strike_all()
    before = _settled(sandbox)
    for _ in range(_ROUNDS):
        strike_all()
    after = _settled(sandbox, wanted=before[1])

    assert after[0] <= before[0] + 2, f"threads: {before[0]}, then {after[0]}"
    assert after[1] <= before[1] + 5, f"descriptors: {before[1]}, then {after[1]}"
    assert _good(_find(raw).content)
    assert sandbox.running
    assert sandbox.stderr == ""


def _settled(sandbox: SandboxProcess, *, wanted: int = 0) -> tuple[int, int]:
    """Return the numbers of threads and descriptors: the least of the latter in two seconds, or what was `wanted`."""
    process = Path(f"/proc/{sandbox.pid}")
    ends, least = time.monotonic() + 2, 1 << 30
    while time.monotonic() < ends and least > wanted:
        sandbox.calls()
        least = min(least, len(list((process / "fd").iterdir())))
    return len(list((process / "task").iterdir())), least


def test_counts_and_what_the_seed_decides_survive_a_kill(tmp_path: Path) -> None:
    rule = {"name": "half", "match": {"operation": "token", "probability": 0.5}, "fault": "unavailable", "seed": 11}

    def outcomes(sandbox: SandboxProcess, calls: int) -> list[bool]:
        url = urlsplit(sandbox.info["authority_url"])
        raw = RawClient(str(url.hostname), int(url.port or 0), sandbox.info["ca_file"], url.path + "/oauth2/v2.0/token")
        form = urlencode({"grant_type": "client_credentials"}).encode()
        return [b" 503 " in raw.ask(form, patience=0.02).data[:16] for _ in range(calls)]

    with SandboxProcess(tmp_path / "whole", mailboxes=[_DISPATCH]) as sandbox:
        sandbox.faults(rule)
        whole = outcomes(sandbox, 30)
    with SandboxProcess(tmp_path / "killed", mailboxes=[_DISPATCH]) as sandbox:
        sandbox.faults(rule)
        first = outcomes(sandbox, 13)
        sandbox.restart()
        second = outcomes(sandbox, 17)
        report = sandbox.fault_report()

    assert first + second == whole
    assert report == [{**rule, "seen": 30, "fired": sum(whole)}]
