"""SIGHUP under steady traffic: a secret in the configuration itself is renewed, and what needs a restart is told."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

from tests.identity.steady import replace, steady
from tests.support.workers import until

if TYPE_CHECKING:
    from tests.identity.place import Place


def test_a_secret_in_the_configuration_is_renewed_by_sighup(place: Place, steady_seconds: float) -> None:
    app = place.app("reload", place.mailbox("reload"))
    file = place.directory / "reload.toml"

    with steady(place, steady_seconds, "reload", place.entra(app, client_secret=app["client_secret"])) as state:
        old = place.secret_ids(app)
        new = place.sandbox.admin(f"/apps/{app['client_id']}/secrets", method="POST", body={})
        replace(
            file, file.read_text().replace(app["client_secret"], new["client_secret"]) + "\n[egress]\nledger_days = 3\n"
        )
        for worker in state.workers:
            os.kill(worker.pid, signal.SIGHUP)
        state.asked_anew()
        for secret_id in old:
            place.sandbox.admin(f"/apps/{app['client_id']}/secrets/{secret_id}", method="DELETE")
        state.tokens_renewed()
        for worker in state.workers:
            told = [line for line in worker.log_lines() if line.get("event") == "configuration.reloaded"]
            assert [(line["changed"], line["needs_restart"]) for line in told] == [
                (["entra.client_secret"], ["egress.ledger_days"])
            ]
        state.well("secret in the configuration replaced, SIGHUP, the old one revoked")


def test_a_configuration_that_is_wrong_at_sighup_changes_nothing(place: Place, steady_seconds: float) -> None:
    app = place.app("slip", place.mailbox("slip"))
    file = place.directory / "slip.toml"

    with steady(place, steady_seconds, "slip", place.entra(app, client_secret=app["client_secret"])) as state:
        replace(file, file.read_text().replace("[entra]", "[entrra]"))
        for worker in state.workers:
            os.kill(worker.pid, signal.SIGHUP)
        for worker in state.workers:
            until(
                lambda worker=worker: any(  # type: ignore[misc]
                    line.get("event") == "configuration.reload_refused" for line in worker.log_lines()
                ),
                "the worker to refuse the configuration",
                seconds=15,
            )
        state.tokens_renewed()
        state.well("a wrong configuration at SIGHUP")
