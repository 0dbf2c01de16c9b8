"""What the admin API tells, does and refuses."""

from __future__ import annotations

import hashlib
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from cryptography import x509

from bridge.sandbox.admin import AdminApi
from bridge.sandbox.calls import CallLog
from bridge.sandbox.faults.rules import FaultBook
from bridge.sandbox.presented import Presented
from bridge.sandbox.settings import Announcement
from bridge.sandbox.store import Store, folders, items, sends
from bridge.sandbox.store.properties import named_key
from bridge.sandbox.tenant import TenantFile

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping
    from pathlib import Path

_DISPATCH = "dispatch@example.org"


@dataclass
class _Admin:
    client: TestClient[web.Request, web.Application]
    store: Store
    tenants: TenantFile
    log: CallLog
    directory: Path

    def ends_at(self) -> datetime:
        """When the certificate that the servers show ends."""
        shown = (self.directory / "certificates" / "server.pem").read_bytes()
        return x509.load_pem_x509_certificate(shown).not_valid_after_utc

    async def ask(
        self,
        path: str,
        method: str = "GET",
        body: object | None = None,
        *,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, Any]:
        known = {"Host": "127.0.0.1:8025", **(headers or {})}
        content: dict[str, Any] = {"data": data} if body is None else {"json": body}
        async with self.client.request(method, path, headers=known, **content) as answer:
            return answer.status, await answer.json(content_type="application/json")


@asynccontextmanager
async def _admin(directory: Path) -> AsyncIterator[_Admin]:
    tenants = TenantFile(directory / "tenant.json")
    tenants.tenant.add_users([_DISPATCH])
    tenants.tenant.ports.update(entra=1, ews=2, smtp=3, admin=8025, bridge_http=5, metadata=6)
    store = Store(directory / "store.sqlite")
    store.add_mailbox(_DISPATCH)
    log = CallLog()
    announcement = Announcement(directory, tenants.tenant, directory / "ca.pem", on_premises=False)
    presented = Presented(directory / "certificates")
    api = AdminApi(store, tenants, FaultBook(directory / "faults.json"), log, announcement, presented=presented)
    async with TestClient(TestServer(api.application(port=8025))) as client:
        yield _Admin(client, store, tenants, log, directory)
    store.close()


async def test_folders_show_how_much_they_hold(tmp_path: Path) -> None:
    async with _admin(tmp_path) as admin:
        admin.store.deliver(_DISPATCH, b"Subject: x\r\n\r\n")
        status, folders = await admin.ask(f"/mailboxes/{_DISPATCH}/folders")

    assert status == 200
    (inbox,) = [folder for folder in folders if folder["distinguished_name"] == "inbox"]
    assert (inbox["name"], inbox["count"]) == ("Inbox", 1)
    assert inbox["id"]
    assert inbox["path"]


async def test_mails_are_listed_page_by_page_oldest_first(tmp_path: Path) -> None:
    mimes = [f"Message-ID: <{number}@x>\r\nSubject: {number}\r\n\r\n".encode() for number in range(5)]
    async with _admin(tmp_path) as admin:
        for mime in mimes:
            admin.store.deliver(_DISPATCH, mime)
        status, page = await admin.ask(f"/mailboxes/{_DISPATCH}/folders/inbox/mails?offset=1&limit=2")

    assert (status, page["total"]) == (200, 5)
    assert [mail["internet_message_id"] for mail in page["mails"]] == ["<1@x>", "<2@x>"]
    assert [mail["sha256"] for mail in page["mails"]] == [hashlib.sha256(mime).hexdigest() for mime in mimes[1:3]]
    assert [mail["size"] for mail in page["mails"]] == [len(mime) for mime in mimes[1:3]]
    assert page["mails"][0]["received_at"].endswith("Z")


@pytest.mark.parametrize("encoded", [True, False])
async def test_a_mail_comes_out_byte_for_byte(tmp_path: Path, encoded: bool) -> None:
    mime = b"Subject: \xff\x00\r\n\r\nbare\rbare\nend"
    async with _admin(tmp_path) as admin:
        item = admin.store.deliver(_DISPATCH, mime)
        (inbox,) = [folder for folder in admin.store.folders(_DISPATCH) if folder.distinguished == "inbox"]
        folder, item_id = (
            (quote(inbox.id, safe=""), quote(item.item_id, safe="")) if encoded else (inbox.id, item.item_id)
        )
        url = f"/mailboxes/{_DISPATCH}/folders/{folder}/mails/{item_id}/mime"
        async with admin.client.get(url, headers={"Host": "localhost:8025"}) as answer:
            assert (answer.status, await answer.read()) == (200, mime)
            assert answer.headers["Content-Type"] == "message/rfc822"
            assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/mailboxes/nobody@example.org/folders", "no such mailbox"),
        ("/mailboxes/..%2F..%2Fetc%2Fpasswd/folders", "no such mailbox"),
        (f"/mailboxes/{_DISPATCH}/folders/nowhere/mails", "no such folder"),
        (f"/mailboxes/{_DISPATCH}/folders/inbox/mails/AAMk/mime", "no such item"),
        (f"/mailboxes/{_DISPATCH}/folders/inbox/mails/%00/mime", "no such item"),
        ("/elsewhere", "Not Found"),
    ],
)
async def test_what_is_not_there_is_not_found(tmp_path: Path, path: str, error: str) -> None:
    async with _admin(tmp_path) as admin:
        assert await admin.ask(path) == (404, {"error": error})


