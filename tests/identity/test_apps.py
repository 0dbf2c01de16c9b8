"""Several apps in one worker: each mailbox by its own, and the trouble of one is not that of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.identity.flow import Traffic, flows
from tests.support.workers import until

if TYPE_CHECKING:
    from tests.identity.place import Place, Table


def _two(place: Place) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
    """Return the settings of a worker with two mailboxes, each of which only its own app may open; and the apps."""
    desk, crew = place.app("desk", place.mailbox("desk")), place.app("crew", place.mailbox("crew"))
    entra: Table = {
        **place.entra(desk, client_secret=desk["client_secret"]),
        "crew": place.entra(crew, client_secret_file=place.file("crew", crew["client_secret"])),
    }
    mailboxes: list[Table] = [
        {"alias": "desk", "address": "desk@example.org"},
        {"alias": "crew", "address": "crew@example.org", "entra": "crew"},
    ]
    return place.config("apps", mailboxes, entra=entra), desk, crew


def test_each_mailbox_is_opened_by_its_own_app(place: Place) -> None:
    settings, desk, crew = _two(place)

    with place.worker("run", settings) as worker:
        for alias in ("desk", "crew"):
            flows(place, worker, alias, f"{alias}@example.org")
        assert worker.stop() == 0

    asking = {token["client_id"] for token in place.sandbox.admin("/tokens")}
    assert {desk["client_id"], crew["client_id"]} <= asking


def test_the_end_of_one_app_stops_no_mail_of_another(place: Place) -> None:
    settings, _, crew = _two(place)

    with place.worker("run", settings) as worker, Traffic(place, "desk", "desk@example.org") as traffic:

        def crew_is(status: str) -> bool:
            return bool(worker.health()["mailbox:crew:ingest"]["status"] == status)

        until(lambda: crew_is("ok"), "the other mailbox to be read")
        place.sandbox.admin(f"/apps/{crew['client_id']}", method="DELETE")
        until(
            lambda: worker.health()["mailbox:crew:ingest"]["status"] == "trouble", "the other mailbox to be in trouble"
        )
        traffic.go_on(3)
        figures = traffic.settle()

    print(figures)
    assert not figures.late
