"""SOAP that no client should send, over HTTPS: each gets an answer in time, and the sandbox is as well as before."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

import pytest
from lxml import etree

from tests.support.sandbox import SandboxProcess, as_given
from tests.support.siege import MAILBOX, PING, Besieged
from tests.support.soap import TYPES, EwsClient

if TYPE_CHECKING:
    from collections.abc import Iterator

_CREW = "crew@example.org"
_OPEN = (
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types" '
    'xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"><s:Header>'
    '<t:RequestServerVersion Version="Exchange2016"/><t:ExchangeImpersonation><t:ConnectingSID><t:SmtpAddress>'
    f"{MAILBOX}</t:SmtpAddress></t:ConnectingSID></t:ExchangeImpersonation></s:Header><s:Body>"
)
_CLOSE = "</s:Body></s:Envelope>"
_INBOX = '<t:DistinguishedFolderId Id="inbox"/>'
_ID_ONLY = "<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>"


@pytest.fixture(scope="module")
def siege(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    with SandboxProcess(tmp_path_factory.mktemp("siege") / "sandbox", mailboxes=[MAILBOX, _CREW]) as running:
        yield Besieged(running)


@pytest.fixture(autouse=True)
def _as_well_as_before(siege: Besieged) -> Iterator[None]:
    yield
    siege.must_be_well()


def _find(restriction: str = "", folder: str = _INBOX) -> str:
    wanted = f"<m:Restriction>{restriction}</m:Restriction>" if restriction else ""
    return (
        f'<m:FindItem Traversal="Shallow">{_ID_ONLY}{wanted}<m:ParentFolderIds>{folder}'
        "</m:ParentFolderIds></m:FindItem>"
    )


# What is no XML, or more than XML should be


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00",
        b"no xml at all",
        b"<",
        b"<a",
        _OPEN.encode(),
        (_OPEN + PING).encode() + b"</s:Body>",
        (_OPEN + PING + _CLOSE).encode()[:-1],
        (_OPEN + PING + _CLOSE + "<again/>").encode(),
        (_OPEN + PING.replace("IdOnly", "Id\x00Only") + _CLOSE).encode(),
        (_OPEN + PING.replace("inbox", "&nothing;") + _CLOSE).encode(),
        (_OPEN + PING.replace("<m:GetFolder>", "<x:GetFolder>") + _CLOSE).encode(),
        (_OPEN + PING.replace("IdOnly", "&#0;") + _CLOSE).encode(),
        (_OPEN + PING.replace("IdOnly", "&#xD800;") + _CLOSE).encode(),
        (_OPEN + PING.replace("IdOnly", "&#xFFFE;") + _CLOSE).encode(),
        (_OPEN + PING.replace("IdOnly", "&#x110000;") + _CLOSE).encode(),
        (_OPEN + PING).encode() + b"\xed\xa0\x80" + _CLOSE.encode(),
        (_OPEN + PING).encode() + b"\xff\xfe" + _CLOSE.encode(),
        b'<?xml version="1.0" encoding="no-such-thing"?>' + (_OPEN + PING + _CLOSE).encode(),
        b'<?xml version="1.0" encoding="utf-16"?>' + (_OPEN + PING + _CLOSE).encode(),
        (_OPEN + "<a>" * 100_000 + "</a>" * 100_000 + _CLOSE).encode(),
        (_OPEN + "<a>" * 3_000_000).encode(),
    ],
    ids=range(22),
)
def test_what_is_not_well_formed_is_refused_as_by_the_schema(siege: Besieged, body: bytes) -> None:
    answer = siege.post(body)

    assert answer.status_code == 500
    assert b"ErrorSchemaValidation" in answer.content
    etree.fromstring(answer.content)


_BOMB = "".join(f'<!ENTITY e{level} "{f"&e{level - 1};" * 10}">' for level in range(1, 12))


@pytest.mark.parametrize(
    "doctype",
    [
        f'<!DOCTYPE s [<!ENTITY e0 "ten thousand million">{_BOMB}]>',
        '<!DOCTYPE s [<!ENTITY e11 SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE s [<!ENTITY e11 SYSTEM "http://127.0.0.1:1/">]>',
        '<!DOCTYPE s [<!ENTITY % p SYSTEM "file:///etc/passwd"> %p; <!ENTITY e11 "x">]>',
        '<!DOCTYPE s SYSTEM "http://127.0.0.1:1/e.dtd" [<!ENTITY e11 "x">]>',
        f'<!DOCTYPE s [<!ENTITY e11 "{"x" * 1_000_000}">]>',
    ],
    ids=["bomb", "file", "http", "parameter", "dtd", "quadratic"],
)
def test_entities_and_document_types_are_refused_at_once(siege: Besieged, doctype: str) -> None:
    before = siege.forget_peak()
    started = time.monotonic()

    answer = siege.post((doctype + _OPEN + PING.replace("IdOnly", "&e11;" * 1000) + _CLOSE).encode())

    assert answer.status_code == 500
    assert b"ErrorSchemaValidation" in answer.content
    assert b"root:" not in answer.content
    assert time.monotonic() - started < 5
    assert siege.memory_mb() - before < 100


@pytest.mark.parametrize("operation", ["m:NoSuchThing", "t:GetFolder", "m:getfolder", "m:Get", "m:GetFolderResponse"])
def test_an_unknown_operation_is_an_invalid_request(siege: Besieged, operation: str) -> None:
    answer = siege.post(f"{_OPEN}<{operation}/>{_CLOSE}".encode())

    assert answer.status_code == 500
    assert b"ErrorInvalidRequest" in answer.content or b"ErrorSchemaValidation" in answer.content


@pytest.mark.parametrize(
    "filling",
    [
        "".join(f' a{number}="x"' for number in range(200_000)),
        "".join(f' xmlns:n{number}="urn:{number}"' for number in range(50_000)),
        f' Id="{"x" * 5_000_000}"',
    ],
    ids=["attributes", "namespaces", "a long one"],
)
def test_an_element_of_nothing_but_attributes_is_read_in_time(siege: Besieged, filling: str) -> None:
    started = time.monotonic()

    answer = siege.post(f"{_OPEN}<m:GetFolder{filling}/>{_CLOSE}".encode())

    assert answer.status_code == 500
    assert time.monotonic() - started < 10


def test_a_deep_restriction_and_a_wide_one_are_answered_in_words(siege: Besieged) -> None:
    exists = '<t:Exists><t:FieldURI FieldURI="item:Subject"/></t:Exists>'
    deep = siege.post(f"{_OPEN}{_find('<t:Not>' * 200 + exists + '</t:Not>' * 200)}{_CLOSE}".encode())
    wide = siege.post(f"{_OPEN}{_find('<t:Or>' + exists * 20_000 + '</t:Or>')}{_CLOSE}".encode())

    for answer in (deep, wide):
        assert b"ErrorInternalServerError" not in answer.content
        etree.fromstring(answer.content)


# How it is sent


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/soap+xml; charset=utf-8",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "text/plain",
        "text/xml; charset=iso-8859-1",
        "text/xml; charset=utf-7",
        "text/xml; charset=no-such-thing",
    ],
)
def test_what_says_that_it_is_no_soap_is_an_unsupported_media_type(siege: Besieged, content_type: str) -> None:
    answer = siege.post(f"{_OPEN}{PING}{_CLOSE}".encode(), content_type)

    assert answer.status_code == 415


@pytest.mark.parametrize("content_type", ["text/xml", "TEXT/XML;charset=UTF-8", 'text/xml; charset="utf-8"; x=y'])
def test_soap_is_known_however_its_type_is_spelt(siege: Besieged, content_type: str) -> None:
    assert siege.post(f"{_OPEN}{PING}{_CLOSE}".encode(), content_type).status_code == 200


def test_a_request_over_the_cap_is_refused_without_being_held(siege: Besieged) -> None:
    before = siege.forget_peak()
    part = b"x" * (1 << 20)

    answer = siege.ews.session.post(
        siege.sandbox.info["ews_url"],
        data=(part for _ in range(400)),
        headers={"Authorization": f"Bearer {siege.ews.token}", "Content-Type": "text/xml"},
        timeout=100,
    )

    assert answer.status_code == 413
    # What came before the cap is held, and that is all: not the 400 MB.
    assert siege.memory_mb() - before < 64 + 90


# Ids


def _saved(ews: EwsClient, mime: bytes = b"Subject: x\r\n\r\nx\r\n") -> str:
    content = base64.b64encode(mime).decode()
    answer = ews.call(
        '<m:CreateItem MessageDisposition="SaveOnly"><m:Items><t:Message>'
        f"<t:MimeContent>{content}</t:MimeContent></t:Message></m:Items></m:CreateItem>"
    )
    return str(next(answer.iter(f"{TYPES}ItemId")).get("Id"))


def _with_ids(ids: list[str]) -> dict[str, str]:
    """Return a call of each operation that takes items, for these."""
    items = "<m:ItemIds>" + "".join(f"<t:ItemId Id={quoteattr(one)}/>" for one in ids) + "</m:ItemIds>"
    target = '<m:ToFolderId><t:DistinguishedFolderId Id="archive"/></m:ToFolderId>'
    changes = "".join(
        f"<t:ItemChange><t:ItemId Id={quoteattr(one)}/><t:Updates><t:SetItemField><t:FieldURI FieldURI='item:Subject'/>"
        "<t:Message><t:Subject>y</t:Subject></t:Message></t:SetItemField></t:Updates></t:ItemChange>"
        for one in ids
    )
    return {
        "GetItem": f"<m:GetItem>{_ID_ONLY}{items}</m:GetItem>",
        "MoveItem": f"<m:MoveItem>{target}{items}</m:MoveItem>",
        "CopyItem": f"<m:CopyItem>{target}{items}</m:CopyItem>",
        "DeleteItem": f'<m:DeleteItem DeleteType="HardDelete">{items}</m:DeleteItem>',
        "MarkAsJunk": f'<m:MarkAsJunk IsJunk="true" MoveItem="true">{items}</m:MarkAsJunk>',
        "ExportItems": f"<m:ExportItems>{items}</m:ExportItems>",
        "UpdateItem": (
            '<m:UpdateItem ConflictResolution="AlwaysOverwrite" MessageDisposition="SaveOnly"><m:ItemChanges>'
            f"{changes}</m:ItemChanges></m:UpdateItem>"
        ),
    }


_OPERATIONS = tuple(_with_ids([]))
_GARBAGE = (
    "x", "AAAA", "=", "AAMk", "A" * 100_000, "../../etc/passwd", "' OR 1=1 --", "\u202e\U0001f4a9", "%00", "-1", " ",
    base64.b64encode(bytes(range(256))).decode(), base64.b64encode(b"\x00" * 133).decode(),
)  # fmt: skip


@pytest.mark.parametrize("operation", _OPERATIONS)
def test_ids_that_are_none_are_malformed_each_by_itself(siege: Besieged, operation: str) -> None:
    codes = siege.ews.codes(_with_ids(list(_GARBAGE))[operation])

    assert len(codes) == len(_GARBAGE)
    assert set(codes) <= {"ErrorInvalidIdMalformed", "ErrorInvalidIdEmpty", "ErrorItemNotFound"}


@pytest.mark.parametrize("operation", _OPERATIONS)
def test_ids_with_any_part_changed_open_nothing(siege: Besieged, operation: str) -> None:
    """Whichever byte of an id is another: it is malformed or not found, and the item stays as it was."""
    own = _saved(siege.ews)
    raw = base64.b64decode(own)
    changed = [
        base64.b64encode(raw[:place] + bytes([raw[place] ^ 0x41]) + raw[place + 1 :]).decode()
        for place in range(len(raw))
    ]
    cut = [own[:length] for length in range(4, len(own), 4)] + [own + "AAAA", own + "ARIAAAAB"]

    codes = siege.ews.codes(_with_ids([*changed, *cut])[operation])

    assert set(codes) <= {
        "ErrorInvalidIdMalformed", "ErrorItemNotFound", "ErrorCannotUseFolderIdForItemId", "ErrorNonExistentMailbox",
    }  # fmt: skip
    assert siege.ews.codes(siege.ews.get(own)) == ["NoError"]


@pytest.mark.parametrize("operation", _OPERATIONS)
def test_ids_of_another_mailbox_and_of_what_is_gone_are_not_found(siege: Besieged, operation: str) -> None:
    crew = EwsClient(siege.sandbox, _CREW)
    foreign = _saved(crew)
    gone = _saved(siege.ews)
    siege.ews.codes(_with_ids([gone])["DeleteItem"])

    codes = siege.ews.codes(_with_ids([foreign, gone])[operation])

    assert codes == ["ErrorItemNotFound"] * 2
    assert crew.codes(crew.get(foreign)) == ["NoError"]


@pytest.mark.parametrize("operation", _OPERATIONS)
def test_ten_thousand_ids_in_one_call_are_answered_in_time(siege: Besieged, operation: str) -> None:
    """One answer for each, or from some point on that the batch took too long, and nothing else."""
    own = [_saved(siege.ews) for _ in range(5)]
    before = siege.forget_peak()
    started = time.monotonic()

    codes = siege.ews.codes(_with_ids([*own, *["AAMk"] * 9_995])[operation])

    assert len(codes) == 10_000
    assert set(codes[:5]) <= {"NoError", "ErrorInvalidOperation"}
    assert set(codes[5:]) <= {"ErrorInvalidIdMalformed", "ErrorBatchProcessingStopped"}
    assert time.monotonic() - started < 30
    assert siege.memory_mb() - before < 150


def test_ten_thousand_times_the_same_item_in_one_call(siege: Besieged) -> None:
    own = _saved(siege.ews)

    codes = siege.ews.codes(_with_ids([own] * 10_000)["GetItem"])
    deleted = siege.ews.codes(_with_ids([own] * 10_000)["DeleteItem"])

    assert set(codes) <= {"NoError", "ErrorBatchProcessingStopped"}
    assert deleted[0] == "NoError"
    assert set(deleted[1:]) <= {"ErrorItemNotFound", "ErrorBatchProcessingStopped"}


def test_ten_thousand_folders_are_searched_in_time(siege: Besieged) -> None:
    started = time.monotonic()

    codes = siege.ews.codes(_find(folder=_INBOX * 10_000))

    assert len(codes) == 10_000
    assert set(codes) <= {"NoError", "ErrorBatchProcessingStopped"}
    assert time.monotonic() - started < 60


# States and watermarks of others


def _sync(folder: str, state: str = "") -> str:
    given = f"<m:SyncState>{state}</m:SyncState>" if state else ""
    return (
        f'<m:SyncFolderItems>{_ID_ONLY}<m:SyncFolderId><t:DistinguishedFolderId Id="{folder}"/></m:SyncFolderId>'
        f"{given}<m:MaxChangesReturned>10</m:MaxChangesReturned></m:SyncFolderItems>"
    )


def test_a_state_is_good_for_its_own_folder_mailbox_and_operation_alone(siege: Besieged) -> None:
    crew = EwsClient(siege.sandbox, _CREW)
    state = siege.ews.call(_sync("inbox")).findtext(".//{*}SyncState") or ""
    hierarchy = (
        "<m:SyncFolderHierarchy><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape>"
        f"<m:SyncState>{state}</m:SyncState></m:SyncFolderHierarchy>"
    )

    assert siege.ews.codes(_sync("inbox", state)) == ["NoError"]
    assert siege.ews.codes(_sync("drafts", state)) == ["ErrorInvalidSyncStateData"]
    assert crew.codes(_sync("inbox", state)) == ["ErrorInvalidSyncStateData"]
    assert siege.ews.codes(hierarchy) == ["ErrorInvalidSyncStateData"]


def test_a_state_with_any_part_changed_is_refused_or_harmless(siege: Besieged) -> None:
    state = siege.ews.call(_sync("inbox")).findtext(".//{*}SyncState") or ""
    raw = base64.b64decode(state)
    states = [
        *(base64.b64encode(raw[:at] + bytes([raw[at] ^ 0xFF]) + raw[at + 1 :]).decode() for at in range(len(raw))),
        state[:-4], "x", "AAAA", "A" * 100_000, "\u202e", "&amp;", "' OR 1=1 --",
    ]  # fmt: skip

    true = siege.ews.call(_sync("inbox", state)).findtext(".//{*}SyncState")

    answers = [siege.ews.call(_sync("inbox", one)) for one in states]

    codes = [answer.findtext(".//{*}ResponseCode") for answer in answers]
    assert codes.count("ErrorInvalidSyncStateData") > 0.8 * len(states)
    # Some bytes of a packed text say nothing: with those the state is what it was.
    for code, answer in zip(codes, answers, strict=True):
        assert code == "ErrorInvalidSyncStateData" or answer.findtext(".//{*}SyncState") == true


def test_subscriptions_and_watermarks_that_are_none_are_refused(siege: Besieged) -> None:
    for subscription in ("x", "AAAA", "A" * 100_000, "\u202e", "' OR 1=1 --"):
        (code,) = siege.ews.codes(
            f"<m:GetEvents><m:SubscriptionId>{subscription}</m:SubscriptionId><m:Watermark>x</m:Watermark></m:GetEvents>"
        )
        assert code in {"ErrorInvalidSubscription", "ErrorSubscriptionNotFound"}
        assert siege.ews.codes(
            f"<m:Unsubscribe><m:SubscriptionId>{subscription}</m:SubscriptionId></m:Unsubscribe>"
        ) <= ["ErrorSubscriptionNotFound"]


# Characters

_CONTROLS = "".join(map(chr, range(0x20))) + "\x7f\x80\x9f\ufffe\uffff\u202e\u2028\ufeff\U0001f4a9\U0010ffff"
_PLAIN = "\x7f\x80\x9f\ufffd\u202e\u2028\ufeff\U0001f4a9\U0010ffff"


_STRANGE_MAILS = {
    "controls": b"Subject: =?utf-8?B?" + base64.b64encode(_CONTROLS.encode()) + b"?=\r\n\r\nx\r\n",
    "surrogates": (b"Subject: =?utf-7?Q?+2AA-?= =?utf-16?B?ANg=?=\r\nFrom: =?utf-8?B?7aCA?= <a@b.c>\r\n\r\n"),
    "bytes": b"Subject: \x00\x01\xed\xa0\x80\xff\r\nTo: \x00\x02\r\n\r\n\x00\xff\xfe\r\n",
    "utf-16": (
        b"Content-Type: text/html; charset=utf-16\r\nContent-Transfer-Encoding: base64\r\n\r\n"
        + base64.b64encode(b"\x00\xd8\x01\x00\xff\xff\xfe\xff" * 10)
        + b"\r\n"
    ),
    "names": (
        b'X-\x01\x02: \x03\r\nContent-Type: multipart/mixed; boundary="\x04"\r\n\r\n--\x04\r\n'
        b'Content-Disposition: attachment; filename="\x00../\x05\xff.txt"\r\n\r\nx\r\n--\x04--\r\n'
    ),
}


@pytest.mark.parametrize("kind", _STRANGE_MAILS)
def test_a_mail_of_any_characters_is_shown_as_xml_in_every_shape(siege: Besieged, kind: str) -> None:
    mime = _STRANGE_MAILS[kind]
    siege.sandbox.deliver(MAILBOX, mime)
    item_id = siege.sandbox.mails(MAILBOX)[-1]["item_id"]
    kept = siege.sandbox.mime(MAILBOX, item_id)
    assert as_given(kept) == mime

    for shape in ("IdOnly", "Default", "AllProperties"):
        for body_type in ("Text", "HTML", "Best"):
            answer = siege.ews.call(
                f"<m:GetItem><m:ItemShape><t:BaseShape>{shape}</t:BaseShape><t:IncludeMimeContent>true"
                f"</t:IncludeMimeContent><t:BodyType>{body_type}</t:BodyType><t:AdditionalProperties>"
                '<t:FieldURI FieldURI="item:InternetMessageHeaders"/><t:FieldURI FieldURI="item:Attachments"/>'
                '<t:ExtendedFieldURI PropertyTag="0x007D" PropertyType="String"/></t:AdditionalProperties>'
                "</m:ItemShape>"
                f'<m:ItemIds><t:ItemId Id="{item_id}"/></m:ItemIds></m:GetItem>'
            )
            assert base64.b64decode(answer.findtext(".//{*}MimeContent") or "") == kept


def test_texts_of_any_characters_come_back_as_they_were_put(siege: Besieged) -> None:
    for text in (_PLAIN, "\t\n", " x ", "a" * 1_000_000, "]]>", "&amp;", "<t:Subject>", "{guid}:x:001F", '"$."'):
        escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
        answer = siege.ews.call(
            '<m:CreateItem MessageDisposition="SaveOnly"><m:Items><t:Message><t:Body BodyType="Text">'
            f"{escaped}</t:Body><t:Categories><t:String>{escaped}</t:String></t:Categories></t:Message></m:Items></m:CreateItem>"
        )
        item_id = str(next(answer.iter(f"{TYPES}ItemId")).get("Id"))
        shown = siege.ews.call(
            "<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:BodyType>Text</t:BodyType><t:AdditionalProperties>"
            '<t:FieldURI FieldURI="item:Body"/><t:FieldURI FieldURI="item:Categories"/></t:AdditionalProperties>'
            f'</m:ItemShape><m:ItemIds><t:ItemId Id="{item_id}"/></m:ItemIds></m:GetItem>'
        )
        assert shown.findtext(".//{*}Categories/{*}String") == text


@pytest.mark.parametrize(
    "name", ["..", "../x", "a/b", "%2e%2e%2f", "\u202e", "\ufeff", " ", "x" * 100_000, "CON", "inbox"]
)
def test_a_folder_of_any_name_is_made_and_reached_by_its_id_or_refused(siege: Besieged, name: str) -> None:
    answer = siege.ews.call(
        '<m:CreateFolder><m:ParentFolderId><t:DistinguishedFolderId Id="archive"/></m:ParentFolderId><m:Folders>'
        f"<t:Folder><t:DisplayName>{name}</t:DisplayName></t:Folder></m:Folders></m:CreateFolder>"
    )

    code = answer.findtext(".//{*}ResponseCode")
    if code != "NoError":
        assert code == "ErrorFolderSave"
        return
    folder_id = str(next(answer.iter(f"{TYPES}FolderId")).get("Id"))
    assert folder_id in [folder["id"] for folder in siege.sandbox.folders(MAILBOX)]
    assert siege.sandbox.mails(MAILBOX, folder_id) == []
