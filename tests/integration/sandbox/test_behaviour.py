"""Exchange's limits and moods, as clients see them over the wire, each switched by the admin API."""

from __future__ import annotations

import smtplib
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from lxml import etree

from tests.support.sandbox import AdminRefusedError, SandboxProcess
from tests.support.soap import MESSAGES, TYPES, EwsClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import requests

_DISPATCH, _CREW = "dispatch@example.org", "crew@example.org"
_MAIL = b"To: crew@example.org\r\nSubject: %d\r\n\r\nBody\r\n"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path_factory.mktemp("behaviour") / "sandbox", mailboxes=[_DISPATCH, _CREW]) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: SandboxProcess) -> Iterator[SandboxProcess]:
    """The sandbox, whose settings are as they were again afterwards."""
    before = running.admin("/settings")
    yield running
    none: dict[str, Any] = {_DISPATCH: {}, _CREW: {}}
    running.admin("/settings", method="PUT", body={**before, "mailboxes": none})
    running.faults()


@pytest.fixture
def ews(sandbox: SandboxProcess) -> EwsClient:
    return EwsClient(sandbox, _DISPATCH)


def _put(sandbox: SandboxProcess, **settings: Any) -> None:
    sandbox.admin("/settings", method="PUT", body=settings)


def _until(condition: Callable[[], bool], *, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def _fault(answer: requests.Response) -> str:
    assert answer.status_code == 500
    found = etree.fromstring(answer.content).find(
        ".//{http://schemas.microsoft.com/exchange/services/2006/errors}ResponseCode"
    )
    assert found is not None
    return str(found.text)


def _save(*mimes: bytes) -> str:
    return EwsClient.send(b"".join(mimes)).replace("SendAndSaveCopy", "SaveOnly").replace("sentitems", "drafts")


def test_every_setting_is_shown_and_documented(sandbox: SandboxProcess) -> None:
    page = (Path(__file__).parents[3] / "docs" / "sandbox.md").read_text()
    missing = [name for name in sandbox.admin("/settings") if f"`{name}`" not in page]

    assert missing == []


def test_settings_that_make_no_sense_are_refused_with_those_that_are_known(sandbox: SandboxProcess) -> None:
    bodies: tuple[dict[str, Any], ...] = (
        {"connection": 3},
        {"connections": 0},
        {"mailboxes": 3},
        {"mailboxes": {"nobody@example.org": {}}},
        {"mailboxes": {_DISPATCH: {"back_ends": 1}}},
        {"connections": 5, "token_lifetime_seconds": 0},
    )
    for body in bodies:
        before = sandbox.admin("/settings")
        with pytest.raises(AdminRefusedError):
            sandbox.admin("/settings", method="PUT", body=body)
        assert sandbox.admin("/settings") == before


def test_mail_over_the_rate_is_accepted_and_waits_in_order_over_a_kill(sandbox: SandboxProcess, ews: EwsClient) -> None:
    had = len(sandbox.mails(_CREW))
    _put(sandbox, sends_per_minute=3)
    codes = [ews.codes(ews.send(_MAIL % number)) for number in range(6)]
    assert codes == [["NoError"]] * 6
    _until(lambda: len(sandbox.mails(_CREW)) == had + 3)

    sandbox.restart()
    assert [mail["subject"] for mail in sandbox.mails(_DISPATCH, "outbox")] == ["3", "4", "5"]
    flags = EwsClient(sandbox, _DISPATCH).call(
        '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>'
        '<t:FieldURI FieldURI="item:IsSubmitted"/></t:AdditionalProperties></m:ItemShape><m:ParentFolderIds>'
        '<t:DistinguishedFolderId Id="outbox"/></m:ParentFolderIds></m:FindItem>'
    )
    assert [node.text for node in flags.iter(f"{TYPES}IsSubmitted")] == ["true"] * 3

    _put(sandbox, sends_per_minute=None)
    _until(lambda: len(sandbox.mails(_CREW)) == had + 6)
    assert [mail["subject"] for mail in sandbox.mails(_CREW)][had:] == ["0", "1", "2", "3", "4", "5"]
    assert sandbox.mails(_DISPATCH, "outbox") == []


def test_the_recipients_of_a_day_are_limited(sandbox: SandboxProcess, ews: EwsClient) -> None:
    used = sum(len(send["recipients"]) for send in sandbox.sends())
    _put(sandbox, recipients_per_day=used + 1)

    assert ews.codes(ews.send(_MAIL % 1)) == ["NoError"]
    before = len(sandbox.sends())
    assert ews.codes(ews.send(_MAIL % 2)) == ["ErrorSubmissionQuotaExceeded"]
    assert len(sandbox.sends()) == before


def test_a_late_copy_comes_when_its_time_has_come(sandbox: SandboxProcess, ews: EwsClient) -> None:
    copies, had = len(sandbox.mails(_DISPATCH, "sentitems")), len(sandbox.mails(_CREW))
    _put(sandbox, sends_per_minute=None, sent_copy_delay_seconds=1.0)
    ews.codes(ews.send(_MAIL % 1))
    _until(lambda: len(sandbox.mails(_CREW)) == had + 1)

    assert len(sandbox.mails(_DISPATCH, "sentitems")) == copies
    _until(lambda: len(sandbox.mails(_DISPATCH, "sentitems")) == copies + 1)


def test_an_item_or_a_request_that_is_too_big_is_refused(sandbox: SandboxProcess, ews: EwsClient) -> None:
    _put(sandbox, send_bytes=1000)
    drafts = len(sandbox.mails(_DISPATCH, "drafts"))

    assert ews.codes(_save(_MAIL % 1, b"x" * 1000)) == ["ErrorMessageSizeExceeded"]
    assert ews.codes(ews.send(_MAIL % 1 + b"x" * 1000)) == ["ErrorMessageSizeExceeded"]
    assert len(sandbox.mails(_DISPATCH, "drafts")) == drafts
    _put(sandbox, send_bytes=None, request_bytes=3000)
    assert ews.post(_save(b"x" * 3000)).status_code == 413


def test_the_mime_of_chosen_mails_cannot_be_had_also_after_a_restart(sandbox: SandboxProcess, ews: EwsClient) -> None:
    for subject in (b"fine", b"rights protected", b"chosen"):
        sandbox.deliver(_DISPATCH, b"Subject: " + subject + b"\r\n\r\nBody\r\n")
    ids = {mail["subject"]: mail["item_id"] for mail in sandbox.mails(_DISPATCH)}
    refused = {"item_ids": [ids["chosen"]], "subjects": ["^rights"]}
    _put(sandbox, conversion_refused=refused)
    sandbox.restart()

    ews = EwsClient(sandbox, _DISPATCH)
    body = ews.get(ids["fine"], ids["rights protected"], ids["chosen"])
    failed = "ErrorMimeContentConversionFailed"
    assert ews.codes(body) == ["NoError", failed, failed]
    assert ews.codes(body.replace("<t:IncludeMimeContent>true", "<t:IncludeMimeContent>false")) == ["NoError"] * 3


def test_a_full_mailbox_takes_nothing_and_gives_what_it_has(sandbox: SandboxProcess, ews: EwsClient) -> None:
    sandbox.deliver(_DISPATCH, b"Subject: x\r\n\r\nBody\r\n")
    (item, *_) = ews.find("inbox")
    _put(sandbox, mailboxes={_DISPATCH: {"mailbox_bytes": 0}})
    held = len(sandbox.mails(_DISPATCH))

    assert ews.codes(_save(_MAIL % 1)) == ["ErrorQuotaExceeded"]
    assert ews.codes(ews.send(_MAIL % 1)) == ["ErrorQuotaExceeded"]
    assert ews.codes(ews.get(item)) == ["NoError"]
    with pytest.raises(smtplib.SMTPResponseException) as refused:
        sandbox.deliver(_DISPATCH, b"Subject: y\r\n\r\nBody\r\n")
    assert (refused.value.smtp_code, refused.value.smtp_error[:5]) == (552, b"5.2.2")
    sandbox.deliver([_DISPATCH, _CREW], b"Subject: both\r\n\r\nBody\r\n", sender=_CREW)
    subjects = [mail["subject"] for mail in sandbox.mails(_CREW)][-2:]
    assert sorted(subjects) == ["Undeliverable: both", "both"]
    delete = f'<m:DeleteItem DeleteType="HardDelete"><m:ItemIds><t:ItemId Id="{item}"/></m:ItemIds></m:DeleteItem>'
    assert ews.codes(delete) == ["NoError"]
    assert len(sandbox.mails(_DISPATCH)) == held - 1


@pytest.mark.parametrize("answer", ["fault", "unavailable"])
def test_calls_at_once_are_limited_for_each_mailbox(sandbox: SandboxProcess, answer: str) -> None:
    _put(sandbox, connections=2, connections_answer=answer)
    latency = {"kind": "latency", "seconds": 1.0}
    sandbox.faults({"match": {"operation": "FindItem", "mailbox": _DISPATCH}, "fault": latency})
    clients = [EwsClient(sandbox, _DISPATCH) for _ in range(4)]
    body = clients[0].get("AAMk").partition("<m:ItemIds>")[0].replace("GetItem", 'FindItem Traversal="Shallow"')
    body = body.replace("<t:IncludeMimeContent>true</t:IncludeMimeContent>", "")
    body += '<m:ParentFolderIds><t:DistinguishedFolderId Id="inbox"/></m:ParentFolderIds></m:FindItem>'

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda client: client.post(body), clients))
    passed = [one for one in answers if one.status_code == 200]
    refused = [one for one in answers if one.status_code != 200]
    assert (len(passed), len(refused)) == (2, 2)
    if answer == "unavailable":
        assert {one.status_code for one in refused} == {503}
    else:
        assert {_fault(one) for one in refused} == {"ErrorExceededConnectionCount"}
        assert b'<t:Value Name="MaxConcurrencyLimit">2</t:Value>' in refused[0].content
    sandbox.faults()
    assert clients[0].post(body).status_code == 200


