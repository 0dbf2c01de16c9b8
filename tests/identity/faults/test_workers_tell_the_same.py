"""A worker that meets what check finds says the same, pauses that mailbox alone, and goes on by itself."""

from __future__ import annotations

import json
import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from bridge.config import load
from bridge.errors import ConfigurationError
from bridge.wire.topology import RETRY_STEPS
from tests.identity.faults.checking import findings
from tests.identity.faults.ground import MAILBOX
from tests.identity.faults.plant import IN_THE_LOG, IN_USE, NO_START, SAME, only_check
from tests.identity.faults.plants import PLANTS
from tests.support.workers import Worker, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bridge.doctor.findings import Finding
    from tests.identity.faults.ground import Ground
    from tests.identity.faults.plant import Plant

_ALIASES = {
    "well": "ok",
    "switched-off": "ews_disabled",
    "out-of-scope": "impersonation_denied",
    "nobody": "mailbox_not_found",
    "unlisted": "ews_blocked",
    "no-role": "app_without_role",
    "expired": "secret_expired",
}
"""What is wrong with each mailbox."""
_OWN_APP = ("unlisted", "no-role", "expired")


def _address(alias: str) -> str:
    return f"{alias}@example.org"


class Troubled:
    """A configuration of several mailboxes, one of them well."""

    def __init__(self, ground: Ground) -> None:
        self.ground, self.sandbox = ground, ground.sandbox
        self.apps: dict[str, dict[str, Any]] = {}
        for alias in _ALIASES:
            if alias != "nobody":
                self.sandbox.add_mailbox(_address(alias))
        shared = [_address(alias) for alias in _ALIASES if alias not in {*_OWN_APP, "out-of-scope"}]
        self.apps["shared"] = self._app(shared)
        for alias in _OWN_APP:
            self.apps[alias] = self._app([] if alias == "no-role" else [_address(alias)])
        self._expire(time.time() - 60)
        others = [app["client_id"] for alias, app in self.apps.items() if alias != "unlisted"]
        mailboxes = {_address("switched-off"): {"ews_enabled": False}}
        self._settings({"allowed_app_ids": others, "mailboxes": mailboxes})

    def mend(self) -> None:
        """Take away everything that is wrong."""
        self._settings({"allowed_app_ids": None, "mailboxes": {_address("switched-off"): {}}})
        scope = [_address(alias) for alias in _ALIASES if alias not in _OWN_APP]
        self._assign("shared", scope)
        self._assign("no-role", [_address("no-role")])
        self._expire(time.time() + 86_400 * 365)
        self.sandbox.add_mailbox(_address("nobody"))

    def configuration(self, directory: Path) -> Path:
        """Return a file with all of it."""
        info = self.sandbox.info
        tables = []
        for alias, app in self.apps.items():
            tables.append(
                f"[entra.{alias}]\ntenant_id = {json.dumps(info['tenant_id'])}\n"
                f"client_id = {json.dumps(app['client_id'])}\nclient_secret = {json.dumps(app['client_secret'])}\n"
                f"authority_url = {json.dumps(info['authority_url'])}\nca_file = {json.dumps(self.sandbox.ca_file)}\n"
            )
        tables.append(f"[ews]\nurl = {json.dumps(info['ews_url'])}\nca_file = {json.dumps(self.sandbox.ca_file)}\n")
        for alias in _ALIASES:
            name = alias if alias in _OWN_APP else "shared"
            tables.append(
                f'[[mailboxes]]\nalias = "{alias}"\naddress = "{_address(alias)}"\nentra = "{name}"\nsend = false\n'
            )
        tables.append(f"[rabbitmq]\nurls = [{json.dumps(self.ground.amqp('bridge-run'))}]\n")
        tables.append("[ingest]\npoll_interval_seconds = 0.2\n")
        path = directory / "troubled.toml"
        path.touch(mode=0o600)
        path.write_text("\n".join(tables))
        return path

    def _app(self, addresses: list[str]) -> dict[str, Any]:
        body = {"name": "troubled", "roles": [], "mailboxes": addresses}
        made: dict[str, Any] = self.sandbox.admin("/apps", method="POST", body=body)
        return made

    def _assign(self, alias: str, addresses: list[str]) -> None:
        self.sandbox.admin(f"/apps/{self.apps[alias]['client_id']}", method="PATCH", body={"mailboxes": addresses})

    def _expire(self, moment: float) -> None:
        app = self.apps["expired"]
        where = f"/apps/{app['client_id']}/secrets/{app['secret_id']}"
        self.sandbox.admin(where, method="PATCH", body={"expires_at": moment})

    def _settings(self, changes: dict[str, object]) -> None:
        self.sandbox.admin("/settings", method="PUT", body=changes)


