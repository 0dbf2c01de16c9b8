"""What becomes of mail while Entra is away, refuses, or is asked by many."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.identity.steady import replace, steady
from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.identity.place import Place
    from tests.support.workers import Worker

_AWAY = {"name": "away", "match": {"service": "entra"}, "fault": {"kind": "unavailable", "status": 503}}


def _without_entra(failed: Mapping[str, float]) -> dict[str, float]:
    """Return the calls to Exchange that failed; those to Entra are what the test is about."""
    return {name: count for name, count in failed.items() if name not in {"token", "discovery", "instance"}}


def test_nobody_notices_that_entra_is_away_for_less_than_a_token_lives(place: Place, steady_seconds: float) -> None:
    app = place.app("shortly", place.mailbox("shortly"))
    entra = place.entra(app, client_secret=app["client_secret"])

    with steady(place, steady_seconds, "shortly", entra, token_seconds=40) as state:
        place.sandbox.add_fault(_AWAY)
        state.traffic.go_on(8)
        place.sandbox.remove_fault("away")
        state.traffic.go_on(steady_seconds)
        failed = _without_entra(state.failed())
        figures = state.traffic.settle()

    print(f"Entra away for 8 s, tokens of 40 s: {figures}; failed calls {failed or 0}")
    assert not failed
    assert not figures.late


def test_mail_waits_while_entra_is_away_for_longer_than_a_token_lives(place: Place, steady_seconds: float) -> None:
    """It stops, and says why; nothing is lost; it resumes within seconds."""
    app = place.app("long", place.mailbox("long"))
    entra = place.entra(app, client_secret=app["client_secret"])

    # A token's last second is Exchange's and Entra's to share: long enough for the bridge to leave it out.
    with steady(place, steady_seconds, "long", entra, token_seconds=22) as state:
        place.sandbox.add_fault(_AWAY)
        ingest, egress = state.workers
        _says(ingest, "mailbox:long:ingest", "token_unavailable", seconds=40)
        _says(egress, "mailbox:long:egress", "token_unavailable", seconds=40)
        state.traffic.go_on(3)
        waiting = state.traffic.under_way()
        place.sandbox.remove_fault("away")
        returned = time.monotonic()
        until(lambda: bool(waiting - state.traffic.under_way()), "the first of those that wait", seconds=70)
        resumed = time.monotonic() - returned
        until(lambda: not waiting & state.traffic.under_way(), "all of those that wait", seconds=70)
        caught_up = time.monotonic() - returned
        figures = state.traffic.settle()

    print(
        f"Entra away for longer than tokens live: {len(waiting)} waited, the first came {resumed:.1f} s after Entra, "
        f"the last {caught_up:.1f} s; {figures}"
    )
    assert waiting
    assert resumed < 10
    assert caught_up < 20


def test_a_wrong_new_secret_is_told_and_the_old_one_goes_on(place: Place, steady_seconds: float) -> None:
    app = place.app("wrong", place.mailbox("wrong"))
    file = place.file("secret", app["client_secret"])

    with steady(place, steady_seconds, "wrong", place.entra(app, client_secret_file=file)) as state:
        replace(file, "abc8Q~" + "x" * 34)
        for worker in state.workers:
            _says(worker, "entra", "secret_wrong", seconds=15)
        state.tokens_renewed()
        failed = _without_entra(state.failed())
        figures = state.traffic.settle()

    print(f"a wrong secret in the file: {figures}; failed calls {failed or 0}")
    assert not failed
    assert not figures.late


def test_a_revoked_secret_shows_while_the_last_token_lives(place: Place, steady_seconds: float) -> None:
    app = place.app("revoked", place.mailbox("revoked"))
    entra = place.entra(app, client_secret=app["client_secret"], credential_probe_seconds=2)

    with steady(place, steady_seconds, "revoked", entra, token_seconds=3600) as state:
        for secret_id in place.secret_ids(app):
            place.sandbox.admin(f"/apps/{app['client_id']}/secrets/{secret_id}?remove=1", method="DELETE")
        revoked = time.monotonic()
        for worker in state.workers:
            _says(worker, "entra", "secret_wrong", seconds=15)
        seconds = time.monotonic() - revoked
        state.traffic.go_on(steady_seconds)
        failed = _without_entra(state.failed())
        figures = state.traffic.settle()

    print(f"a revoked secret showed after {seconds:.1f} s: {figures}; failed calls {failed or 0}")
    assert not failed
    assert not figures.late


def _says(worker: Worker, part: str, code: str, *, seconds: float) -> None:
    """Return once a part of /health has this code."""
    until(lambda: worker.health().get(part, {}).get("code") == code, f"{part} to say {code}", seconds=seconds)