@pytest.mark.parametrize("query", ["offset=-1", "limit=x", "limit=1e3", "limit=99999999999", "offset=٣"])
async def test_a_page_that_is_none_is_refused(tmp_path: Path, query: str) -> None:
    async with _admin(tmp_path) as admin:
        status, _ = await admin.ask(f"/mailboxes/{_DISPATCH}/folders/inbox/mails?{query}")

    assert status == 400


async def test_faults_are_put_read_and_deleted(tmp_path: Path) -> None:
    rule = {"match": {"operation": "GetItem"}, "fault": "cut_before", "times": 3}
    async with _admin(tmp_path) as admin:
        assert await admin.ask("/faults", "PUT", [rule]) == (200, [{**rule, "seen": 0, "fired": 0}])
        assert await admin.ask("/faults") == (200, [{**rule, "seen": 0, "fired": 0}])
        assert await admin.ask("/faults", "DELETE") == (200, [])
        assert await admin.ask("/faults") == (200, [])


async def test_an_unknown_fault_key_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    async with _admin(tmp_path) as admin:
        status, answer = await admin.ask("/faults", "PUT", [{"fault": "cut_before", "matches": {}}])

    assert (status, answer["key"]) == (400, "matches")
    assert "match" in answer["known"]


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000])
async def test_a_body_that_is_not_json_is_refused(tmp_path: Path, data: bytes) -> None:
    async with _admin(tmp_path) as admin:
        assert (await admin.ask("/faults", "PUT", data=data))[0] == 400


async def test_an_expired_secret_is_valid_again_when_issued_again(tmp_path: Path) -> None:
    async with _admin(tmp_path) as admin:
        app = admin.tenants.tenant.apps[0]
        first = app.secrets[0].value

        assert await admin.ask("/expire", "POST", {"what": "secret"}) == (200, {"what": "secret", "expired": 1})
        assert app.secrets[0].expired
        assert TenantFile(tmp_path / "tenant.json").tenant.apps[0].secrets[0].expired

        assert await admin.ask("/issue", "POST", {"what": "old"}) == (200, {"what": "old", "client_secret": first})
        assert not app.secrets[0].expired


async def test_a_new_secret_is_told_and_left_for_the_bridge(tmp_path: Path) -> None:
    async with _admin(tmp_path) as admin:
        await admin.ask("/expire", "POST", {"what": "secret"})
        status, answer = await admin.ask("/issue", "POST")
        secrets = admin.tenants.tenant.apps[0].secrets

    assert status == 200
    assert [(secret.value == answer["client_secret"], secret.expired) for secret in secrets] == [
        (False, True),
        (True, False),
    ]
    assert (tmp_path / "client_secret").read_text() == answer["client_secret"]


async def test_tokens_expire_at_once(tmp_path: Path) -> None:
    async with _admin(tmp_path) as admin:
        await admin.ask("/expire", "POST", {"what": "tokens"})

        assert admin.tenants.tenant.token_generation == 1


@pytest.mark.parametrize(
    "body", [{}, {"what": "everything"}, {"what": "secret", "whom": "me"}, [], {"what": ["secret"]}]
)
async def test_what_cannot_expire_is_refused_with_what_can(tmp_path: Path, body: object) -> None:
    async with _admin(tmp_path) as admin:
        status, answer = await admin.ask("/expire", "POST", body)

    assert status == 400
    assert answer["known"] in (["what"], ["secret", "tokens", "certificate", "ca", "subscriptions"])


async def test_an_app_s_rights_are_configuration(tmp_path: Path) -> None:
    async with _admin(tmp_path) as admin:
        client_id = admin.tenants.tenant.apps[0].client_id
        status, _ = await admin.ask(f"/apps/{client_id}", "PUT", {"mailboxes": ["Dispatch@example.org"], "roles": []})
        kept = TenantFile(tmp_path / "tenant.json").tenant.apps[0]

    assert status == 200
    assert (kept.mailboxes, kept.roles) == ([_DISPATCH], [])


