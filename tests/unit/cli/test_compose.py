"""What `bridge send` makes of its options is what the egress worker accepts."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bridge.cli.compose import Draft, compose
from bridge.errors import RequestInvalid


def test_the_plainest_request_gets_an_id_of_its_own() -> None:
    body, request = compose(Draft(to=["a@example.org"], subject="s", text="t"))
    _, other = compose(Draft(to=["a@example.org"], subject="s", text="t"))

    assert json.loads(body)["to"] == [{"address": "a@example.org"}]
    assert (request.subject, request.text) == ("s", "t")
    assert request.request_id != other.request_id


def test_names_files_and_times_find_their_fields(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("Grüße", "utf-8-sig")
    (tmp_path / "h.html").write_text("<p>Grüße</p>", "utf-8")
    (tmp_path / "a.pdf").write_bytes(b"\x00\xff")
    (tmp_path / "m.eml").write_bytes(b"From: x")

    _, request = compose(
        Draft(
            to=["Flight Desk <a@example.org>"],
            bcc=["b@example.org"],
            text_file=tmp_path / "t.txt",
            html_file=tmp_path / "h.html",
            attach=[tmp_path / "a.pdf", tmp_path / "m.eml"],
            importance="high",
            expires_in_seconds=60,
            request_id="r-1",
            correlation_id="c-1",
            now=datetime(2026, 1, 1, tzinfo=UTC),
        )
    )

    assert (request.to[0].name, request.bcc[0].address) == ("Flight Desk", "b@example.org")
    assert (request.text, request.html) == ("Grüße", "<p>Grüße</p>")
    assert [(a.name, a.content_type, a.content) for a in request.attachments] == [
        ("a.pdf", "application/pdf", b"\x00\xff"),
        ("m.eml", "application/octet-stream", b"From: x"),
    ]
    assert request.expires_at == datetime(2026, 1, 1, 0, 1, tzinfo=UTC)
    assert (request.request_id, request.correlation_id, request.importance) == ("r-1", "c-1", "high")


def test_text_and_whole_requests_can_come_from_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    def given(text: str) -> None:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text.encode())))

    given("from a pipe")
    assert compose(Draft(to=["a@example.org"], text_file=Path("-")))[1].text == "from a pipe"
    given('{"request_id": "r", "to": [{"address": "a@example.org"}], "subject": "s", "text": "t"}')
    assert compose(Draft(request_file=Path("-")))[1].request_id == "r"


@pytest.mark.parametrize(
    ("draft", "field"),
    [
        (Draft(), "body"),
        (Draft(to=[""]), "to"),
        (Draft(to=["mArKeR"]), "to.0.address"),
        (Draft(to=["a@example.org"], subject="mArKeR\r\nBcc: x@example.org"), "subject"),
        (Draft(to=["a@example.org"], attach=[Path("/nonexistent/mArKeR")]), "attachments"),
        (Draft(to=["a@example.org"], request_id="with space"), "request_id"),
        (Draft(request_file=Path("/nonexistent")), "request"),
    ],
)
def test_what_the_worker_would_refuse_is_refused_before_it_is_published(draft: Draft, field: str) -> None:
    with pytest.raises(RequestInvalid) as caught:
        compose(draft)

    assert caught.value.field == field
    assert "mArKeR" not in str(caught.value)


def test_a_file_that_is_not_text_is_no_body(tmp_path: Path) -> None:
    (tmp_path / "t").write_bytes(b"\xff\xfe\x00")

    with pytest.raises(RequestInvalid, match="not UTF-8"):
        compose(Draft(to=["a@example.org"], text_file=tmp_path / "t"))
