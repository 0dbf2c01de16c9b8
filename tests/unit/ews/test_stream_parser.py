"""Messages of a stream are taken whole, however the network cuts them up; whatever is no message ends the stream."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.adapters.ews.stream_parser import EnvelopeCutter, NoticeReader, Refusal
from bridge.domain.notices import Notice, StreamGarbled

_NS = (
    'xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages" '
    'xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"'
)
_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
INBOX, JUNK, DELETED = "AAinbox", "AAjunk", "AAdeleted"


def envelope(*messages: str, prefix: str = "", end: str = "") -> bytes:
    """Return an envelope as Exchange writes it, with its declaration; the prefix is that of SOAP's namespace."""
    colon, xmlns = (f"{prefix}:", f"xmlns:{prefix}") if prefix else ("", "xmlns")
    return (
        f'<?xml version="1.0" encoding="utf-8"?><{colon}Envelope {xmlns}="{_SOAP}" {_NS}><{colon}Body>'
        f"<m:GetStreamingEventsResponse><m:ResponseMessages>{''.join(messages)}</m:ResponseMessages>"
        f"</m:GetStreamingEventsResponse></{colon}Body></{colon}Envelope{end}>"
    ).encode()


def ok(content: str = "") -> str:
    """Return a message that holds no error."""
    return _message("Success", "NoError", content)


def refused(code: str, *ids: str, closed: bool = False) -> str:
    """Return a message with an error, about the subscriptions with these ids."""
    listed = "".join(f"<m:SubscriptionId>{one}</m:SubscriptionId>" for one in ids)
    named = f"<m:ErrorSubscriptionIds>{listed}</m:ErrorSubscriptionIds>" if ids else ""
    return _message("Error", code, named + (status("Closed") if closed else ""))


def status(text: str) -> str:
    """Return the state of the connection."""
    return f"<m:ConnectionStatus>{text}</m:ConnectionStatus>"


def told(subscription: str, *events: str) -> str:
    """Return what is told of a subscription."""
    one = f"<t:SubscriptionId>{subscription}</t:SubscriptionId>{''.join(events)}"
    return f"<m:Notifications><m:Notification>{one}</m:Notification></m:Notifications>"


def came(kind: str = "NewMail", folder: str = INBOX) -> str:
    """Return an event of an item that came."""
    return f'<t:{kind}Event><t:ItemId Id="AAitem"/><t:ParentFolderId Id="{folder}"/></t:{kind}Event>'


def moved(old: str, new: str) -> str:
    """Return an event of an item that went from one folder to another."""
    return (
        '<t:MovedEvent><t:ItemId Id="AAitem"/>'
        f'<t:ParentFolderId Id="{new}"/><t:OldItemId Id="AAold"/><t:OldParentFolderId Id="{old}"/></t:MovedEvent>'
    )


def _message(kind: str, code: str, content: str) -> str:
    name = "m:GetStreamingEventsResponseMessage"
    return f'<{name} ResponseClass="{kind}"><m:ResponseCode>{code}</m:ResponseCode>{content}</{name}>'


_BEAT = "<t:StatusEvent/>"
_STREAM = [
    envelope(ok(status("OK"))),
    envelope(ok(told("one", _BEAT)), prefix="soap11"),
    envelope(ok(told("two", came())), end=" "),
    envelope(ok(status("Closed")), prefix="S"),
]


def _cut(pieces: list[bytes]) -> list[bytes]:
    cutter = EnvelopeCutter()
    found = [one for piece in pieces for one in cutter.feed(piece)]
    assert not cutter.is_within
    return found


@given(
    st.sampled_from([b"", b"\r\n", b" \n\t", b"\xef\xbb\xbf"]),
    st.lists(st.integers(0, 3_000), max_size=30),
)
@example(between=b"\r\n", cuts=list(range(1, 3_000)))
def test_messages_come_whole_however_the_bytes_are_cut(between: bytes, cuts: list[int]) -> None:
    whole = between.join(_STREAM) + between.strip(b"\xef\xbb\xbf")
    edges = sorted({0, len(whole), *(cut for cut in cuts if cut < len(whole))})

    assert _cut([whole[start:end] for start, end in itertools.pairwise(edges)]) == _STREAM


def test_every_single_cut_of_two_messages_gives_both() -> None:
    whole = _STREAM[1] + _STREAM[2]
    for cut in range(len(whole) + 1):
        assert _cut([whole[:cut], whole[cut:]]) == [_STREAM[1], _STREAM[2]]


@given(st.binary(max_size=400), st.integers(1, 50))
def test_any_bytes_are_messages_or_an_error_and_never_kept_beyond_the_limit(data: bytes, size: int) -> None:
    cutter, reader = EnvelopeCutter(100), NoticeReader(["one"])
    try:
        for start in range(0, len(data), size):
            for one in cutter.feed(data[start : start + size]):
                reader.read(one)
    except StreamGarbled:
        return
    assert len(cutter._held) <= 100


