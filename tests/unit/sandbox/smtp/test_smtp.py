"""What the SMTP port takes, keeps and refuses."""

from __future__ import annotations

import asyncio
import smtplib
import socket
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, TypeVar

import pytest

from bridge.sandbox.calls import CallLog
from bridge.sandbox.ews.behaviour import BehaviourSettings, ServerBehaviour
from bridge.sandbox.smtp import SmtpServer, listen
from bridge.sandbox.store import Store
from bridge.sandbox.tenant import new_tenant
from tests.support.sandbox import as_given, stuffed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

_Answer = TypeVar("_Answer")

_DISPATCH, _CREW = "dispatch@example.org", "crew@example.org"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "store.sqlite")
    for address in (_DISPATCH, _CREW):
        store.add_mailbox(address)
    return store


@asynccontextmanager
async def _serving(
    store: Store, log: CallLog | None = None, groups: dict[str, list[str]] | None = None
) -> AsyncIterator[int]:
    behaviour = None
    if groups is not None:
        behaviour = ServerBehaviour(BehaviourSettings(), store)
        behaviour.book.put({"groups": groups})
    tenant = new_tenant()
    tenant.add_users([_DISPATCH, _CREW])
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = await listen(
            SmtpServer(store, tenant, log or CallLog(), server="sandbox.localhost", behaviour=behaviour), listener
        )
        try:
            yield listener.getsockname()[1]
        finally:
            server.close()


async def _with_client(
    store: Store,
    use: Callable[[smtplib.SMTP], _Answer],
    log: CallLog | None = None,
    groups: dict[str, list[str]] | None = None,
) -> _Answer:
    def talk(port: int) -> _Answer:
        with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
            return use(client)

    async with _serving(store, log, groups) as port:
        return await asyncio.to_thread(talk, port)


async def _raw(store: Store, lines: bytes) -> bytes:
    """Everything that the server says to bytes that are sent at once."""
    async with _serving(store) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(lines)
        await writer.drain()
        said = await reader.read()
        writer.close()
    return said


def _kept(store: Store, address: str) -> list[bytes]:
    return [as_given(store.mime(address, mail.item_id)) for mail in store.mails(address, "inbox").mails]


@pytest.mark.parametrize(
    "mime",
    [
        b"Subject: plain\r\n\r\nHello\r\n",
        b"Subject: dots\r\n\r\n.\r\n..\r\n.hidden\r\n. \r\nend.\r\n",
        b"Subject: long\r\n\r\n" + b"x" * 3_000_000 + b"\r\n",
        b"Subject: bare\r\n\r\na\rb\nc\n.\nd\r.\re\r\n",
        b"Subject: bare at the end\r\n\r\na\n\r\n",
        b"Subject: NUL\r\n\r\na\x00b\x00\r\n",
        b"Subject: eight bits \xff\xfe\r\n\r\n\x80\xc3\x28\r\n",
        b"no header at all\r\n",
        b"\r\n",
        b"",
        b"Bcc: hidden@example.org\r\nReceived: from x\r\n\r\nbody\r\n",
    ],
)
async def test_a_mail_is_kept_byte_for_byte(store: Store, mime: bytes) -> None:
    envelope = b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<dispatch@example.org>\r\nDATA\r\n"
    said = await _raw(store, envelope + stuffed(mime) + b"QUIT\r\n")

    assert b"\r\n250 2.6.0" in said
    assert _kept(store, _DISPATCH) == [mime]


