"""Answers of EWS are taken whole or not at all."""

import pytest

from bridge.adapters.ews.soap import MalformedAnswer, parse_answer
from bridge.errors import (
    BridgeError,
    CallRefused,
    FolderNotFound,
    ItemChanged,
    MailboxAccessDenied,
    MailboxNotFound,
    MailboxThrottled,
    MailboxUnavailable,
    MailUnreadable,
    SendRefused,
)

_ENVELOPE = """<?xml version="1.0" encoding="utf-8"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"
  xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"
  xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"
  xmlns:e="http://schemas.microsoft.com/exchange/services/2006/errors"><s:Body>{}</s:Body></s:Envelope>"""


def _answer(body: str) -> bytes:
    return _ENVELOPE.format(body).encode()


def _get_item(*messages: str) -> bytes:
    inner = "".join(messages)
    return _answer(f"<m:GetItemResponse><m:ResponseMessages>{inner}</m:ResponseMessages></m:GetItemResponse>")


def _message(code: str, *, kind: str = "Error", xml: str = "") -> str:
    return (
        f'<m:GetItemResponseMessage ResponseClass="{kind}"><m:MessageText>private</m:MessageText>'
        f"<m:ResponseCode>{code}</m:ResponseCode>{xml}</m:GetItemResponseMessage>"
    )


def _fault(code: str, milliseconds: int | None = None) -> bytes:
    wait = f'<t:MessageXml><t:Value Name="BackOffMilliseconds">{milliseconds}</t:Value></t:MessageXml>'
    return _answer(
        f'<s:Fault><faultcode xmlns:a="x">a:{code}</faultcode><faultstring>private</faultstring><detail>'
        f"<e:ResponseCode>{code}</e:ResponseCode>{wait if milliseconds is not None else ''}</detail></s:Fault>"
    )


def test_each_part_of_an_answer_stands_for_itself() -> None:
    good, bad = parse_answer(_get_item(_message("NoError", kind="Success"), _message("ErrorItemNotFound")), "GetItem")

    assert good.error is None
    assert isinstance(bad.error, CallRefused)
    assert bad.code == "ErrorItemNotFound"


@pytest.mark.parametrize("cut", [1, 20, 200, 400])
def test_a_truncated_answer_is_no_answer(cut: int) -> None:
    """lxml in its recovering mode would return a mail with half its MIME."""
    with pytest.raises(MailboxUnavailable) as caught:
        parse_answer(_get_item(_message("NoError", kind="Success"))[:-cut], "GetItem")

    assert not isinstance(caught.value, MalformedAnswer)


@pytest.mark.parametrize("poison", ["&#x0;", "&#xD800;", "\x01", "<t:x>", "&nbsp;"])
def test_forbidden_characters_of_one_item_are_told_apart_from_truncation(poison: str) -> None:
    with pytest.raises(MalformedAnswer):
        parse_answer(_get_item(_message(poison, kind="Success")), "GetItem")


def test_entities_are_not_expanded() -> None:
    bomb = b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + _get_item(_message("&a;")).split(b"?>", 1)[1]

    [message] = parse_answer(bomb, "GetItem")

    assert "aaaa" not in message.code


@pytest.mark.parametrize("body", [b"", b"<html>Bad gateway</html>", _answer("<m:FindItemResponse/>"), b"\xff\xfe"])
def test_what_is_not_the_answer_of_the_operation_is_unavailability(body: bytes) -> None:
    with pytest.raises(MailboxUnavailable):
        parse_answer(body, "GetItem")


def test_an_answer_without_response_messages_is_one_message() -> None:
    [message] = parse_answer(_answer("<m:SendItemResponse/>"), "SendItem")

    assert message.code == ""
    assert message.error is not None


def test_a_fault_states_how_long_to_wait() -> None:
    with pytest.raises(MailboxThrottled) as caught:
        parse_answer(_fault("ErrorServerBusy", 297_749), "GetItem")

    assert caught.value.retry_after_seconds == 297.749


def test_throttling_inside_a_200_is_throttling() -> None:
    inner = '<m:MessageXml><t:Value Name="InnerErrorResponseCode">ErrorServerBusy</t:Value></m:MessageXml>'

    [message] = parse_answer(_get_item(_message("ErrorInternalServerError", xml=inner)), "GetItem")

    assert isinstance(message.error, MailboxThrottled)


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        ("ErrorNonExistentMailbox", MailboxNotFound),
        ("ErrorImpersonateUserDenied", MailboxAccessDenied),
        ("ErrorAccessDenied", MailboxAccessDenied),
        ("ErrorAccountDisabled", MailboxAccessDenied),
        ("ErrorCreateItemAccessDenied", MailboxAccessDenied),
        ("ErrorSavedItemFolderNotFound", FolderNotFound),
        ("ErrorItemCorrupt", MailUnreadable),
        ("ErrorMimeContentConversionFailed", MailUnreadable),
        ("ErrorSendAsDenied", SendRefused),
        ("ErrorStaleObject", ItemChanged),
        ("ErrorIrresolvableConflict", ItemChanged),
        ("ErrorInternalServerError", MailboxUnavailable),
        ("ErrorOfTheFuture", MailboxUnavailable),
    ],
)
def test_response_codes_have_a_meaning(code: str, meaning: type[BridgeError]) -> None:
    with pytest.raises(meaning) as caught:
        parse_answer(_fault(code), "GetItem")

    assert "private" not in str(caught.value)