@pytest.mark.parametrize(
    "data", [b"\x00\xff<Envelope>", b"HTTP/1.1 200 OK", b"  {}", b"\xef\xbb\xbfx", _STREAM[0] + b"x"]
)
def test_what_cannot_begin_a_message_is_told_at_once(data: bytes) -> None:
    with pytest.raises(StreamGarbled):
        list(EnvelopeCutter().feed(data))


def test_a_message_without_end_is_not_kept() -> None:
    cutter = EnvelopeCutter(largest_bytes=100_000)
    for _ in range(100):
        list(cutter.feed(b"<Envelope>" * 100))

    with pytest.raises(StreamGarbled):
        list(cutter.feed(b"x"))


def test_an_end_that_trickles_does_not_make_the_search_begin_anew() -> None:
    """Megabytes that come byte by byte would otherwise be searched from their beginning each time."""
    cutter = EnvelopeCutter()
    list(cutter.feed(b"<Envelope>" + b"x" * 1_000_000))

    assert cutter._looked >= 1_000_000 - 200
    assert len(list(cutter.feed(b"</Envelope>"))) == 1


def test_half_a_message_is_seen_at_the_end() -> None:
    cutter = EnvelopeCutter()
    assert list(cutter.feed(_STREAM[0] + _STREAM[1][:50])) == [_STREAM[0]]

    assert cutter.is_within


def _read(*messages: str, ids: tuple[str, ...] = ("one", "two")) -> Notice:
    return NoticeReader(ids).read(envelope(*messages))


def test_messages_say_what_came_what_is_lost_and_when_it_is_over() -> None:
    assert _read(ok(status("OK"))) == Notice()
    assert _read(ok(told("one", _BEAT) + told("two", _BEAT))) == Notice()
    assert _read(ok(told("two", came("Created"), came()))) == Notice(arrived=frozenset({"two"}))
    assert _read(ok(status("Closed"))) == Notice(closed=True)
    assert _read(refused("ErrorSubscriptionNotFound", "one")) == Notice(lost=frozenset({"one"}))
    assert _read(refused("ErrorMissedNotificationEvents", "one", "two", closed=True)) == Notice(
        lost=frozenset({"one", "two"}), closed=True
    )


@pytest.mark.parametrize("kind", ["Deleted", "Modified"])
def test_what_only_goes_or_changes_is_no_arrival(kind: str) -> None:
    assert _read(ok(told("one", came(kind)))) == Notice()


def test_ids_that_the_stream_was_not_opened_for_are_nobodys() -> None:
    assert _read(ok(told("stranger", came()))) == Notice()
    assert _read(refused("ErrorSubscriptionNotFound", "stranger")) == Notice()


def test_an_error_of_subscriptions_without_ids_is_of_all() -> None:
    assert _read(refused("ErrorSubscriptionNotFound")).lost == {"one", "two"}


@pytest.mark.parametrize("code", ["ErrorServerBusy", "ErrorInvalidOperation", "ErrorExceededConnectionCount"])
def test_another_error_without_ids_is_of_the_stream(code: str) -> None:
    with pytest.raises(Refusal) as told_code:
        _read(refused(code, closed=True))

    assert told_code.value.code == code


@pytest.mark.parametrize("text", ["anna@example.org wrote", "Übersicht", "A" * 1_000_000])
def test_text_in_the_place_of_a_code_is_not_passed_on(text: str) -> None:
    with pytest.raises(Refusal, match=r"^unknown response code$"):
        _read(refused(text))


def test_a_mail_that_is_moved_out_is_no_arrival_one_that_is_moved_in_is() -> None:
    reader = NoticeReader(["one"])

    def arrived(*events: str) -> bool:
        return bool(reader.read(envelope(ok(told("one", *events)))).arrived)

    assert arrived(moved(INBOX, DELETED))  # nothing is known of the folders yet
    assert arrived(came())
    assert not arrived(moved(INBOX, DELETED), moved(INBOX, DELETED))
    assert arrived(moved(DELETED, INBOX))
    assert arrived(moved(INBOX, DELETED), moved(DELETED, INBOX))
    assert arrived(came(folder=JUNK))
    assert arrived(moved(INBOX, JUNK))


@pytest.mark.parametrize(
    "data",
    [
        b"<Envelope></Envelope>",
        b"<html><body>x</Envelope>",
        b'<?xml version="1.0"?><!DOCTYPE x SYSTEM "file:///etc/passwd"><Envelope>&x;</Envelope>',
        envelope(ok()).replace(b"GetStreamingEventsResponse>", b"GetItemResponse>"),
        envelope(ok()).replace(b"<m:ResponseMessages>", b"<m:ResponseMessages>&#xD800;"),
    ],
)
def test_another_answer_is_no_message(data: bytes) -> None:
    with pytest.raises(StreamGarbled):
        NoticeReader(["one"]).read(data)