async def test_calls_are_counted_by_operation(tmp_path: Path) -> None:
    async with _admin(tmp_path) as admin:
        with admin.log.begin("GetItem"), admin.log.begin("GetItem"):
            pass
        admin.log.begin("FindItem").end(failed=True)

        assert await admin.ask("/calls") == (
            200,
            {
                "GetItem": {"count": 2, "errors": 0, "in_flight": 0, "peak_in_flight": 2},
                "FindItem": {"count": 1, "errors": 1, "in_flight": 0, "peak_in_flight": 1},
            },
        )


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://localhost:8026"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Host": "evil.example"},
        {"Host": "evil.example:8025"},
        {"Host": "127.0.0.1"},
    ],
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/sends"), ("POST", "/expire"), ("DELETE", "/faults")])
async def test_other_sites_get_nothing(tmp_path: Path, headers: dict[str, str], method: str, path: str) -> None:
    async with _admin(tmp_path) as admin:
        assert (await admin.ask(path, method, {"what": "secret"}, headers=headers))[0] == 403

        assert not admin.tenants.tenant.apps[0].secrets[0].expired


async def test_a_page_of_the_sandbox_itself_is_served(tmp_path: Path) -> None:
    headers = {"Origin": "http://127.0.0.1:8025", "Sec-Fetch-Site": "same-origin"}
    async with _admin(tmp_path) as admin:
        assert (await admin.ask("/sends", headers=headers)) == (200, [])


@pytest.mark.parametrize("name", ["RequestId", "request_id", "BridgeRequestId", "x-bridge-request-id"])
async def test_a_send_shows_the_stamp_of_its_request(tmp_path: Path, name: str) -> None:
    async with _admin(tmp_path) as admin:
        with admin.store.writing() as db:
            mailbox = folders.mailbox_by(db, "address", _DISPATCH)
            assert mailbox is not None
            mime = b"Message-ID: <1@x>\r\nTo: away@elsewhere.example\r\n\r\n"
            bag = items.bag_for_delivery(mime, mailbox, datetime.now(UTC))
            bag[named_key("6ed8da90-450b-101b-98da-00aa003f1305", "attempt", "Integer")] = 1
            bag[named_key("6ed8da90-450b-101b-98da-00aa003f1305", name, "String")] = "r-1"
            item = items.insert(db, mailbox.id, folders.folder(db, mailbox.id, "drafts").id, bag, mime=mime)
            sends.submit(db, mailbox, item, save_to=None)

        _, (send,) = await admin.ask("/sends")

    assert (send["request_id"], send["internet_message_id"]) == ("r-1", "<1@x>")
    assert (send["from"], send["recipients"], send["mailbox"]) == (_DISPATCH, ["away@elsewhere.example"], _DISPATCH)
    assert send["at"].endswith("Z")


async def test_certificates_and_authorities_expire_and_are_issued(tmp_path: Path) -> None:
    async with _admin(tmp_path) as admin:
        ends = admin.ends_at

        assert await admin.ask("/expire", "POST", {"what": "certificate"}) == (
            200,
            {"what": "certificate", "expired": 1},
        )
        assert ends() < datetime.now(UTC)

        status, answer = await admin.ask("/issue", "POST", {"what": "certificate"})
        assert (status, datetime.fromisoformat(answer["ends_at"])) == (200, ends())
        assert ends() > datetime.now(UTC)

        status, answer = await admin.ask("/issue", "POST", {"what": "ca"})
        assert (status, answer["certificates"]) == (200, 2)
        assert await admin.ask("/expire", "POST", {"what": "ca"}) == (200, {"what": "ca", "expired": 1})
        assert await admin.ask("/expire", "POST", {"what": "ca"}) == (200, {"what": "ca", "expired": 0})


async def test_a_mailbox_is_made_at_once_and_kept_with_its_password(tmp_path: Path) -> None:
    async with _admin(tmp_path) as admin:
        status, made = await admin.ask("/mailboxes", "POST", {"address": "Crew@example.org"})
        again = await admin.ask("/mailboxes", "POST", {"address": "crew@example.org"})
        folders_status, _ = await admin.ask("/mailboxes/crew@example.org/folders")
        _, listed = await admin.ask("/mailboxes")
        kept = TenantFile(tmp_path / "tenant.json").tenant.user("crew@example.org")

    assert (status, made["address"], made["alias"]) == (200, "Crew@example.org", "crew")
    assert again == (200, made)
    assert folders_status == 200
    assert [one["address"] for one in listed] == [_DISPATCH, "Crew@example.org"]
    assert kept is not None
    assert kept.password == made["password"]


@pytest.mark.parametrize(
    "body", [{}, {"address": ""}, {"address": "no"}, {"address": 7}, {"address": "a@b/../c"}, {"x": 1}, []]
)
async def test_a_mailbox_of_no_address_is_not_made(tmp_path: Path, body: object) -> None:
    async with _admin(tmp_path) as admin:
        status, _ = await admin.ask("/mailboxes", "POST", body)
        _, listed = await admin.ask("/mailboxes")

    assert status == 400
    assert [one["address"] for one in listed] == [_DISPATCH]
