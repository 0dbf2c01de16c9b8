"""What the page asks for: mails taken apart, calls, tokens, what is new; and the headers that keep hostile mail out."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from aiohttp.test_utils import TestClient, TestServer

from bridge.sandbox.admin import AdminApi
from bridge.sandbox.calls import CallLog
from bridge.sandbox.entra.issued import IssuedTokens
from bridge.sandbox.faults.kinds import KINDS
from bridge.sandbox.faults.rules import Call, FaultBook
from bridge.sandbox.presented import Presented
from bridge.sandbox.settings import Announcement
from bridge.sandbox.store import Store
from bridge.sandbox.tenant import TenantFile
from bridge.sandbox.web.mails import disposition, html_of, source_of, view_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

_DISPATCH = "dispatch@example.org"
_HOST = {"Host": "127.0.0.1:8025"}
_HTML = b"Content-Type: text/html; charset=latin-1\r\nSubject: x\r\n\r\n<p>\xfc<script>1</script>"


class _Web:
    def __init__(self, api: AdminApi, client: TestClient[Any, Any]) -> None:
        self.api = api
        self.client = client

    async def ask(self, path: str, method: str = "GET", **content: Any) -> tuple[int, Any, Any]:
        headers = {**_HOST, **content.pop("headers", {})}
        async with self.client.request(method, path, headers=headers, **content) as answer:
            body = await answer.read()
            return answer.status, answer.headers, body

    async def json(self, path: str, method: str = "GET", **content: Any) -> Any:  # noqa: ANN401 - JSON
        return json.loads((await self.ask(path, method, **content))[2])

    def mail(self, mime: bytes) -> str:
        item = self.api.store.deliver(_DISPATCH, mime).item_id
        return f"/mailboxes/{_DISPATCH}/folders/inbox/mails/{quote(item, safe='')}"


@asynccontextmanager
async def _web(directory: Path) -> AsyncIterator[_Web]:
    tenants = TenantFile(directory / "tenant.json")
    tenants.tenant.add_users([_DISPATCH])
    tenants.tenant.ports.update(entra=1, ews=2, smtp=3, admin=8025, bridge_http=5, metadata=6)
    store = Store(directory / "store.sqlite")
    store.add_mailbox(_DISPATCH)
    announcement = Announcement(directory, tenants.tenant, directory / "ca.pem", on_premises=False)
    book = FaultBook(directory / "faults.json")
    api = AdminApi(
        store, tenants, book, CallLog(), announcement, IssuedTokens(), presented=Presented(directory / "certificates")
    )
    async with TestClient(TestServer(api.application(port=8025))) as client:
        yield _Web(api, client)
    store.close()


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html"),
        ("/web/app.js", "text/javascript"),
        ("/web/style.css", "text/css"),
        ("/web/icon.svg", "image/svg+xml"),
    ],
)
async def test_the_page_is_served_with_a_policy_that_allows_nothing_inline(
    tmp_path: Path, path: str, kind: str
) -> None:
    async with _web(tmp_path) as web:
        status, headers, body = await web.ask(path)

    assert (status, headers["Content-Type"]) == (200, f"{kind}; charset=utf-8")
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert body


@pytest.mark.parametrize("name", ["nothing.js", "..%2Fpages.py", "%2Fetc%2Fpasswd", "static", "."])
async def test_what_is_no_file_of_the_page_is_not_found(tmp_path: Path, name: str) -> None:
    async with _web(tmp_path) as web:
        assert (await web.ask(f"/web/{name}"))[0] == 404


async def test_every_answer_may_be_neither_framed_nor_kept_nor_guessed_at(tmp_path: Path) -> None:
    async with _web(tmp_path) as web:
        for path in ("/mailboxes", "/state", "/nowhere", "/faults"):
            _, headers, _ = await web.ask(path)
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
            assert headers["Cache-Control"] == "no-store"
            assert headers["X-Content-Type-Options"] == "nosniff"


async def test_the_html_of_a_mail_comes_as_it_is_under_a_policy_that_disarms_it(tmp_path: Path) -> None:
    async with _web(tmp_path) as web:
        status, headers, body = await web.ask(web.mail(_HTML) + "/html")

    assert (status, body.decode()) == (200, "<p>ü<script>1</script>")
    assert headers["Content-Security-Policy"].startswith("sandbox; default-src 'none'")
    assert "allow-" not in headers["Content-Security-Policy"]
    assert headers["Content-Type"] == "text/html; charset=utf-8"


async def test_an_attachment_is_never_of_the_type_that_it_says(tmp_path: Path) -> None:
    mime = (
        b"Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n\r\nx\r\n--m\r\n"
        b'Content-Type: text/html\r\nContent-Disposition: attachment; filename="../a\\"b.html"\r\n\r\n'
        b"<script>\r\n--m--\r\n"
    )
    async with _web(tmp_path) as web:
        path = web.mail(mime)
        status, headers, body = await web.ask(path + "/attachments/1")
        assert (await web.ask(path + "/attachments/2"))[0] == 404
        assert (await web.ask(path + "/attachments/0"))[0] == 404

    assert (status, body) == (200, b"<script>")
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"].startswith("attachment; ")
    assert "/" not in headers["Content-Disposition"].partition("filename*")[0]


async def test_a_mail_without_html_has_none(tmp_path: Path) -> None:
    async with _web(tmp_path) as web:
        assert (await web.ask(web.mail(b"Subject: x\r\n\r\nx") + "/html"))[0] == 404


@pytest.mark.parametrize(
    "mime",
    [
        b"",
        b"\x00",
        b"\xff" * 1000,
        b"Subject: =?utf-8?q?=ED=A0=80?=\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=\r\n\r\n--",
    ],
)
def test_any_bytes_can_be_viewed(mime: bytes) -> None:
    json.dumps(view_of(mime)).encode()
    json.dumps(source_of(mime)).encode()
    html_of(mime)


def test_what_is_too_long_is_cut_and_said_to_be() -> None:
    mime = b"Subject: " + b"s" * 30_000 + b"\r\n\r\n" + b"t" * 600_000

    view = view_of(mime)
    assert (len(view["text"]), view["cut"]) == (500_000, True)
    assert len(view["headers"][0][1]) == 10_000
    assert source_of(mime)["cut"]


@pytest.mark.parametrize(
    "name", ["a\r\nX: y", "\u202etxt.exe", "..\\..\\x", "/etc/passwd", "\ud800", "", '"; x="', "\x00"]
)
def test_an_attachment_s_name_cannot_break_out_of_its_header(name: str) -> None:
    header = disposition(name)

    assert header.isascii()
    assert header.isprintable()
    assert header.count('"') == 2
    assert "/" not in header
    assert "%E2%80%AE" not in header


async def test_a_mail_is_composed_and_one_is_taken_as_it_is(tmp_path: Path) -> None:
    given = {"from": "Zoë <zoe@elsewhere.example>", "subject": "ü", "text": "t", "html": "<p>h</p>"}
    raw = b"Subject: raw\n\nbare\rx\x00\xff"
    async with _web(tmp_path) as web:
        answer = await web.json(f"/mailboxes/{_DISPATCH}/mails", "POST", json=given)
        mime = web.api.store.mime(_DISPATCH, answer["item_id"])
        answer = await web.json(
            f"/mailboxes/{_DISPATCH}/mails", "POST", data=raw, headers={"Content-Type": "message/rfc822"}
        )
        kept = web.api.store.mime(_DISPATCH, answer["item_id"])

    assert b"To: dispatch@example.org" in mime
    assert html_of(mime) == b"<p>h</p>\r\n"
    assert kept == raw


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"from": "nobody"},
        {"from": "a@b.example", "subject": "x\r\nBcc: y@z.example"},
        {"from": "a@b.example", "subject": "\ud800"},
        {"from": "a@b.example", "text": 1},
        {"from": "a@b.example", "to": "x"},
        {"from": "x\ny <a@b.example>"},
    ],
)
async def test_what_makes_no_mail_is_refused_and_nothing_is_delivered(tmp_path: Path, given: dict[str, Any]) -> None:
    async with _web(tmp_path) as web:
        status, _, _ = await web.ask(f"/mailboxes/{_DISPATCH}/mails", "POST", json=given)

        assert status == 400
        assert web.api.store.mails(_DISPATCH, "inbox").total == 0


async def test_a_mail_for_nobody_is_refused(tmp_path: Path) -> None:
    async with _web(tmp_path) as web:
        assert (await web.ask("/mailboxes/nobody@example.org/mails", "POST", json={"from": "a@b.example"}))[0] == 404


async def test_calls_are_told_with_how_long_they_took_the_latest_first(tmp_path: Path) -> None:
    async with _web(tmp_path) as web:
        web.api.log.begin("GetItem", mailbox=_DISPATCH).end(failed=False)
        web.api.log.begin("SendItem").end(failed=True)
        first, second = await web.json("/calls/recent")

    assert (first["operation"], first["failed"], first["mailbox"]) == ("SendItem", True, None)
    assert (second["operation"], second["failed"], second["mailbox"]) == ("GetItem", False, _DISPATCH)
    assert second["seconds"] >= 0


async def test_tokens_are_told_without_the_token(tmp_path: Path) -> None:
    async with _web(tmp_path) as web:
        tenant = web.api.tenants.tenant
        app = tenant.apps[0]
        for now, lifetime in ((0.0, 10), (4e9, 10)):
            web.api.issued.add(tenant, app, audience="https://x", proof="secret", now=now, expires_in=lifetime)
        before = await web.json("/tokens")
        tenant.token_generation += 1
        after = await web.json("/tokens")

    assert [token["state"] for token in before] == ["valid", "expired"]
    assert [token["state"] for token in after] == ["revoked", "expired"]
    assert before[0]["proof"] == "secret"


async def test_the_state_differs_when_something_happened_and_only_then(tmp_path: Path) -> None:
    async with _web(tmp_path) as web:
        states = [await web.json("/state"), await web.json("/state")]
        web.api.store.deliver(_DISPATCH, b"Subject: x\r\n\r\n")
        states.append(await web.json("/state"))
        web.api.log.begin("GetItem")
        states.append(await web.json("/state"))

    assert states[0] == states[1]
    assert states[1]["store"] != states[2]["store"]
    assert states[2]["calls"] != states[3]["calls"]


async def test_a_fault_is_switched_by_name_and_the_others_count_on(tmp_path: Path) -> None:
    async with _web(tmp_path) as web:
        await web.json("/faults", "PUT", json=[{"name": "a", "fault": "empty"}])
        web.api.faults.begin(Call("GetItem"))
        two = await web.json("/faults", "POST", json={"name": "b", "fault": "cut_before"})
        await web.json("/faults", "POST", json={"name": "b", "fault": "malformed"})
        one = await web.json("/faults?name=b", "DELETE")
        gone = (await web.ask("/faults?name=b", "DELETE"))[0]
        nameless = (await web.ask("/faults", "POST", json={"fault": "empty"}))[0]

    assert [(rule["name"], rule["fired"]) for rule in two] == [("a", 1), ("b", 0)]
    assert [(rule["name"], rule["fired"]) for rule in one] == [("a", 1)]
    assert (gone, nameless) == (404, 400)


async def test_every_kind_of_fault_is_told(tmp_path: Path) -> None:
    async with _web(tmp_path) as web:
        told = await web.json("/faults/kinds")

    assert [kind["kind"] for kind in told] == list(KINDS)


async def test_the_newest_mails_come_first_where_that_is_asked_for(tmp_path: Path) -> None:
    async with _web(tmp_path) as web:
        for number in range(3):
            web.api.store.deliver(_DISPATCH, b"From: Ada <a@b.example>\r\nSubject: %d\r\n\r\n" % number)
        page = await web.json(f"/mailboxes/{_DISPATCH}/folders/inbox/mails?newest_first=1&limit=2")

    assert [mail["subject"] for mail in page["mails"]] == ["2", "1"]
    assert (page["mails"][0]["from"], page["mails"][0]["read"]) == ("Ada", False)


async def test_an_answer_is_delivered_with_the_ids_of_what_it_answers_as_they_are(tmp_path: Path) -> None:
    """The library would encode an id that is longer than a line."""
    first, second = f"<{'a' * 200}@example.org>", "<b@example.org>"
    answer = {"from": "crew@example.org", "in_reply_to": second, "references": f"{first} {second}"}
    async with _web(tmp_path) as web:
        made = await web.json(f"/mailboxes/{_DISPATCH}/mails", "POST", json=answer)
        mime = web.api.store.mime(_DISPATCH, made["item_id"])

    assert mime.startswith(f"In-Reply-To: {second}\r\nReferences: {first}\r\n {second}\r\nFrom: ".encode())


@pytest.mark.parametrize("ids", ["<a@b>\r\nBcc: x@y", "<a@b>\n", "<ü@b>", " <a@b>", "<a@b>  <c@d>", "a" * 2000])
@pytest.mark.parametrize("key", ["in_reply_to", "references"])
async def test_what_is_no_message_id_is_refused_and_nothing_delivered(tmp_path: Path, key: str, ids: str) -> None:
    async with _web(tmp_path) as web:
        before = web.api.store.latest()
        status, _, _ = await web.ask(
            f"/mailboxes/{_DISPATCH}/mails", "POST", json={"from": "crew@example.org", key: ids}
        )

        assert status == 400
        assert web.api.store.latest() == before


def test_an_answer_names_whom_it_goes_to_and_all_that_came_before() -> None:
    mime = (
        b'From: "x@y" <dispatch@example.org>\r\nReply-To: desk@example.org\r\n'
        b"To: Crew <crew@example.net>, b@example.net\r\n"
        b"Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <3@example.org>\r\n"
        b"References: <1@example.org>\r\n\t<2@example.org>\r\n\r\n"
    )

    assert view_of(mime)["reply"] == {
        "from": "dispatch@example.org",
        "to": "desk@example.org",
        "recipient": "crew@example.net",
        "subject": "Re: Grüße",
        "in_reply_to": "<3@example.org>",
        "references": "<1@example.org> <2@example.org> <3@example.org>",
    }


@pytest.mark.parametrize(
    "header",
    [
        b"From: a@example.org\r\n",
        b"Message-ID: <1@example.org>\r\n",
        b"From: " + b"(" * 9000 + b"\r\nMessage-ID: <1@b>\r\n",
    ],
)
def test_a_mail_without_an_id_or_an_author_has_no_answer(header: bytes) -> None:
    assert view_of(header + b"\r\n")["reply"] is None