def test_pages_and_batches_have_their_limits(sandbox: SandboxProcess, ews: EwsClient) -> None:
    for number in range(3):
        sandbox.deliver(_DISPATCH, b"Subject: page %d\r\n\r\nBody\r\n" % number)
    _put(sandbox, find_items=2)
    page = ews.find("inbox")
    assert len(page) == 2

    _put(sandbox, batch_seconds=0)
    answer = ews.call(ews.get(*page))
    assert [node.text for node in answer.iter(f"{MESSAGES}ResponseCode")] == ["NoError", "ErrorBatchProcessingStopped"]
    classes = [node.get("ResponseClass") for node in answer.iter(f"{MESSAGES}GetItemResponseMessage")]
    assert classes == ["Success", "Warning"]


def test_a_mailbox_that_moves_cannot_be_opened_and_is_on_another_back_end_then(
    sandbox: SandboxProcess, ews: EwsClient
) -> None:
    ews.session.headers["X-PreferServerAffinity"] = "true"
    body = ews.get("AAMk")
    before = ews.post(body)
    assert "X-BackEndOverrideCookie" in before.headers["Set-Cookie"]

    subscribe = (
        '<m:Subscribe><m:PullSubscriptionRequest><t:FolderIds><t:DistinguishedFolderId Id="inbox"/></t:FolderIds>'
        "<t:EventTypes><t:EventType>NewMailEvent</t:EventType></t:EventTypes><t:Timeout>10</t:Timeout>"
        "</m:PullSubscriptionRequest></m:Subscribe>"
    )
    _put(sandbox, subscriptions=1)
    found = ews.call(subscribe)
    assert ews.codes(subscribe) == ["ErrorExceededSubscriptionCount"]
    subscription, mark = (found.findtext(f".//{MESSAGES}{name}") for name in ("SubscriptionId", "Watermark"))
    events = f"<m:GetEvents><m:SubscriptionId>{subscription}</m:SubscriptionId><m:Watermark>{mark}</m:Watermark>"
    events += "</m:GetEvents>"
    assert ews.codes(events) == ["NoError"]

    moved = sandbox.admin(f"/mailboxes/{_DISPATCH}/move", method="POST", body={"seconds": 0.5})
    assert ews.codes(body) == ["ErrorMailboxMoveInProgress"]
    _until(lambda: ews.codes(body) != ["ErrorMailboxMoveInProgress"])
    after = ews.post(body)

    assert (moved["subscriptions_lost"], ews.codes(events)) == (1, ["ErrorSubscriptionNotFound"])
    assert after.headers["X-BEServer"] == moved["back_end"] != before.headers["X-BEServer"]
    assert after.headers["X-CalculatedBETarget"].startswith(moved["back_end"])
    with pytest.raises(AdminRefusedError):
        sandbox.admin("/mailboxes/nobody@example.org/move", method="POST", body={})


