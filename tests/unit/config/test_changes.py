"""What a running worker takes up of a configuration that has changed."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.config import Settings
from bridge.config.changes import Changes, changes

_APP = {"tenant_id": "example.org", "client_id": "99999999-2222-3333-4444-555555555555", "client_secret": "s"}


def settings(**sections: Any) -> Settings:
    tree = {
        "entra": {**_APP, "page": _APP},
        "mailboxes": [{"alias": "a", "address": "a@example.org"}, {"alias": "b", "address": "b@example.org"}],
        "rabbitmq": {"urls": ["amqp://broker"]},
    }
    return Settings.model_validate({**tree, **sections})


def test_nothing_changed() -> None:
    assert changes(settings(), settings()) == Changes((), ())


@pytest.mark.parametrize(
    ("section", "value", "key"),
    [
        ("entra", {**_APP, "client_secret": "t", "page": _APP}, "entra.client_secret"),
        ("entra", {**_APP, "page": {**_APP, "client_secret": "t"}}, "entra.page.client_secret"),
        ("entra", {**_APP, "client_secret_next": "t", "page": _APP}, "entra.client_secret_next"),
        ("entra", {**_APP, "client_secret_expires_at": "2027-05-31", "page": _APP}, "entra.client_secret_expires_at"),
        ("entra", {**_APP, "credential_probe_seconds": 60, "page": _APP}, "entra.credential_probe_seconds"),
        ("log", {"level": "debug"}, "log.level"),
    ],
)
def test_what_can_change_at_run_time_is_taken_up(section: str, value: dict[str, Any], key: str) -> None:
    assert changes(settings(), settings(**{section: value})) == Changes((key,), ())


@pytest.mark.parametrize(
    ("section", "value", "key"),
    [
        ("entra", {**_APP, "cloud": "china", "page": _APP}, "entra.cloud"),
        ("entra", {**_APP, "tenant_id": "example.com", "page": _APP}, "entra.tenant_id"),
        ("rabbitmq", {"urls": ["amqp://other"]}, "rabbitmq.urls"),
        ("http", {"listen": "127.0.0.1:1"}, "http.listen"),
        ("mailboxes", [{"alias": "a", "address": "a@example.org"}], "mailboxes"),
    ],
)
def test_what_cannot_is_told(section: str, value: object, key: str) -> None:
    found = changes(settings(), settings(**{section: value}))

    assert key in found.needs_restart
    assert key not in found.applied


def test_a_rate_may_change_as_long_as_there_is_one() -> None:
    def rated(rate: object) -> Settings:
        return settings(mailboxes=[{"alias": "a", "address": "a@example.org", "send_rate_per_minute": rate}])

    key = ("mailboxes[0].send_rate_per_minute",)

    assert changes(rated(30), rated(20)) == Changes(key, ())
    assert changes(rated(30), rated("unlimited")) == Changes((), key)


def test_no_value_is_told() -> None:
    found = changes(settings(), settings(entra={**_APP, "client_secret": "mArKeR", "page": _APP}))

    assert "mArKeR" not in repr(found)