def _accused(found: list[Finding], alias: str) -> Finding | None:
    """Return what check finds wrong with a mailbox, or with the app that only this mailbox uses."""
    own = (f"mailbox {alias}", f"entra {alias}")
    return next((one for one in found if one.state == "failed" and one.step.startswith(own)), None)


@pytest.mark.timeout(240)
def test_a_worker_tells_what_check_finds_pauses_that_mailbox_alone_and_recovers(ground: Ground, tmp_path: Path) -> None:
    troubled = Troubled(ground)
    config = troubled.configuration(tmp_path)

    found = findings({}, config=config, role="ingest")
    with Worker("ingest", {"BRIDGE_CONFIG": str(config)}, tmp_path / "worker.log") as worker:

        def parts() -> dict[str, dict[str, Any]]:
            return {alias: worker.health()[f"mailbox:{alias}:ingest"] for alias in _ALIASES}

        until(lambda: all(part["status"] != "starting" for part in parts().values()), "all mailboxes to report")
        until(lambda: {alias: part["code"] for alias, part in parts().items()} == _ALIASES, f"the codes; {parts()}")
        told = parts()
        troubled.mend()
        until(lambda: all(part["code"] == "ok" for part in parts().values()), "recovery", seconds=120)

    for alias, code in _ALIASES.items():
        finding = _accused(found, alias)
        if code == "ok":
            assert finding is None
            continue
        assert finding is not None, alias
        client_id = troubled.apps[alias if alias in _OWN_APP else "shared"]["client_id"]
        hint = str(told[alias]["hint"]).replace("<client_id>", client_id)
        assert (finding.code, finding.means, finding.fix) == (code, told[alias]["reason"], hint)


_MET_AT_THE_START = (
    "Entra's host name cannot be resolved",
    "entra.ca_file is another CA's",
    "entra.tenant_id is of no tenant",
    "entra.client_id is of no app",
    "entra.tenant_id and entra.client_id are swapped",
    "the client secret is cut off",
    "the certificate is not registered with the app",
    "the federated token is of another service account",
    "nothing listens at the port of EWS",
    "ews.ca_file is another CA's",
    "the EWS host shows a certificate for another name",
    "the password of an account on Exchange Server is wrong",
    "a watched folder does not exist",
    "nothing listens at the broker's port",
    "rabbitmq.ca_file is another CA's",
    "the broker's password is wrong",
    "the virtual host does not exist",
    "the user may not enter the virtual host",
    "no right to publish mails",
    "nothing is declared in the virtual host",
    "this machine's clock is an hour behind",
    "mail waits in the junk folder",
    "mail lies in Bridge Parked",
    "the folder of after_publish does not exist",
    "the mailbox is full",
    "the mailbox is nearly full",
    "a queue is a classic one",
    "mails wait, and nobody consumes them",
    "a request that failed for good waits",
    "the broker's memory alarm is on",
    "the blob store's directory is missing",
    "the client secret expires in five days, by the configuration",
)


@pytest.mark.parametrize("planted", _MET_AT_THE_START)
def test_a_worker_tells_of_a_planted_fault_what_check_tells(ground: Ground, planted: str, tmp_path: Path) -> None:
    [plant] = [one for one in PLANTS if one.planted == planted]

    with plant.plant(ground) as variables:
        whole = {key: value for key, value in {**ground.environment, **variables}.items() if value is not None}
        finding = next(one for one in findings(whole) if one.state == plant.state)
        with Worker("run", whole, tmp_path / "worker.log") as worker:

            def told() -> dict[str, tuple[str, str]]:
                return {part["code"]: (part["reason"], part["hint"]) for part in worker.health().values()}

            until(lambda: plant.code in told(), f"{plant.code}; the worker says {told()}", seconds=45)
            reason, hint = told()[plant.code]
            running = worker.running

    assert running
    assert (finding.code, finding.means) == (plant.code, reason)
    assert finding.fix == hint.replace("<client_id>", str(whole.get("BRIDGE_ENTRA__CLIENT_ID")))


