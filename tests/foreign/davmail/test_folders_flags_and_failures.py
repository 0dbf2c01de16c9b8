"""More of what a mail program does through DavMail: odd folders, odd flags, big mails, and what is refused."""

from __future__ import annotations

import base64
import imaplib
import smtplib
from typing import TYPE_CHECKING, Any

import pytest

from tests.foreign.davmail.session import CREW, DISPATCH, MAIL, body, deliver, fetched, inbox, selected
from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.foreign.davmail.gateway import DavMail
    from tests.support.sandbox import SandboxProcess


def _utf7(name: str) -> str:
    """Return a folder name as IMAP carries it (RFC 3501 5.1.3)."""
    pieces, run = [], ""
    for letter in f"{name}\0":
        if " " <= letter <= "~" or letter == "\0":
            if run:
                coded = base64.b64encode(run.encode("utf-16-be")).decode().rstrip("=").replace("/", ",")
                pieces.append(f"&{coded}-")
                run = ""
            pieces.append({"&": "&-", "\0": ""}.get(letter, letter))
        else:
            run += letter
    return "".join(pieces)


def _names(sandbox: SandboxProcess) -> set[str]:
    return {folder["name"] for folder in sandbox.folders(DISPATCH)}


@pytest.mark.parametrize("name", ["Überführung", "患者搬送", "نقل المرضى", "Zone 4 & 5", "Ordre d'évacuation"])
def test_a_folder_of_any_script_is_made_filled_and_deleted(
    imap: imaplib.IMAP4, sandbox: SandboxProcess, name: str
) -> None:
    coded = f'"{_utf7(name)}"'
    assert imap.create(coded)[0] == "OK"
    assert name in _names(sandbox)
    assert imap.append(coded, None, None, MAIL % (31, 31))[0] == "OK"
    assert selected(imap, coded) == 1
    assert coded.encode() in b"\n".join(line for line in imap.list()[1] if isinstance(line, bytes))
    imap.select("INBOX")
    assert imap.delete(coded)[0] == "OK"
    assert name not in _names(sandbox)


@pytest.mark.parametrize("command", ["SELECT", "APPEND", "COPY"])
def test_a_folder_that_is_gone_cannot_be_opened_filled_or_copied_to(
    imap: imaplib.IMAP4, sandbox: SandboxProcess, gateway: DavMail, command: str
) -> None:
    deliver(sandbox, 32)
    # DavMail ends the session where it does not know what to do with a refusal.
    other = gateway.imap(sandbox.info["mailboxes"][0])
    other.select("INBOX")
    ask: Callable[[], tuple[str, Any]] = {
        "SELECT": lambda: other.select("Nowhere"),
        "APPEND": lambda: other.append("Nowhere", None, None, MAIL % (32, 32)),
        "COPY": lambda: other.copy("1", "Nowhere"),
    }[command]
    try:
        status, said = ask()
    except imaplib.IMAP4.error as error:
        status, said = "BAD", [str(error).encode()]
    assert status in ("NO", "BAD")
    assert b"not found" in said[0].lower()
    assert selected(imap) == 1


def test_a_folder_is_not_made_twice(imap: imaplib.IMAP4, sandbox: SandboxProcess) -> None:
    # DavMail takes ErrorFolderExists for done.
    assert imap.create("Once")[0] == "OK"
    assert imap.create("ONCE")[0] == "OK"
    assert [name for name in _names(sandbox) if name.lower() == "once"] == ["Once"]
    assert imap.delete("Once")[0] == "OK"


def test_a_mail_of_20_mb_is_appended_and_its_attachment_fetched_byte_for_byte(imap: imaplib.IMAP4) -> None:
    content = base64.encodebytes(bytes(range(256)) * (15 * 4096)).replace(b"\n", b"\r\n")
    mail = (MAIL % (33, 33)).replace(b"JVBERi0xLjQK\r\n", content)
    assert len(mail) > 20 * 1024 * 1024
    assert imap.append("INBOX", None, None, mail)[0] == "OK"
    assert selected(imap) == 1
    assert base64.b64decode(body(imap, "1", "(BODY.PEEK[2])")) == bytes(range(256)) * (15 * 4096)


def test_a_mail_beyond_the_limit_of_the_mailbox_is_refused(
    imap: imaplib.IMAP4, sandbox: SandboxProcess, gateway: DavMail
) -> None:
    mail = (MAIL % (34, 34)).replace(b"JVBERi0xLjQK\r\n", base64.encodebytes(bytes(100_000)).replace(b"\n", b"\r\n"))
    other = gateway.imap(sandbox.info["mailboxes"][0])
    sandbox.admin("/settings", method="PUT", body={"send_bytes": 10_000})
    try:
        with pytest.raises(imaplib.IMAP4.error, match="size"):
            other.append("INBOX", None, None, mail)
    finally:
        sandbox.admin("/settings", method="PUT", body={"send_bytes": 36_700_160})
    assert sandbox.mails(DISPATCH) == []


def test_flags_are_set_added_and_taken_away_for_several_mails_at_once(
    imap: imaplib.IMAP4, sandbox: SandboxProcess
) -> None:
    deliver(sandbox, 35, 36, 37)
    selected(imap)
    assert imap.store("1:3", "FLAGS", r"(\Seen \Flagged)")[0] == "OK"
    assert inbox(sandbox)["unread"] == 0
    assert imap.store("2", "-FLAGS", r"(\Seen \Flagged)")[0] == "OK"
    assert inbox(sandbox)["unread"] == 1
    selected(imap)
    assert imap.search(None, "UNSEEN")[1][0].split() == [b"2"]
    assert imap.search(None, "FLAGGED")[1][0].split() == [b"1", b"3"]