def test_a_change_of_access_takes_its_time(sandbox: SandboxProcess) -> None:
    client_id = sandbox.info["client_id"]
    sandbox.admin(f"/apps/{client_id}", method="PUT", body={"roles": [], "mailboxes": [_DISPATCH]})
    try:
        ews = EwsClient(sandbox, _DISPATCH)
        body = ews.get("AAMk")
        assert ews.post(body).status_code == 200
        _put(sandbox, access_delay_seconds=1.0)
        sandbox.admin(f"/apps/{client_id}", method="PUT", body={"mailboxes": [_CREW]})

        assert ews.post(body).status_code == 200
        crew = EwsClient(sandbox, _CREW)
        assert _fault(crew.post(body)) == "ErrorImpersonateUserDenied"
        _until(lambda: crew.post(body).status_code == 200)
        assert _fault(ews.post(body)) == "ErrorImpersonateUserDenied"
    finally:
        _put(sandbox, access_delay_seconds=0)
        sandbox.admin(f"/apps/{client_id}", method="PUT", body={"roles": ["full_access_as_app"], "mailboxes": []})


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"ews_enabled": False}, "EWS is disabled for this user or tenant"),
        ({"mailboxes": {_DISPATCH: {"ews_enabled": False}}}, "EWS is disabled for this user or tenant"),
        ({"allowed_app_ids": []}, "EWS is blocked by policy for this user or tenant"),
        (
            {"user_agent_policy": "EnforceBlockList", "user_agents": ["python-requests/*"]},
            "EWS is blocked by policy for this user or tenant",
        ),
    ],
)
def test_a_policy_answers_403_and_says_which(
    sandbox: SandboxProcess, ews: EwsClient, settings: dict[str, Any], reason: str
) -> None:
    _put(sandbox, **settings)
    answer = ews.post(ews.get("AAMk"))

    assert (answer.status_code, answer.headers["X-EWS-Policy-Reason"]) == (403, reason)
    if "mailboxes" in settings:
        assert EwsClient(sandbox, _CREW).post(ews.get("AAMk")).status_code == 200


