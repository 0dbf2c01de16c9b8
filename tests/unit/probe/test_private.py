"""Nothing private leaves by a report, whatever a server answers."""

from __future__ import annotations

import base64

import pytest

from bridge.probe import private
from bridge.probe.report import Report, Result, State


@pytest.mark.parametrize(
    "secret",
    [
        "crew@example.org",
        "<a.b@c>",
        "23bc4e15-a949-40c1-b6f3-8ac5a60d1535",
        base64.b64encode(bytes(range(200, 255))).decode(),
        "AAMkADRjOWUzNzJhLTE5OGUtNGJkYy1iNThiLTk4N2M0NDg3MWFkOQAuAAAA",
        "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJ4In0.c2ln",
    ],
)
def test_what_has_the_form_of_something_private_is_taken_out_of_a_report(secret: str) -> None:
    result = Result(1, "assumed", "read", State.DIFFERS, f"before {secret} after")
    report = Report("box", "app", "15.20.1.2", "reading only", [result], [f"mails ({secret})"])

    for told in (str(report.as_fields()), result.as_line()):
        assert secret not in told
        assert "(not shown)" in told


def test_codes_counts_and_words_are_left_as_they_are() -> None:
    told = "401 invalid_client AADSTS7000215; ErrorInvalidExchangeImpersonationHeaderData; 15.20.9073.22; lines: +12"

    assert private.guarded(told) == told


@pytest.mark.parametrize(
    "text", ["", None, "Alice", "Error Access", "ErrorX@y", "A" * 81, "Error\nOther", "Err" + "1" * 5]
)
def test_a_code_that_has_not_the_form_of_one_is_not_shown(text: str | None) -> None:
    assert private.code(text) == ("Alice" if text == "Alice" else "(no code)")


@pytest.mark.parametrize("text", ["Mailbox 'crew' is gone.", "Item AAMk12 is gone.", "", "x" * 301])
def test_a_sentence_that_quotes_anything_is_not_shown(text: str) -> None:
    shown = private.sentence(text)

    assert shown == "(a text that is not shown)" or "'" in text


def test_a_number_that_is_none_is_not_shown() -> None:
    assert [private.number(text) for text in ("12", " 7 ", "-1", "1" * 13, "x", None, "٣")] == [
        "12", "7", "(no number)", "(no number)", "(no number)", "(no number)", "(no number)",
    ]  # fmt: skip
