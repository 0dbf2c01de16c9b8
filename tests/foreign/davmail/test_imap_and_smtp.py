"""What a mail program does over IMAP and SMTP, through DavMail, to a mailbox of the sandbox."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

import pytest

from bridge.sandbox.trace import as_given
from tests.foreign.davmail.gateway import DavMail
from tests.foreign.davmail.session import CREW, DISPATCH, MAIL, body, deliver, fetched, inbox, selected
from tests.support.workers import until

if TYPE_CHECKING:
    import imaplib

    from tests.support.sandbox import SandboxProcess


def test_a_name_and_a_wrong_password_are_refused(sandbox: SandboxProcess, gateway: DavMail) -> None:
    with pytest.raises(Exception, match=r"(?i)failed|invalid|authenti"):
        gateway.imap({"username": DISPATCH, "password": "wrong"})


def test_folders_are_listed_with_those_of_every_mailbox(imap: imaplib.IMAP4) -> None:
    status, listed = imap.list()
    names = b"\n".join(line for line in listed if isinstance(line, bytes))
    assert status == "OK"
    for name in (b"INBOX", b"Drafts", b"Sent", b"Trash"):
        assert name in names, names


def test_a_folder_is_made_renamed_and_deleted(imap: imaplib.IMAP4, sandbox: SandboxProcess) -> None:
    assert imap.create("Orders")[0] == "OK"
    assert imap.rename("Orders", "Jobs")[0] == "OK"
    assert "Jobs" in {folder["name"] for folder in sandbox.folders(DISPATCH)}
    assert imap.delete("Jobs")[0] == "OK"


def test_a_folder_below_another_is_made(imap: imaplib.IMAP4, sandbox: SandboxProcess) -> None:
    assert imap.create('"INBOX/Zone 4"')[0] == "OK"
    assert any(folder["path"].endswith("Inbox/Zone 4") for folder in sandbox.folders(DISPATCH))
    assert imap.delete('"INBOX/Zone 4"')[0] == "OK"


def test_a_mail_that_came_in_is_counted_and_unseen(imap: imaplib.IMAP4, sandbox: SandboxProcess) -> None:
    deliver(sandbox, 1, 2)
    assert selected(imap) == 2
    assert imap.search(None, "UNSEEN")[1][0].split() == [b"1", b"2"]
    status, answer = imap.status("INBOX", "(MESSAGES UNSEEN)")
    assert status == "OK"
    assert b"UNSEEN 2" in answer[0]


def test_a_mail_is_fetched_byte_for_byte(imap: imaplib.IMAP4, sandbox: SandboxProcess) -> None:
    deliver(sandbox, 3)
    selected(imap)
    assert as_given(body(imap, "1", "(BODY.PEEK[])")).rstrip() == (MAIL % (3, 3)).rstrip()


def test_headers_alone_are_fetched(imap: imaplib.IMAP4, sandbox: SandboxProcess) -> None:
    deliver(sandbox, 4)
    selected(imap)
    headers = body(imap, "1", "(BODY.PEEK[HEADER.FIELDS (SUBJECT FROM)])")
    assert b"Transport 4 to zone 4" in headers
    assert b"anna@example.net" in headers
    assert b"Good morning" not in headers


def test_the_structure_and_one_attachment_are_fetched(imap: imaplib.IMAP4, sandbox: SandboxProcess) -> None:
    deliver(sandbox, 5)
    selected(imap)
    assert b"order.pdf" in fetched(imap, "1", "(BODYSTRUCTURE)")
    assert base64.b64decode(body(imap, "1", "(BODY.PEEK[2])")) == b"%PDF-1.4\n"


def test_sizes_uids_and_dates_are_fetched(imap: imaplib.IMAP4, sandbox: SandboxProcess) -> None:
    deliver(sandbox, 6, 7)
    selected(imap)
    answer = fetched(imap, "1:2", "(UID RFC822.SIZE INTERNALDATE FLAGS)")
    uids = [int(found) for found in re.findall(rb"UID (\d+)", answer)]
    assert len(set(uids)) == 2
    assert all(int(found) > 100 for found in re.findall(rb"RFC822.SIZE (\d+)", answer))
    assert answer.count(b"INTERNALDATE") == 2


def test_reading_marks_a_mail_as_seen(imap: imaplib.IMAP4, sandbox: SandboxProcess) -> None:
    deliver(sandbox, 8)
    selected(imap)
    assert imap.store("1", "+FLAGS", r"(\Seen)")[0] == "OK"
    assert inbox(sandbox)["unread"] == 0
    assert imap.store("1", "-FLAGS", r"(\Seen)")[0] == "OK"
    assert inbox(sandbox)["unread"] == 1


def test_flagged_and_keywords_are_kept(imap: imaplib.IMAP4, sandbox: SandboxProcess) -> None:
    deliver(sandbox, 9)
    selected(imap)
    assert imap.store("1", "+FLAGS", r"(\Flagged)")[0] == "OK"
    selected(imap)
    assert rb"\Flagged" in fetched(imap, "1", "(FLAGS)")


def test_answered_is_kept(imap: imaplib.IMAP4, sandbox: SandboxProcess) -> None:
    deliver(sandbox, 10)
    selected(imap)
    assert imap.store("1", "+FLAGS", r"(\Answered)")[0] == "OK"
    selected(imap)
    assert rb"\Answered" in fetched(imap, "1", "(FLAGS)")


def test_mails_are_searched_by_subject_and_sender(imap: imaplib.IMAP4, sandbox: SandboxProcess) -> None:
    deliver(sandbox, 11, 12)
    selected(imap)
    assert imap.search(None, "SUBJECT", '"Transport 12"')[1][0].split() == [b"2"]
    assert len(imap.search(None, "FROM", "anna@example.net")[1][0].split()) == 2
    assert imap.search(None, "HEADER", "Message-ID", "<11@example.net>")[1][0].split() == [b"1"]


def test_mails_are_searched_by_date(imap: imaplib.IMAP4, sandbox: SandboxProcess) -> None:
    deliver(sandbox, 13)
    selected(imap)
    assert imap.search(None, "SINCE", "01-Jan-2020")[1][0].split() == [b"1"]
    assert imap.search(None, "BEFORE", "01-Jan-2020")[1][0].split() == []


def test_a_mail_is_copied(imap: imaplib.IMAP4, sandbox: SandboxProcess) -> None:
    deliver(sandbox, 14)
    imap.create("Copies")
    selected(imap)
    assert imap.copy("1", "Copies")[0] == "OK"
    assert selected(imap, "Copies") == 1
    assert selected(imap) == 1
    assert imap.delete("Copies")[0] == "OK"


def test_a_mail_is_moved(imap: imaplib.IMAP4, sandbox: SandboxProcess) -> None:
    deliver(sandbox, 15)
    imap.create("Done")
    selected(imap)
    status, answer = imap.uid("SEARCH", "ALL")
    assert status == "OK"
    assert imap._simple_command("UID", "MOVE", answer[0].decode(), "Done")[0] == "OK"
    assert selected(imap, "Done") == 1
    assert selected(imap) == 0
    assert imap.delete("Done")[0] == "OK"


def test_a_mail_is_appended_to_drafts(imap: imaplib.IMAP4, sandbox: SandboxProcess) -> None:
    before = len(sandbox.mails(DISPATCH, "drafts"))
    assert imap.append("Drafts", r"(\Draft)", None, MAIL % (16, 16))[0] == "OK"
    assert len(sandbox.mails(DISPATCH, "drafts")) == before + 1


def test_a_mail_is_appended_to_a_folder_as_seen(imap: imaplib.IMAP4, sandbox: SandboxProcess) -> None:
    assert imap.append("INBOX", r"(\Seen)", None, MAIL % (17, 17))[0] == "OK"
    assert selected(imap) == 1
    assert rb"\Seen" in fetched(imap, "1", "(FLAGS)")
    assert inbox(sandbox)["unread"] == 0


def test_a_mail_is_deleted_and_expunged(imap: imaplib.IMAP4, sandbox: SandboxProcess) -> None:
    deliver(sandbox, 18, 19)
    selected(imap)
    assert imap.store("1", "+FLAGS", r"(\Deleted)")[0] == "OK"
    assert imap.expunge()[0] == "OK"
    assert selected(imap) == 1
    assert [mail["internet_message_id"] for mail in sandbox.mails(DISPATCH)] == ["<19@example.net>"]


def test_a_mail_that_arrives_is_told_by_noop(imap: imaplib.IMAP4, sandbox: SandboxProcess) -> None:
    assert selected(imap) == 0
    deliver(sandbox, 20)

    def told() -> bool:
        imap.noop()
        return bool(imap.response("EXISTS")[1][-1] not in (None, b"0"))

    until(told, "the new mail to be told")


def test_a_mail_is_sent_by_smtp_and_kept_in_sent(
    imap: imaplib.IMAP4, sandbox: SandboxProcess, gateway: DavMail
) -> None:
    mail = (MAIL % (21, 21)).replace(b"anna@example.net", b"dispatch@example.org").replace(
        b"To: dispatch@example.org", b"To: crew@example.org"
    )  # fmt: skip
    with gateway.smtp(sandbox.info["mailboxes"][0]) as client:
        client.sendmail(DISPATCH, [CREW], mail)
    until(lambda: any("Transport 21" in one["subject"] for one in sandbox.mails(CREW)), "the mail in the other mailbox")
    assert [one["internet_message_id"] for one in sandbox.mails(DISPATCH, "sentitems")].count("<21@example.net>") == 1


def test_a_recipient_of_the_envelope_alone_gets_the_mail(sandbox: SandboxProcess, gateway: DavMail) -> None:
    with gateway.smtp(sandbox.info["mailboxes"][0]) as client:
        client.sendmail(DISPATCH, [CREW], b"From: dispatch@example.org\r\nSubject: Blind copy 22\r\n\r\nNow.\r\n")
    until(lambda: any(one["subject"] == "Blind copy 22" for one in sandbox.mails(CREW)), "the blind copy")