@contextmanager
def _traffic(ground: Ground) -> Iterator[None]:
    """A mail that waits, and a request; both are gone in the end, and so is the ledger."""
    ground.deliver()
    ground.request()
    try:
        yield
    finally:
        for folder in ("inbox", "drafts"):
            ground.empty(folder)
        ground.purge("mail.inbound", "mail.events", "mail.outbound.dispatch", "mail.dead")
        ground.purge(*(step.amqp_exchange for step in RETRY_STEPS))
        ground.forget_sends()


_MET_ELSEWHERE = {
    "no right to publish mails",  # above
    "no right to put requests off",  # only a request that was begun is put off
}
_MOVES = {"BRIDGE_MAILBOXES__0__AFTER_PUBLISH": "move:drafts", "BRIDGE_INGEST__KEEP_SECONDS": "1"}
_MET_IN_USE = {
    "the folder of after_publish does not exist": {},
    "no right to make a draft": {},
    "no right to read a mail": {},
    "no right to make a folder": {},
    "no right to move a mail": _MOVES,
    "as many recipients as a day may have were written to": {},
    "no right to publish events": {},
    "no queue is bound to mail.inbound": {},
}


_MENDED_WITHOUT_A_RESTART = {
    "no right to make a draft",
    "no right to read a mail",
    "no right to make a folder",
    "no right to move a mail",
}


@pytest.mark.timeout(300)
@pytest.mark.parametrize("planted", _MET_IN_USE)
def test_a_worker_tells_of_what_its_work_meets_and_goes_on_once_it_is_mended(
    ground: Ground, planted: str, tmp_path: Path
) -> None:
    """The others are mended in its configuration, or in that of its user at the broker."""
    [plant] = [one for one in PLANTS if one.planted == planted]
    ground.forget_sends()

    with _traffic(ground), ExitStack() as stack, ExitStack() as planting:
        variables = planting.enter_context(plant.plant(ground))
        more = {
            **ground.environment,
            **variables,
            **_MET_IN_USE[planted],
            "BRIDGE_INGEST__POLL_INTERVAL_SECONDS": "0.2",
        }
        whole = {key: value for key, value in more.items() if value is not None}
        finding = next(one for one in findings(whole) if one.code == plant.code)
        worker = stack.enter_context(Worker("run", whole, tmp_path / "worker.log"))

        def told() -> dict[str, tuple[str, str]]:
            return {part["code"]: (part["reason"], part["hint"]) for part in worker.health().values()}

        until(lambda: plant.code in told(), f"{plant.code}; the worker says {told()}", seconds=45)
        reason, hint = told()[plant.code]
        if planted in _MENDED_WITHOUT_A_RESTART:
            planting.close()
            until(lambda: not ground.sandbox.mails(MAILBOX), "the mail to leave the inbox", seconds=90)
            until(lambda: set(told()) == {"ok"}, f"recovery; the worker says {told()}", seconds=90)
        assert worker.running

    assert (finding.code, finding.means) == (plant.code, reason)
    assert finding.fix == hint.replace("<client_id>", str(whole.get("BRIDGE_ENTRA__CLIENT_ID")))


@pytest.mark.parametrize("plant", [one for one in PLANTS if one.worker == NO_START], ids=lambda plant: plant.name)
def test_a_worker_does_not_start_with_what_check_finds_in_its_configuration(ground: Ground, plant: Plant) -> None:
    with plant.plant(ground) as variables:
        whole = {key: value for key, value in {**ground.environment, **variables}.items() if value is not None}
        told = [one for one in findings(whole) if one.step == "configuration" and one.state == "failed"]
        with pytest.raises(ConfigurationError) as refused:
            load(None, whole)

    assert told
    assert [one.fix for one in told if one.fix not in refused.value.detail] == []


def test_each_fault_that_no_worker_tells_has_its_reason() -> None:
    allowed = {SAME, IN_USE, IN_THE_LOG, NO_START}
    others = [one for one in PLANTS if one.worker not in allowed]

    assert others
    assert [one.planted for one in others if not one.worker.startswith(only_check(""))] == []
    assert {one.planted for one in others}.isdisjoint({*_MET_AT_THE_START, *_MET_IN_USE})
    assert set(_MET_IN_USE) >= {one.planted for one in PLANTS if one.worker == IN_USE} - _MET_ELSEWHERE
