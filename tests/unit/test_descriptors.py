"""A process that may open no file and no connection says so, whoever meets it first."""

from __future__ import annotations

import errno
import socket
import ssl
from typing import TYPE_CHECKING

import pika.exceptions
import pytest
import requests

from bridge.adapters.blobs import file_errors
from bridge.adapters.entra.credential_store import CredentialStore
from bridge.adapters.entra.credentials import SecretSource
from bridge.adapters.network_failures import network_failure
from bridge.adapters.rabbitmq.errors import translate
from bridge.adapters.rabbitmq.tls import tls_context
from bridge.adapters.spool import no_room
from bridge.errors import BlobStoreUnavailable, BridgeError, BrokerUnavailable, TokenUnavailable
from bridge.telemetry import descriptors
from bridge.telemetry.health import Health

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_NONE = [OSError(errno.EMFILE, "Too many open files"), OSError(errno.ENFILE, "Too many open files in system")]


def _wrapped(error: OSError) -> requests.ConnectionError:
    outer = requests.ConnectionError("failed")
    outer.__cause__ = error
    return outer


@pytest.mark.parametrize("error", _NONE)
@pytest.mark.parametrize(
    ("meaning", "kind"),
    [
        (file_errors.meaning_of, BlobStoreUnavailable),
        (file_errors.refusal_of, BlobStoreUnavailable),
        (no_room, BlobStoreUnavailable),
        (lambda error: translate(pika.exceptions.AMQPConnectionError(error)), BrokerUnavailable),
    ],
    ids=["blobs", "blob names", "spool", "broker"],
)
def test_it_is_no_fault_of_a_store_a_directory_or_a_broker(
    meaning: Callable[[OSError], BridgeError], kind: type[BridgeError], error: OSError
) -> None:
    found = meaning(error)

    assert (type(found), found.code) == (kind, "descriptors_exhausted")


@pytest.mark.parametrize("error", _NONE)
def test_it_is_no_fault_of_the_network(error: OSError) -> None:
    found = network_failure(_wrapped(error))

    assert found is not None
    assert found.code == "descriptors_exhausted"


def test_a_name_that_cannot_be_resolved_for_want_of_descriptors_is_told_as_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    unresolved = _wrapped(socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"))
    assert getattr(network_failure(unresolved), "code", "") == "name_unresolved"

    monkeypatch.setattr("os.open", _raises(_NONE[0]))

    assert getattr(network_failure(unresolved), "code", "") == "descriptors_exhausted"


def test_it_is_no_fault_of_a_certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "ca.pem"
    file.write_text("")
    monkeypatch.setattr("pathlib.Path.open", _raises(_NONE[0]))
    with pytest.raises(BrokerUnavailable) as raised:
        tls_context(ca_file=file)
    assert raised.value.code == "descriptors_exhausted"
    monkeypatch.undo()

    monkeypatch.setattr(ssl, "create_default_context", _raises(_NONE[0]))
    with pytest.raises(BrokerUnavailable):
        tls_context(ca_file=file)


def test_a_secret_is_as_good_as_before_while_no_file_can_be_opened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    file.write_text("first")
    slots = CredentialStore([_source(file)])
    monkeypatch.setattr("pathlib.Path.read_bytes", _raises(_NONE[0]))

    for moment in range(60):
        assert not slots.all[0].look(float(moment))

    assert slots.all[0].trouble is None
    assert slots.all[0].loaded is not None
    assert slots.all[0].loaded.secret == "first"


def test_a_worker_that_starts_without_descriptors_says_so_and_reads_its_secret_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    file.write_text("first")
    monkeypatch.setattr("pathlib.Path.read_bytes", _raises(_NONE[0]))
    slots = CredentialStore([_source(file)])
    with pytest.raises(TokenUnavailable) as raised:
        slots.order()
    assert raised.value.code == "descriptors_exhausted"

    monkeypatch.undo()

    [(_, credential)] = slots.order()
    assert credential.secret == "first"


def test_health_shows_it_with_what_to_do_and_forgets_it_when_it_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    health = Health()
    monkeypatch.setattr("os.open", _raises(_NONE[0]))
    descriptors.show(health)
    [part] = health.report()
    assert (part.part, part.code) == ("process:descriptors", "descriptors_exhausted")
    assert "LimitNOFILE" in part.hint
    monkeypatch.undo()

    descriptors.show(health)

    assert list(health.report()) == []


def _source(file: Path) -> SecretSource:
    return SecretSource(None, file, expires_at=None)


def _raises(error: Exception) -> Callable[..., object]:
    def raising(*_: object, **__: object) -> object:
        raise error

    return raising
