"""Exchange and Entra have clocks of their own, which may be wrong."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

import jwt
import pytest
import requests

from tests.support.sandbox import AdminRefusedError, SandboxProcess
from tests.support.soap import TYPES, EwsClient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_DISPATCH = "dispatch@example.org"
_AHEAD = 7200


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path / "sandbox", mailboxes=[_DISPATCH]) as running:
        yield running


def _set(sandbox: SandboxProcess, **seconds: float) -> None:
    named = {f"{server}_clock_ahead_seconds": value for server, value in seconds.items()}
    sandbox.admin("/settings", method="PUT", body=named)


def _ahead(moment: datetime) -> float:
    return (moment - datetime.now(UTC)).total_seconds()


def _times(ews: EwsClient) -> list[datetime]:
    """Return when the inbox's mails were received, and made."""
    asked = "".join(
        f'<t:FieldURI FieldURI="item:{name}"/>' for name in ("DateTimeReceived", "DateTimeCreated", "LastModifiedTime")
    )
    answer = ews.call(
        '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>'
        f"{asked}</t:AdditionalProperties></m:ItemShape>"
        '<m:ParentFolderIds><t:DistinguishedFolderId Id="inbox"/></m:ParentFolderIds></m:FindItem>'
    )
    names = ("DateTimeReceived", "DateTimeCreated", "LastModifiedTime")
    return [datetime.fromisoformat(str(node.text)) for name in names for node in answer.iter(TYPES + name)]


def test_exchanges_clock_is_in_its_answers_and_on_its_mails_also_after_a_kill(sandbox: SandboxProcess) -> None:
    _set(sandbox, exchange=_AHEAD, entra=_AHEAD)
    sandbox.deliver(_DISPATCH, b"Subject: x\r\n\r\n")
    sandbox.restart()
    ews = EwsClient(sandbox, _DISPATCH)

    times = _times(ews)
    date = parsedate_to_datetime(ews.post(ews.get("AAMk")).headers["Date"])

    assert len(times) == 3
    assert [_ahead(one) for one in (*times, date)] == pytest.approx([_AHEAD] * 4, abs=30)


def test_entras_clock_is_in_its_answers_and_its_tokens(sandbox: SandboxProcess) -> None:
    _set(sandbox, entra=-_AHEAD)
    info = sandbox.info
    form = {
        "grant_type": "client_credentials",
        "client_id": info["client_id"],
        "client_secret": info["client_secret"],
        "scope": "https://outlook.office365.com/.default",
    }
    answer = requests.post(f"{info['authority_url']}/oauth2/v2.0/token", data=form, verify=info["ca_file"], timeout=10)

    claims = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})

    now = datetime.now(UTC).timestamp()
    assert [claims["iat"] - now, claims["nbf"] - now] == pytest.approx([-_AHEAD] * 2, abs=30)
    assert claims["exp"] - claims["iat"] == answer.json()["expires_in"]
    assert _ahead(parsedate_to_datetime(answer.headers["Date"])) == pytest.approx(-_AHEAD, abs=30)


@pytest.mark.parametrize("ahead", [_AHEAD, -_AHEAD])
def test_exchange_takes_no_token_that_is_not_valid_by_its_own_clock(sandbox: SandboxProcess, ahead: int) -> None:
    """One that is not valid yet, and one that has ended before it was issued."""
    _set(sandbox, entra=ahead)
    ews = EwsClient(sandbox, _DISPATCH)

    refused = ews.post(ews.get("AAMk"))
    _set(sandbox, exchange=ahead)

    assert refused.status_code == 401
    assert ews.post(ews.get("AAMk")).status_code == 200


def test_the_date_of_single_answers_is_wrong_by_rule(sandbox: SandboxProcess) -> None:
    """As behind a proxy that writes its own: the mails have Exchange's time."""
    _set(sandbox, exchange=600)
    sandbox.deliver(_DISPATCH, b"Subject: x\r\n\r\n")
    ews = EwsClient(sandbox, _DISPATCH)
    sandbox.faults({"match": {"operation": "GetItem", "nth": 1}, "fault": {"kind": "wrong_date", "seconds": -_AHEAD}})

    dates = [parsedate_to_datetime(ews.post(ews.get("AAMk")).headers["Date"]) for _ in range(2)]

    assert [_ahead(date) for date in dates] == pytest.approx([600 - _AHEAD, 600], abs=30)
    assert _ahead(_times(ews)[0]) == pytest.approx(600, abs=30)


@pytest.mark.parametrize("value", [None, "1", True, timedelta(days=3651).total_seconds()])
def test_a_senseless_time_is_refused(sandbox: SandboxProcess, value: object) -> None:
    with pytest.raises(AdminRefusedError) as refused:
        sandbox.admin("/settings", method="PUT", body={"exchange_clock_ahead_seconds": value})

    assert refused.value.answer["key"] == "exchange_clock_ahead_seconds"
