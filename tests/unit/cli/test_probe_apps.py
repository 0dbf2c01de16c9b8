"""The probe signs in with the mailbox's own app."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.cli.probe import _choose, _target
from bridge.config.settings import ExchangeSettings

_APP = {"tenant_id": "example.org", "client_id": "99999999-2222-3333-4444-555555555555", "client_secret": "s"}


def settings(entra: dict[str, Any]) -> ExchangeSettings:
    mailboxes = [{"alias": "a", "address": "a@example.org", "entra": "page"}]
    return ExchangeSettings.model_validate({"entra": entra, "mailboxes": mailboxes})


def test_a_mailbox_is_opened_by_its_own_app_in_its_own_cloud() -> None:
    configured = settings({"page": {**_APP, "cloud": "china"}})
    mailbox = _choose(configured, "a")
    assert mailbox is not None

    target = _target(configured, mailbox)

    assert target.tokens is not None
    assert target.login is None
    assert target.url == "https://partner.outlook.cn/EWS/Exchange.asmx"


def test_a_mailbox_without_an_app_is_refused_in_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert _choose(settings({"page": _APP}), "other@example.org") is None
    assert "no app" in capsys.readouterr().err