async def test_a_mail_gets_a_received_field_before_its_own_headers(store: Store) -> None:
    """One, in lines that no reader folds otherwise; a name that would end the line is none."""
    said = await _raw(
        store, b"EHLO a b)\x0b<x>\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<dispatch@example.org>\r\nDATA\r\n.\r\nQUIT\r\n"
    )

    assert b"\r\n250 2.6.0" in said
    [mail] = store.mails(_DISPATCH, "inbox").mails
    kept = store.mime(_DISPATCH, mail.item_id)
    first, by, product = kept.decode("ascii").removesuffix("\r\n").split("\r\n")
    assert (first, by) == ("Received: from abx (127.0.0.1)", " by sandbox.localhost (127.0.0.1)")
    named, date = product.split("; ")
    assert named.startswith(" with Microsoft SMTP Server id ")
    assert abs((parsedate_to_datetime(date) - datetime.now(UTC)).total_seconds()) < 3600
    assert as_given(kept) == b""
    with pytest.raises(ValueError, match="no Received field"):
        as_given(b"Received: from elsewhere\r\n\r\n" + kept)


async def test_a_bare_line_feed_around_a_dot_does_not_end_the_mail(store: Store) -> None:
    body = b"Subject: smuggled\r\n\r\nfirst\n.\nMAIL FROM:<x@y.example>\n.\r\nlast\r\n"
    said = await _raw(
        store,
        b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<dispatch@example.org>\r\nDATA\r\n" + body + b".\r\nQUIT\r\n",
    )

    assert said.count(b"\r\n250 2.6.0") == 1
    assert _kept(store, _DISPATCH) == [body]


async def test_each_recipient_gets_the_mail_once(store: Store) -> None:
    recipients = [_DISPATCH, _CREW, "DISPATCH@Example.org"]
    await _with_client(store, lambda client: client.sendmail("a@b.example", recipients, b"Subject: x\r\n\r\n"))

    assert (len(_kept(store, _DISPATCH)), len(_kept(store, _CREW))) == (1, 1)


async def test_a_recipient_without_a_mailbox_is_refused_and_the_others_get_the_mail(store: Store) -> None:
    recipients = ["nobody@example.org", _DISPATCH]
    refused = await _with_client(
        store, lambda client: client.sendmail("a@b.example", recipients, b"Subject: x\r\n\r\n")
    )

    assert refused == {"nobody@example.org": (550, b"5.1.1 User unknown")}
    assert len(_kept(store, _DISPATCH)) == 1


@pytest.mark.parametrize("address", ["someone@elsewhere.example", "no-domain", "@", "a@b@c.example"])
async def test_mail_for_others_is_not_relayed(store: Store, address: str) -> None:
    def ask(client: smtplib.SMTP) -> int:
        client.ehlo()
        client.mail("a@b.example")
        return client.rcpt(address)[0]

    assert 500 <= await _with_client(store, ask) < 600


async def test_a_recipient_that_is_not_text_is_refused(store: Store) -> None:
    said = await _raw(
        store, b"EHLO x\r\nMAIL FROM:<a@b.example> SMTPUTF8\r\nRCPT TO:<\xff\xfe@example.org>\r\nQUIT\r\n"
    )

    assert b"\r\n550 5.1.1" in said or b"\r\n553" in said


async def test_what_may_be_relied_on_is_announced(store: Store) -> None:
    def ask(client: smtplib.SMTP) -> dict[str, str]:
        client.ehlo()
        return dict(client.esmtp_features)

    features = await _with_client(store, ask)

    assert features["size"] == str(150 * 1024 * 1024)
    assert {"8bitmime", "smtputf8", "pipelining"} <= set(features)


async def test_a_mail_that_is_announced_too_large_is_refused_before_it_is_sent(store: Store) -> None:
    def ask(client: smtplib.SMTP) -> int:
        client.ehlo()
        return client.mail("a@b.example", [f"size={151 * 1024 * 1024}"])[0]

    assert await _with_client(store, ask) == 552


async def test_a_mail_is_not_acknowledged_when_the_store_fails(store: Store) -> None:
    store.close()

    def ask(client: smtplib.SMTP) -> int:
        client.ehlo()
        client.mail("a@b.example")
        client.rcpt(_DISPATCH)
        return client.data(b"Subject: x\r\n\r\n")[0]

    log = CallLog()
    assert await _with_client(store, ask, log) == 451
    assert log.report()["smtp"]["errors"] == 1


