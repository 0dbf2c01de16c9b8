"""What the sandbox takes and answers is what the official schema allows, three forms of `as_the_schema_says` apart."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from lxml import etree

from bridge.sandbox.ews.recording import Recorder
from bridge.sandbox.ews.soapfaults import schema_fault, soap_fault
from tests.schema.official import as_the_schema_says, invalid_answers, is_valid, wrong_requests

_CHECKOUT = Path(__file__).parents[2]
_RECORD = "BRIDGE_SANDBOX_RECORD"


@pytest.mark.timeout(450)
def test_every_answer_of_the_ews_tests_validates(tmp_path: Path) -> None:
    """The tests of the operations run once more with every body kept; three forms are put right first."""
    environment = {**os.environ, _RECORD: str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    environment = {name: value for name, value in environment.items() if not name.startswith("PYTEST_XDIST_")}
    # Three quarters of their time is waiting for streams.
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-n", "4", "-p", "no:cacheprovider", "tests/unit/sandbox/ews"],
        cwd=_CHECKOUT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    operations = {path.name.split("-")[3].split(".")[0] for path in tmp_path.rglob("*.response.xml")}

    assert ran.returncode == 0, ran.stdout[-3000:]
    assert invalid_answers(tmp_path) == []
    assert wrong_requests(tmp_path) == []
    assert operations >= {
        "ConvertId", "CopyItem", "CreateAttachment", "CreateFolder", "CreateItem", "DeleteAttachment", "DeleteFolder",
        "DeleteItem", "EmptyFolder", "FindFolder", "FindItem", "GetAttachment", "GetFolder", "GetItem",
        "GetServerTimeZones", "MoveItem", "ResolveNames", "SendItem", "UpdateFolder", "UpdateItem",
    }  # fmt: skip


def test_what_other_runs_kept_validates() -> None:
    """A run of other suites with BRIDGE_SANDBOX_RECORD set leaves its requests and answers there to be checked."""
    named = os.environ.get(_RECORD)
    folder = Path(named) if named else Path("/nonexistent")

    assert invalid_answers(folder) == []
    assert wrong_requests(folder) == []


_NAMESPACES = (
    'xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages" '
    'xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"'
)


def _response(operation: str, inner: str) -> etree._Element:
    return etree.fromstring(
        f"<m:{operation}Response {_NAMESPACES}><m:ResponseMessages><m:{operation}ResponseMessage "
        f'ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode>{inner}</m:{operation}ResponseMessage>'
        f"</m:ResponseMessages></m:{operation}Response>"
    )


_EVENT = "<t:StatusEvent><t:Watermark>w</t:Watermark></t:StatusEvent>"
_TOLD = f"<{{0}}:Notification><t:SubscriptionId>s</t:SubscriptionId>{_EVENT}</{{0}}:Notification>"
_ZONE = (
    '<m:TimeZoneDefinitions><t:TimeZoneDefinition Id="UTC" Name="UTC">{}</t:TimeZoneDefinition></m:TimeZoneDefinitions>'
)


@pytest.mark.parametrize(
    ("operation", "inner"),
    [
        ("GetStreamingEvents", f"<m:Notifications>{_TOLD.format('m')}</m:Notifications>"),
        (
            "GetStreamingEvents",
            "<m:ErrorSubscriptionIds><m:SubscriptionId>s</m:SubscriptionId></m:ErrorSubscriptionIds>",
        ),
        ("GetServerTimeZones", _ZONE.format("<t:Periods/><t:TransitionsGroups/>")),
    ],
)
def test_the_three_forms_that_exchange_uses_against_its_schema_are_put_right(operation: str, inner: str) -> None:
    answer = _response(operation, inner)
    as_it_is = is_valid(answer)

    assert (as_it_is, is_valid(as_the_schema_says(answer))) == (False, True)


@pytest.mark.parametrize(
    ("operation", "inner"),
    [
        ("GetEvents", "<m:Notification><m:SubscriptionId>s</m:SubscriptionId></m:Notification>"),
        ("GetEvents", f"<m:Notifications>{_TOLD.format('m')}</m:Notifications>"),
        ("Subscribe", "<m:ErrorSubscriptionIds><m:SubscriptionId>s</m:SubscriptionId></m:ErrorSubscriptionIds>"),
        ("GetServerTimeZones", _ZONE.format("<t:Periods/>")),
    ],
)
def test_no_other_form_is_put_right(operation: str, inner: str) -> None:
    """What looks like one of them elsewhere stays what the schema refuses."""
    answer = _response(operation, inner)
    before = etree.tostring(answer)

    assert etree.tostring(as_the_schema_says(answer)) == before
    assert not is_valid(answer)


_ENVELOPE = (
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages" '
    'xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"><s:Header><t:RequestServerVersion '
    'Version="{version}"/></s:Header><s:Body>{body}</s:Body></s:Envelope>'
)
_RIGHT = "<m:GetEvents><m:SubscriptionId>a</m:SubscriptionId><m:Watermark>b</m:Watermark></m:GetEvents>"
_WRONG = "<m:GetEvents><m:SubscriptionId>a</m:SubscriptionId></m:GetEvents>"
_REFUSED = schema_fault("it is wrong", 1, 1)
_TAKEN = _ENVELOPE.format(version="Exchange2016", body="").encode()
_OTHER_FAULT = soap_fault("ErrorServerBusy", "Later.")


@pytest.mark.parametrize(
    ("body", "version", "answer", "agree"),
    [
        (_RIGHT, "Exchange2016", (200, _TAKEN), True),
        (_RIGHT, "V2018_01_08", (200, _TAKEN), True),
        (_RIGHT, "Exchange2016", (500, _OTHER_FAULT), True),
        (_RIGHT, "Exchange2016", None, True),
        (_RIGHT, "Exchange2016", (500, _REFUSED), False),
        (_RIGHT, "Exchange2016", (400, b""), False),
        (_WRONG, "Exchange2016", (500, _REFUSED), True),
        (_WRONG, "Exchange2016", (200, _TAKEN), False),
        (_WRONG, "V2018_01_08", (200, _TAKEN), False),
        (_WRONG, "Exchange2016", (500, _OTHER_FAULT), False),
        (_WRONG, "Exchange2016", None, False),
        (f"{_RIGHT}{_RIGHT}", "Exchange2016", (400, b""), True),
        ("<m:NoSuchThing/>", "Exchange2016", (500, soap_fault("ErrorInvalidRequest", "No.")), True),
        ("&", "Exchange2016", (500, _REFUSED), True),
        ("&", "Exchange2016", (200, _TAKEN), False),
    ],
)
def test_a_request_about_which_sandbox_and_schema_disagree_is_found(
    tmp_path: Path, body: str, version: str, answer: tuple[int, bytes] | None, agree: bool
) -> None:
    kept = Recorder(tmp_path).request("GetEvents", _ENVELOPE.format(version=version, body=body).encode())
    if answer is not None:
        kept.answer(*answer)

    assert (wrong_requests(tmp_path) == []) == agree


def test_what_two_services_of_a_process_keep_lies_side_by_side(tmp_path: Path) -> None:
    for _ in range(2):
        Recorder(tmp_path).request("GetEvents", b"<a/>").answer(200, b"<b/>")

    assert len(list(tmp_path.iterdir())) == 4
