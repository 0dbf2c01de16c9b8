"""Every mail of the corpus as Exchange makes it anew of its properties: the payload says what the mail said."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from bridge.domain.mail import FetchedMail, MailRef
from bridge.sandbox.store.content import content_of
from bridge.sandbox.store.remade import remade
from bridge.wire import inbound_build, inbound_v1
from tests.corpus.mails import CorpusMail, corpus
from tests.support.said import differences

_AT = datetime(2026, 11, 24, tzinfo=UTC)

# What the sandbox reads otherwise than the bridge, whoever made the MIME.
_READ_OTHERWISE = {
    # An address with a comment and a blank in its domain.
    "mikel_mail/example13.eml": {"From"},
    # A report, kept whole, of which a part has no empty line between header and body.
    "sisimai_set-of-emails/rhost-microsoft-03.eml": {"text", "attachments"},
}


@pytest.mark.parametrize("mail", corpus(), ids=str)
def test_a_mail_that_was_made_anew_says_what_it_said(mail: CorpusMail) -> None:
    raw = mail.read()

    made = remade(raw, at=_AT)

    ref = MailRef("m" * 40, "item", _AT, len(made), "IPM.Note")
    payload = json.loads(inbound_v1.to_json(inbound_build.compose(FetchedMail(ref, made), "dispatch")))
    assert set(differences(raw, payload)) == _READ_OTHERWISE.get(mail.file, set())
    assert content_of(remade(made, at=_AT)) == content_of(made)