def test_a_keyword_is_kept_as_a_category_that_exchange_shows(imap: imaplib.IMAP4, sandbox: SandboxProcess) -> None:
    deliver(sandbox, 38)
    selected(imap)
    assert imap.store("1", "+FLAGS", "(Zone4)")[0] == "OK"
    selected(imap)
    assert b"Zone4" in fetched(imap, "1", "(FLAGS)")


def test_a_part_of_a_body_is_fetched(imap: imaplib.IMAP4, sandbox: SandboxProcess) -> None:
    deliver(sandbox, 39)
    selected(imap)
    assert body(imap, "1", "(BODY.PEEK[]<0.40>)") == body(imap, "1", "(BODY.PEEK[])")[:40]
    assert body(imap, "1", "(BODY.PEEK[1])").strip() == b"Good morning."


def test_mails_are_searched_by_their_text(imap: imaplib.IMAP4, sandbox: SandboxProcess) -> None:
    deliver(sandbox, 40, 41)
    selected(imap)
    assert imap.search(None, "BODY", "morning")[1][0].split() == [b"1", b"2"]
    assert imap.search(None, "BODY", "evening")[1][0].split() == []
    assert imap.search(None, "OR", "SUBJECT", '"Transport 40"', "SUBJECT", '"Transport 41"')[1][0].split() == [
        b"1",
        b"2",
    ]


def test_uids_stay_with_their_mails_when_others_go(imap: imaplib.IMAP4, sandbox: SandboxProcess) -> None:
    deliver(sandbox, 42, 43, 44)
    selected(imap)
    before = imap.uid("SEARCH", "ALL")[1][0].split()
    assert imap.uid("STORE", before[1].decode(), "+FLAGS", r"(\Deleted)")[0] == "OK"
    imap.expunge()
    selected(imap)
    assert imap.uid("SEARCH", "ALL")[1][0].split() == [before[0], before[2]]
    assert imap.uid("FETCH", before[1].decode(), "(FLAGS)")[1] == [None]


def test_several_mails_move_to_another_folder_at_once(imap: imaplib.IMAP4, sandbox: SandboxProcess) -> None:
    imap.create("Handled")
    deliver(sandbox, 45, 46, 47)
    selected(imap)
    uids = imap.uid("SEARCH", "ALL")[1][0].decode().split()
    assert imap._simple_command("UID", "MOVE", ",".join(uids[:2]), "Handled")[0] == "OK"
    assert selected(imap, "Handled") == 2
    assert selected(imap) == 1
    assert imap.delete("Handled")[0] == "OK"


def test_a_server_that_is_busy_refuses_a_change_and_takes_it_afterwards(
    imap: imaplib.IMAP4, sandbox: SandboxProcess, gateway: DavMail
) -> None:
    deliver(sandbox, 48)
    busy = {"kind": "server_busy", "back_off_milliseconds": 1000}
    other = gateway.imap(sandbox.info["mailboxes"][0])
    other.select("INBOX")
    sandbox.faults({"match": {"operation": "UpdateItem"}, "fault": busy, "times": 1})
    try:
        with pytest.raises(imaplib.IMAP4.error, match="cannot service this request right now"):
            other.store("1", "+FLAGS", r"(\Flagged)")
    finally:
        sandbox.faults()
    selected(imap)
    assert imap.store("1", "+FLAGS", r"(\Flagged)")[0] == "OK"
    selected(imap)
    assert rb"\Flagged" in fetched(imap, "1", "(FLAGS)")


def test_smtp_refuses_a_wrong_password(sandbox: SandboxProcess, gateway: DavMail) -> None:
    user = {**sandbox.info["mailboxes"][0], "password": "wrong"}
    with pytest.raises(smtplib.SMTPAuthenticationError):
        gateway.smtp(user)


def test_smtp_refuses_what_exchange_will_not_send(sandbox: SandboxProcess, gateway: DavMail) -> None:
    before = len(sandbox.sends())
    with gateway.smtp(sandbox.info["mailboxes"][0]) as client:
        mail = f"From: {CREW}\r\nTo: {CREW}\r\nSubject: As somebody else\r\n\r\nNow.\r\n".encode()
        with pytest.raises(smtplib.SMTPException):
            client.sendmail(DISPATCH, [CREW], mail)
    assert len(sandbox.sends()) == before


def test_a_mail_to_three_people_goes_to_each(sandbox: SandboxProcess, gateway: DavMail) -> None:
    mail = f"From: {DISPATCH}\r\nTo: {CREW}\r\nCc: {DISPATCH}\r\nSubject: To three 49\r\n\r\nNow.\r\n".encode()
    with gateway.smtp(sandbox.info["mailboxes"][0]) as client:
        client.sendmail(DISPATCH, [CREW, DISPATCH, "away@elsewhere.example"], mail)
    for who in (CREW, DISPATCH):
        until(
            lambda who=who: any(one["subject"] == "To three 49" for one in sandbox.mails(who)),  # type: ignore[misc]
            f"the mail for {who}",
        )
    assert set(sandbox.sends()[-1]["recipients"]) == {CREW, DISPATCH, "away@elsewhere.example"}