async def test_a_connection_goes_on_after_a_mail_that_was_not_kept(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next MAIL is not a nested one, and nobody of the mail before gets it."""
    deliver = store.deliver
    failures = [OSError("no space")]

    def deliver_from_the_second_on(address: str, mime: bytes) -> None:
        if failures:
            raise failures.pop()
        deliver(address, mime)

    monkeypatch.setattr(store, "deliver", deliver_from_the_second_on)

    def ask(client: smtplib.SMTP) -> list[int]:
        client.ehlo()
        said = []
        for recipient in (_DISPATCH, _CREW):
            said += [client.mail("a@b.example")[0], client.rcpt(recipient)[0], client.data(b"Subject: x\r\n\r\n")[0]]
        return said

    assert await _with_client(store, ask) == [250, 250, 451, 250, 250, 250]
    assert (_kept(store, _DISPATCH), _kept(store, _CREW)) == ([], [b"Subject: x\r\n\r\n"])


async def test_a_mail_with_an_entity_of_any_length_is_kept(store: Store) -> None:
    mime = b"Content-Type: text/html\r\n\r\n<p>&#" + b"7" * 166_000 + b";</p>\r\n"

    def send(client: smtplib.SMTP) -> dict[str, tuple[int, bytes]]:
        return client.sendmail("a@b.example", [_DISPATCH], mime)

    assert await _with_client(store, send) == {}
    assert _kept(store, _DISPATCH) == [mime]


async def test_many_mails_go_over_one_connection(store: Store) -> None:
    def send(client: smtplib.SMTP) -> None:
        for number in range(20):
            client.sendmail("a@b.example", [_DISPATCH], f"Subject: {number}\r\n\r\n".encode())

    await _with_client(store, send)

    assert _kept(store, _DISPATCH) == [f"Subject: {number}\r\n\r\n".encode() for number in range(20)]


_ALL, _NIGHT, _NOBODY = "all@example.org", "night@example.org", "nobody@example.org"


async def test_mail_to_a_group_reaches_each_member_once(store: Store) -> None:
    groups = {_ALL: [_NIGHT, _DISPATCH, "away@elsewhere.example"], _NIGHT: [_CREW, _ALL]}

    refused = await _with_client(
        store, lambda client: client.sendmail("a@elsewhere.example", ["All@example.org", _CREW], b"Subject: all\r\n"),
        groups=groups,
    )  # fmt: skip

    assert refused == {}
    assert [len(_kept(store, address)) for address in (_DISPATCH, _CREW)] == [1, 1]


@pytest.mark.parametrize("members", [[], ["away@elsewhere.example"]])
async def test_a_group_that_reaches_nobody_here_takes_mail_all_the_same(store: Store, members: list[str]) -> None:
    await _with_client(
        store, lambda client: client.sendmail(_DISPATCH, [_ALL], b"Subject: x\r\n"), groups={_ALL: members}
    )

    assert _kept(store, _DISPATCH) == []


async def test_a_sender_of_ours_hears_of_members_that_there_are_not(store: Store) -> None:
    groups = {_ALL: [_CREW, _NOBODY]}

    await _with_client(store, lambda client: client.sendmail(_DISPATCH, [_ALL], b"Subject: x\r\n"), groups=groups)

    assert len(_kept(store, _CREW)) == 1
    (notification,) = _kept(store, _DISPATCH)
    assert _NOBODY.encode() in notification


async def test_a_group_of_members_that_there_are_not_is_refused(store: Store) -> None:
    def send(client: smtplib.SMTP) -> int:
        with pytest.raises(smtplib.SMTPDataError) as refused:
            client.sendmail("a@elsewhere.example", [_ALL], b"Subject: x\r\n")
        return refused.value.smtp_code

    assert await _with_client(store, send, groups={_ALL: [_NOBODY]}) == 550
