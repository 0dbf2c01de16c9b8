"""The parser and the payload on every mail of the public corpus."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import jsonschema_rs
import pytest

from bridge.domain.mail import FetchedMail, MailRef
from bridge.mime import kind_of, parse
from bridge.mime.defects import Defects
from bridge.mime.html_text import html_to_text
from bridge.wire import inbound_build, inbound_v1, schemas
from tests.corpus import expected, second_parser
from tests.corpus.mails import CorpusMail, corpus

if TYPE_CHECKING:
    from collections.abc import Iterator

MAILS = corpus()
each_mail = pytest.mark.parametrize("mail", MAILS, ids=str)

DIFFERENCES = Path(__file__).with_name("differences.tsv")

# The standard library, the second parser where the first refuses, reads data after base64 padding otherwise in 3.13.
DEPENDS_ON_PYTHON = {"apache_spamassassin/big5-base64.1.eml": {"html"}}


WHY_PARSERS_DIFFER = {
    "cr_only": "Lines end with CR alone; the second parser takes the whole mail for one line.",
    "mbox_line": "The second parser lists the mbox separator `From ...` as a field.",
    "broken_line_in_header": "A line within the header is no field: the second parser ends the header there, or loses"
    " the field that follows; a line of blanks meant as the empty line is taken for a folded one.",
    "several_fields_of_a_name": "To, Cc or From stands there twice: we list all recipients and take the first From.",
    "field_charset_of_body": "A field has raw 8-bit letters: we decode them in the charset that the body names.",
    "encoded_word_form": "An encoded-word with a language tag, an unknown or vendor charset label, odd padding, a"
    " cut-off character or raw letters; the second parser leaves it encoded or loses letters.",
    "name_in_comment": "`address (Name)`: the second parser drops the name, or the address that has no domain.",
    "address_without_domain": "A name or a local part alone, or a hostile address; the second parser lists nothing.",
    "empty_list_element": "A list begins with a comma; the second parser makes it part of the address.",
    "charset_of_text": "The charset is missing, unknown, wrong or a vendor's label, or its mapping has two readings"
    " (ISO-2022-JP tilde and minus): UTF-8 that calls itself Latin-1 is read as UTF-8, unknown ones by guess.",
    "nul_in_text": "NUL becomes U+FFFD in ours.",
    "boundary_missing_or_wrong": "The boundary is missing, broken, never occurs, or an outer one ends inner parts: we"
    " take it from the body, or show the body as text; the second parser shows nothing or other parts.",
    "parameter_lost_indentation": "`boundary=...` stands unindented on a line of its own; we join it to its field.",
    "rich_text_is_text": "text/richtext is shown as text where there is no plain form, not attached.",
    "uuencoded": "Uuencoded content is decoded, and uuencoded files within a text are listed as attachments.",
    "quoted_printable_line_ends": "The mail is stored with LF: the second parser makes CRLF of it while it decodes.",
    "file_or_text": "A text part with a file name that is not the first part, or one beside the root of a"
    " multipart/related, is an attachment (RFC 8621, 4.1.4); the second parser shows it as text.",
    "content_type_empty": "An unreadable Content-Type counts as text/plain (RFC 2045, 5.2).",
    "enclosed_mail_entered": "message/global is carried as an attachment; compat32 takes it apart.",
    "base64_cut_off": "Base64 ends in the middle of a group: we decode up to there, compat32 gives it back encoded.",
}

KIND_OF_TAG = {
    "mdn": "receipt",
    "dsn": "bounce",
    "bounce-nonstandard": "bounce",
    "calendar": "meeting",
    "out-of-office": "auto_reply",
    "auto-submitted": "auto_reply",
    "smime": "protected",
    "pgp": "protected",
}
# Where several tags apply, the first of these decides.
TAG_ORDER = ("mdn", "dsn", "bounce-nonstandard", "calendar", "out-of-office", "auto-submitted", "smime", "pgp")

_SIGNED = "signed in the clear, or only about keys: can be read by anybody"
_OF_ITS_OWN = "auto-generated or forwarded by a machine, in answer to nothing"
KIND_EXCEPTIONS = {
    "MailCore_mailcore2/4850-russian.eml": ("mail", _OF_ITS_OWN),
    "djcb_mu/arto.eml": ("mail", _OF_ITS_OWN),
    "notmuch_notmuch/1532672447.R3166642290392477575.len_2_S.eml": (
        "mail",
        "no field says that a machine wrote it, and the subject has the word only behind a ticket number",
    ),
    "jhillyerd_enmime/unquoted-ctype-param-special.eml": ("mail", "an attached file whose method is no method"),
    "mozilla_releases-comm-central/message-non-invite.eml": ("mail", "METHOD:PUBLISH shows an event and asks nothing"),
    **dict.fromkeys(
        (
            "Webklex_php-imap/pec.eml",
            "bestpractical_rt/1-signed.eml",
            "bestpractical_rt/2-signed-attachment.eml",
            "bestpractical_rt/3-signed-binary.eml",
            "bestpractical_rt/quoted_inline_signature.eml",
            "djcb_mu/1220863087.12663_15.mindcrime_2_PS.eml",
            "djcb_mu/signed_2_S.eml",
            "jstedfast_MimeKit/_Announce__GnuPG_2.1.20_released.eml",
            "jstedfast_gmime/signed-message.eml",
            "mailgun_flanker/signed.eml",
            "mikel_mail/raw_email2.eml",
            "mikel_mail/raw_email_with_nested_attachment.eml",
            "mozilla_releases-comm-central/alice.future.dsig.SHA256.multipart.eml",
            "mozilla_releases-comm-central/inline-signed-utf8.eml",
            "mozilla_releases-comm-central/multiple-signatures.eml",
            "mozilla_releases-comm-central/plaintext-with-key-and-windows-1252-encoded-eml-attachment.eml",
            "notmuch_notmuch/1354585346.000265_2_.eml",
            "notmuch_notmuch/msg-3-1_2_.eml",
            "notmuch_notmuch/msg-3-2_2_.eml",
            "notmuch_notmuch/msg-3-3_2_.eml",
            "notmuch_notmuch/msg-3-4_2_.eml",
            "notmuch_notmuch/msg-3-5_2_.eml",
            "redmine_redmine/smime_signature.eml",
        ),
        ("mail", _SIGNED),
    ),
}
# Bounces that nothing in the mail marks as one (`bounce-from:` names who made them).
UNRECOGNISED_BOUNCES = {
    "sisimai_set-of-emails/lhost-apachejames-01.eml": "subject `Re:`, no returned mail, from `post_master@`",
    "sisimai_set-of-emails/lhost-verizon-02.eml": "subject `Re:`, no returned mail, from `post_master@`",
    "sisimai_set-of-emails/lhost-kddi-01.eml": "from `no-reply@`, subject in Japanese",
    "sisimai_set-of-emails/lhost-kddi-03.eml": "from `no-reply@`, subject `Mail`",
}


@cache
def _expected() -> dict[str, dict[str, Any]]:
    return expected.expected()


@cache
def _differences() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for line in DIFFERENCES.read_text("utf-8").splitlines():
        file, aspect, category = line.split("\t")
        found.setdefault(file, {})[aspect] = category
    return found


@cache
def _validator() -> jsonschema_rs.Validator:
    return jsonschema_rs.validator_for(schemas.schema(inbound_v1.NAME), validate_formats=True)


def _payload(mail: CorpusMail) -> dict[str, Any]:
    raw = mail.read()
    ref = MailRef("m" * 40, "item", datetime(2026, 11, 24, tzinfo=UTC), len(raw), "IPM.Note")
    body = inbound_v1.to_json(inbound_build.compose(FetchedMail(ref, raw), "dispatch"))
    payload: dict[str, Any] = json.loads(body)
    return payload


@each_mail
def test_every_mail_is_read_as_expected(mail: CorpusMail) -> None:
    assert expected.summary(parse(mail.read())) == _expected()[mail.file]


def test_nothing_else_is_expected() -> None:
    assert list(_expected()) == [mail.file for mail in MAILS]


@each_mail
def test_the_payload_fits_its_schema_and_carries_every_byte(mail: CorpusMail) -> None:
    payload = _payload(mail)

    _validator().validate(payload)
    assert hashlib.sha256(base64.b64decode(payload["raw"]["content"])).hexdigest() == mail.sha256
    assert payload["raw"]["sha256"] == mail.sha256
    for attachment in payload["attachments"]:
        content = base64.b64decode(attachment["content"], validate=True)
        assert attachment["size"] == len(content)
        assert attachment["sha256"] == hashlib.sha256(content).hexdigest()


@each_mail
def test_a_reader_of_ours_reads_back_what_was_written(mail: CorpusMail) -> None:
    raw = mail.read()
    ref = MailRef("m" * 40, "item", None, len(raw), "IPM.Note")
    built = inbound_build.compose(FetchedMail(ref, raw), "dispatch")

    assert inbound_v1.from_json(inbound_v1.to_json(built)) == built


@each_mail
def test_text_is_there_where_anybody_sees_any(mail: CorpusMail) -> None:
    raw = mail.read()
    mine, other = parse(raw), second_parser.second(raw)

    if other.aspects.get("text") or second_parser.letters(mine.html or ""):
        assert mine.text.strip()


@each_mail
def test_text_made_from_html_has_the_letters_that_an_html_parser_sees(mail: CorpusMail) -> None:
    html = parse(mail.read()).html or ""

    made = html_to_text(html, Defects())

    assert "".join(made.split()).replace("-", "") == second_parser.letters(html)


@each_mail
def test_every_difference_from_a_second_parser_has_its_reason(mail: CorpusMail) -> None:
    raw = mail.read()

    found = second_parser.differences(second_parser.ours(parse(raw)), second_parser.second(raw))

    assert set(found) - DEPENDS_ON_PYTHON.get(mail.file, set()) == set(_differences().get(mail.file, {}))


def test_every_category_of_differences_is_explained_and_in_use() -> None:
    used = {category for aspects in _differences().values() for category in aspects.values()}

    assert used == set(WHY_PARSERS_DIFFER)


def test_kinds_follow_the_tags_of_the_manifest_but_for_named_exceptions() -> None:
    exceptions = {}
    for mail in MAILS:
        decisive = next((tag for tag in TAG_ORDER if tag in mail.tags), None)
        by_tag = KIND_OF_TAG[decisive] if decisive else None
        kind = kind_of(parse(mail.read()).kind_inputs)
        if by_tag is not None and kind != by_tag:
            exceptions[mail.file] = kind

    assert exceptions == {file: kind for file, (kind, _) in KIND_EXCEPTIONS.items()}


def test_every_bounce_of_the_bounce_collection_is_recognised_but_for_named_ones() -> None:
    unrecognised = {mail.file for mail in _bounces() if kind_of(parse(mail.read()).kind_inputs) != "bounce"}

    assert unrecognised == set(UNRECOGNISED_BOUNCES)


def test_bounces_name_a_recipient_but_for_one() -> None:
    nameless = set()
    for mail in _bounces():
        report = parse(mail.read()).kind_inputs.report
        if report is not None and not any(recipient.address for recipient in report.recipients):
            nameless.add(mail.file)

    # It says so in its subject alone.
    assert nameless == {"sisimai_set-of-emails/lhost-x5-01.eml"}


def _bounces() -> Iterator[CorpusMail]:
    made_by_mail_systems = ("bounce-from:lhost-", "bounce-from:rhost-", "bounce-from:rfc3464")
    return (mail for mail in MAILS if any(tag.startswith(made_by_mail_systems) for tag in mail.tags))


def test_untagged_mails_are_mail_but_for_named_ones() -> None:
    special = set()
    for mail in MAILS:
        kind = kind_of(parse(mail.read()).kind_inputs)
        if (
            kind != "mail"
            and not mail.tags & set(TAG_ORDER)
            and not any(t.startswith("bounce-from") for t in mail.tags)
        ):
            special.add((mail.file, kind))

    assert special == set()