_COLOUR = (
    '<t:ExtendedFieldURI PropertySetId="9a7082fc-5226-4daa-8850-d6be4b5e8fd1" PropertyName="Colour" '
    'PropertyType="String"/>'
)


def _coloured(colour: str) -> str:
    return (
        '<m:CreateItem MessageDisposition="SaveOnly"><m:Items><t:Message><t:Subject>x</t:Subject>'
        f"<t:ExtendedProperty>{_COLOUR}<t:Value>{colour}</t:Value></t:ExtendedProperty></t:Message></m:Items>"
        "</m:CreateItem>"
    )


def _found(ews: EwsClient, colour: str) -> int:
    """Return how many drafts a search by the named property finds."""
    answer = ews.call(
        '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape><m:Restriction>'
        f'<t:IsEqualTo>{_COLOUR}<t:FieldURIOrConstant><t:Constant Value="{colour}"/></t:FieldURIOrConstant>'
        "</t:IsEqualTo>"
        '</m:Restriction><m:ParentFolderIds><t:DistinguishedFolderId Id="drafts"/></m:ParentFolderIds></m:FindItem>'
    )
    return len(list(answer.iter(f"{TYPES}ItemId")))


@pytest.mark.parametrize("indexed", [True, False])
def test_a_search_by_a_named_property_finds_the_same_with_an_index_and_without(
    sandbox: SandboxProcess, ews: EwsClient, *, indexed: bool
) -> None:
    _put(sandbox, named_properties_indexed=indexed)
    for colour in ("red", "green"):
        ews.call(_coloured(f"{colour}-{indexed}"))

    assert _found(ews, f"red-{indexed}") == 1


@pytest.mark.parametrize("indexed", [True, False])
def test_a_search_by_a_named_property_comes_late_and_what_asks_for_the_item_itself_does_not(
    sandbox: SandboxProcess, ews: EwsClient, *, indexed: bool
) -> None:
    _put(sandbox, named_properties_indexed=indexed)
    ews.call(_coloured(f"old-{indexed}"))
    _put(sandbox, search_delay_seconds=3600)
    answer = ews.call(_coloured(f"new-{indexed}"))
    item_id = str(next(answer.iter(f"{TYPES}ItemId")).get("Id"))

    assert (_found(ews, f"old-{indexed}"), _found(ews, f"new-{indexed}")) == (1, 0)
    assert item_id in ews.find("drafts")
    assert ews.codes(ews.get(item_id)) == ["NoError"]
    _put(sandbox, search_delay_seconds=0)
    assert _found(ews, f"new-{indexed}") == 1


def test_a_call_beyond_the_budget_is_refused_and_told_when_to_come_back(sandbox: SandboxProcess) -> None:
    crew = EwsClient(sandbox, _CREW)
    _put(sandbox, calls_per_minute=1, mailboxes={_CREW: {"calls_at_once": 3}})
    answers = [crew.post(crew.get("AAMk")) for _ in range(4)]

    assert [answer.status_code for answer in answers] == [200, 200, 200, 500]
    assert _fault(answers[3]) == "ErrorServerBusy"
    waits = etree.fromstring(answers[3].content).findall(f".//{TYPES}Value[@Name='BackOffMilliseconds']")
    assert 0 < int(waits[0].text or "") <= 60_000


def test_mail_that_smtp_accepted_survives_a_kill_before_it_is_delivered(sandbox: SandboxProcess) -> None:
    _put(sandbox, delivery_delay_seconds=1.0)
    had = len(sandbox.mails(_CREW))
    for number in range(5):
        sandbox.deliver(_CREW, b"Subject: late %d\r\n\r\nBody\r\n" % number)
    sandbox.restart()

    _until(lambda: len(sandbox.mails(_CREW)) == had + 5)
