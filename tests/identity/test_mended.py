"""A worker that cannot sign in says why, and goes on by itself once that is mended."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.identity.flow import flows
from tests.identity.steady import replace
from tests.support.app_certificate import AppCertificate
from tests.support.workers import until

if TYPE_CHECKING:
    from pathlib import Path

    from tests.identity.place import Place


def _mend_secret(place: Place) -> tuple[dict[str, object], Path, str | bytes]:
    app = place.app("mended-secret", place.mailbox("mended-secret"))
    file = place.file("mended-secret", "aB8~" + "x" * 36)
    return place.entra(app, client_secret_file=file), file, app["client_secret"]


def _mend_certificate(place: Place) -> tuple[dict[str, object], Path, str | bytes]:
    app, key = place.app("mended-pfx", place.mailbox("mended-pfx")), AppCertificate()
    place.register(app, key)
    file = place.file("mended-pfx", key.pfx("another"))
    entra = place.entra(app, certificate_file=file, certificate_passphrase="correct horse")
    return entra, file, key.pfx("correct horse")


@pytest.mark.parametrize(
    ("alias", "mend", "code"),
    [
        ("mended-secret", _mend_secret, "secret_wrong"),
        ("mended-pfx", _mend_certificate, "certificate_unusable"),
    ],
)
def test_a_worker_that_started_with_a_wrong_credential_goes_on_once_it_is_mended(
    place: Place, alias: str, mend: object, code: str
) -> None:
    assert callable(mend)
    address = f"{alias}@example.org"
    entra, file, right = mend(place)
    settings = place.config(alias, [{"alias": alias, "address": address}], entra=entra)
    with place.worker("run", settings) as worker:
        for part in ("entra", f"mailbox:{alias}:ingest", f"mailbox:{alias}:egress"):
            until(lambda part=part: worker.health().get(part, {}).get("code") == code, f"{part} to say {code}")  # type: ignore[misc]

        replace(file, right)
        mended = time.monotonic()
        until(worker.ready, "the worker to be ready", seconds=40)
        seconds = time.monotonic() - mended
        flows(place, worker, alias, address)

        print(f"{code}: ready {seconds:.1f} s after it was mended")
        assert worker.stop() == 0
    assert seconds < 25
