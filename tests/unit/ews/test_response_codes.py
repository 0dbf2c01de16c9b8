"""Every response code of Exchange's schema has a consequence, and none has it by default."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from lxml import etree

from bridge.adapters.ews import response_codes
from bridge.adapters.ews.errors import error_for_code
from bridge.adapters.ews.stream_thread import stream_error
from bridge.domain.notices import StreamRefused
from bridge.errors import (
    BridgeError,
    CallNotPossible,
    CallRefused,
    FolderNotFound,
    MailboxNotFound,
    MailboxUnavailable,
    SendRefused,
)
from bridge.telemetry.reasons import CODES, hint_for

_FROZEN = Path(__file__).parent / "response_codes.txt"
_SCHEMAS = Path(os.environ.get("BRIDGE_SHARED", Path(__file__).parents[3] / ".." / "shared")) / "ews-schema"
_XS = "{http://www.w3.org/2001/XMLSchema}"


def _names() -> set[str]:
    """The schema's names, where it is at hand: those of Exchange Server, Exchange Online and the open specification."""
    found = set(_FROZEN.read_text("ascii").split())
    for file in _SCHEMAS.rglob("*.xsd"):
        codes = etree.parse(file).iterfind(f".//{_XS}simpleType[@name='ResponseCodeType']//{_XS}enumeration")
        found |= {code.get("value") or "" for code in codes}
    return found - {"NoError"}


def _sets() -> dict[str, frozenset[str]]:
    return {name: value for name, value in vars(response_codes).items() if isinstance(value, frozenset)}


def test_every_code_of_the_schema_stands_in_the_table() -> None:
    assert len(_names()) >= 526

    assert _names() - frozenset().union(*_sets().values()) == set()


@pytest.mark.parametrize("code", sorted(_names()))
def test_no_code_of_the_schema_is_told_as_one_that_nobody_knows(code: str) -> None:
    error = error_for_code(code)

    assert error.code != "exchange_code_unknown"
    assert error.code in CODES
    if isinstance(error, MailboxUnavailable):
        assert code in response_codes.UNAVAILABLE


def test_a_code_stands_in_one_set_but_for_what_can_neither_be_read_nor_sent() -> None:
    seen: dict[str, list[str]] = {}
    for name, codes in _sets().items():
        for code in codes:
            seen.setdefault(code, []).append(name)

    assert {code: names for code, names in seen.items() if len(names) > 1} == {
        "ErrorContentConversionFailed": ["SEND_REFUSALS", "CONVERSION_REFUSALS"]
    }


@pytest.mark.parametrize(
    ("code", "meaning"),
    [
        ("ErrorInvalidRestriction", CallNotPossible),
        ("ErrorRestrictionTooComplex", CallNotPossible),
        ("ErrorUnsupportedPathForQuery", CallNotPossible),
        ("ErrorCalendarInvalidRecurrence", CallNotPossible),
        ("ErrorServiceUnavailable", MailboxUnavailable),
        ("ErrorParentFolderNotFound", FolderNotFound),
        ("ErrorCannotFindUser", MailboxNotFound),
        ("ErrorVirusDetected", SendRefused),
        ("ErrorInvalidItemForOperationSendItem", CallRefused),
    ],
)
def test_a_refusal_for_good_is_no_trouble_of_the_network(code: str, meaning: type[BridgeError]) -> None:
    error = error_for_code(code)

    assert type(error) is meaning
    if meaning is CallNotPossible:
        assert "check the network" not in hint_for(error.code)


def test_a_code_that_nobody_knows_may_have_worked_and_is_told_as_that() -> None:
    """As an answer to a send it means to look before anything else is done."""
    error = error_for_code("ErrorOfTomorrow")

    assert isinstance(error, MailboxUnavailable)
    assert (error.code, error.detail) == ("exchange_code_unknown", "ErrorOfTomorrow")


@pytest.mark.parametrize("code", ["ErrorInvalidSubscriptionRequest", "ErrorOfTomorrow"])
def test_a_stream_that_is_refused_for_good_is_not_asked_for_over_and_over(code: str) -> None:
    assert isinstance(stream_error(error_for_code(code)), StreamRefused)
