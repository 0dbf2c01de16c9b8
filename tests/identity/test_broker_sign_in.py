"""Signing in at the broker by certificate or by tokens of Entra: mail both ways, and nobody notices a renewal."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from bridge.wire.rights import ROLES, scopes
from tests.identity.flow import Traffic, flows
from tests.identity.place import Place
from tests.support.certificates import TestAuthority
from tests.support.rights import make_vhosts
from tests.support.secured_broker import SecuredBroker
from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.sandbox import SandboxProcess

_RESOURCE = "api://rabbitmq"
_LIFE_SECONDS = 20


@dataclass
class Site:
    """A place whose broker takes certificates and tokens of the sandbox's Entra, with a virtual host of its own."""

    place: Place
    broker: SecuredBroker
    vhost: str
    alias: str

    @property
    def address(self) -> str:
        """The test's mailbox."""
        return f"{self.alias}@example.org"

    def environment(self, **settings: str) -> dict[str, str]:
        """Return how a worker or a command reaches the broker by its TLS listener."""
        given = {"CA_FILE": str(self.broker.authority.file), "URLS": self.broker.url(self.vhost), **settings}
        return {f"BRIDGE_RABBITMQ__{key}": value for key, value in given.items()}

    def scopes(self, user: str) -> list[str]:
        """Return the rights of a user as roles in Entra."""
        [role] = [role for role in ROLES if role.user == user]
        return scopes(role, vhost=self.vhost, prefix="bridge.")

    def settings(self, **settings: str) -> dict[str, str]:
        """Return the environment of a worker for one mailbox; the topology is there."""
        address = self.place.mailbox(self.alias)
        app = self.place.app(self.alias, address, roles=self.scopes("bridge-run"))
        whole = self.place.config(
            "desk",
            [{"alias": self.alias, "address": address}],
            entra=self.place.entra(app, client_secret=app["client_secret"]),
        )
        return whole | self.environment(**settings)


@pytest.fixture(scope="module")
def broker(sandbox: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """A node that asks the sandbox's Entra for its keys, by its issuer."""
    directory = tmp_path_factory.mktemp("broker")
    issuer = f"{sandbox.info['authority_url']}/v2.0"
    instead = {"auth_oauth2.issuer": issuer, "auth_oauth2.https.cacertfile": str(sandbox.ca_file)}
    authority = TestAuthority(directory)
    with SecuredBroker.prepared(directory / "node", authority, "external", "oauth", instead=instead) as broker:
        yield broker


@pytest.fixture
def site(tmp_path: Path, sandbox: SandboxProcess, broker: SecuredBroker) -> Iterator[Site]:
    """A virtual host for this test, and the broker as a resource in Entra with the roles for it."""
    own = uuid.uuid4().hex[:8]
    make_vhosts(broker.node, [f"v{own}"])
    site = Site(Place(tmp_path, sandbox, broker.node.vhost_url(f"v{own}")), broker, f"v{own}", f"desk-{own}")
    roles = sorted({scope for role in ROLES for scope in site.scopes(role.user)})
    resource = sandbox.admin("/resources", method="POST", body={"app_id_uri": _RESOURCE, "app_roles": roles})
    yield site
    sandbox.admin("/settings", method="PUT", body={"token_lifetime_seconds": 3600})
    sandbox.faults()
    sandbox.admin(f"/resources/{resource['client_id']}", method="DELETE")


def _by_token(site: Site) -> dict[str, str]:
    return site.settings(AUTH="oauth", OAUTH_SCOPE=f"{_RESOURCE}/.default")


def _by_certificate(site: Site, **more: str) -> dict[str, str]:
    file = site.broker.authority.issue("bridge-run")
    return site.settings(AUTH="external", CLIENT_CERTIFICATE_FILE=str(file), **more)


def test_mail_flows_by_tokens_over_several_of_their_lives_and_no_connection_is_made_anew(site: Site) -> None:
    settings = {**_by_token(site), "BRIDGE_LOG__LEVEL": "debug"}
    site.place.sandbox.admin("/settings", method="PUT", body={"token_lifetime_seconds": _LIFE_SECONDS})

    with site.place.worker("run", settings) as worker:
        with Traffic(site.place, site.alias, site.address) as traffic:
            traffic.go_on(2.5 * _LIFE_SECONDS)
            figures = traffic.settle()
        renewed = {role: worker.metric("bridge_broker_token_renewals_total", role=role, outcome="ok") for role in _BOTH}
        connects = {role: worker.metric("bridge_broker_connects_total", role=role, outcome="ok") for role in _BOTH}
        lost, lines = worker.told("broker.connection_lost"), json.dumps(worker.log_lines())
        assert worker.stop() == 0

    print(f"{figures}; tokens of {_LIFE_SECONDS} s, renewed {renewed}")
    assert not figures.late
    assert min(renewed.values()) >= 3
    assert set(connects.values()) == {1}
    assert lost == []
    assert "broker.token_renewed" in lines
    assert "eyJ" not in lines  # how every token begins


_BOTH = ("publish", "consume")


def test_entra_away_for_longer_than_a_token_lives_stops_mail_and_loses_none(site: Site) -> None:
    """The connections are left before their tokens end, and made anew within seconds of Entra's return."""
    settings = _by_token(site)
    site.place.sandbox.admin("/settings", method="PUT", body={"token_lifetime_seconds": _LIFE_SECONDS})

    with site.place.worker("run", settings) as worker:
        with Traffic(site.place, site.alias, site.address) as traffic:
            site.place.sandbox.faults({"match": {"operation": "token"}, "fault": {"kind": "unavailable"}})
            entra = {"token_unavailable", "entra_unavailable"}
            until(lambda: worker.health()["broker:publish"]["code"] in entra, "the broker to be left", seconds=60)
            traffic.go_on(3)
            site.place.sandbox.faults()
            returned = time.monotonic()
            until(worker.ready, "the worker to be ready again")
            back = time.monotonic() - returned
            figures = traffic.settle(seconds=60)
        assert worker.stop() == 0

    print(f"{figures}; ready {back:.1f} s after Entra's return")
    assert back < 10


def test_mail_flows_by_certificate_and_a_renewed_one_is_shown_by_the_next_connection(site: Site) -> None:
    """No password anywhere; the old certificate is replaced under steady traffic, then all connections are cut."""
    settings = _by_certificate(site)

    with site.place.worker("run", settings) as worker:
        with Traffic(site.place, site.alias, site.address) as traffic:
            before = worker.metric("bridge_broker_connects_total", role="publish", outcome="ok")
            site.broker.authority.issue("bridge-run")
            traffic.go_on(1)
            site.broker.node.ctl("close_all_user_connections", "bridge-run", "renewed")
            until(
                lambda: worker.metric("bridge_broker_connects_total", role="publish", outcome="ok") > before,
                "a new connection",
            )
            traffic.go_on(1)
            figures = traffic.settle()
        assert worker.stop() == 0

    print(figures)


def test_a_worker_by_itself_has_only_the_roles_that_it_needs(site: Site) -> None:
    """Two apps for two workers, each with the scopes of its user: mail flows, and a missing one is told by name."""
    settings = _by_token(site)
    address = site.address
    for user, command in (("bridge-ingest", "ingest"), ("bridge-egress", "egress")):
        app = site.place.app(command, address, roles=site.scopes(user))
        own = {"BRIDGE_ENTRA__CLIENT_ID": app["client_id"], "BRIDGE_ENTRA__CLIENT_SECRET": app["client_secret"]}
        settings[command] = json.dumps(own)
    ingest, egress = ({**settings, **json.loads(settings.pop(command))} for command in ("ingest", "egress"))

    with site.place.worker("ingest", ingest) as reader, site.place.worker("egress", egress):
        flows(site.place, reader, site.alias, address)
    with site.place.worker("egress", ingest) as wrong:
        until(lambda: "broker_right_missing" in _troubles(wrong), "the missing right to be told")


def _troubles(worker: Any) -> set[str]:  # noqa: ANN401 - a worker of either kind
    return {part["code"] for part in worker.health().values() if part["status"] == "trouble"}


@pytest.mark.parametrize("way", ["oauth", "external"])
def test_commands_sign_in_the_same_way(site: Site, way: str) -> None:
    """`topology`, `send` and `tail`: with the rights of their users."""
    whole = site.settings()

    def environment(user: str) -> dict[str, str]:
        if way == "external":
            file = site.broker.authority.issue(user)
            return whole | site.environment(AUTH="external", CLIENT_CERTIFICATE_FILE=str(file))
        app = site.place.app(user, roles=site.scopes(user))
        own = {"BRIDGE_ENTRA__CLIENT_ID": app["client_id"], "BRIDGE_ENTRA__CLIENT_SECRET": app["client_secret"]}
        return whole | own | site.environment(AUTH="oauth", OAUTH_SCOPE=f"{_RESOURCE}/.default")

    cad, operator = environment("bridge-cad"), environment("bridge-operator")
    shown = site.place.bridge("topology", "show", environment=operator)
    applied = site.place.bridge("topology", "apply", environment=operator)
    sent = site.place.bridge("send", site.alias, "--to", "crew@elsewhere.example", "--text", "x", environment=cad)
    heard = site.place.bridge("tail", "--limit", "1", "--timeout", "0.5", environment=cad)
    checked = site.place.bridge("check", "--json", environment=environment("bridge-run"))
    refused = site.place.bridge("topology", "apply", environment=cad)

    assert (shown.returncode, applied.returncode, sent.returncode) == (0, 0, 0), shown.stderr + sent.stderr
    assert heard.returncode == 4, heard.stderr
    told = {one["step"]: one for one in json.loads(checked.stdout)["findings"] if one["step"].startswith("rabbitmq")}
    assert told
    assert {step: one["code"] for step, one in told.items() if one["state"] == "failed"} == {}
    if way == "external":  # the test's authority gives a day
        assert told["rabbitmq certificate"]["code"] == "broker_certificate_expires_soon"
    assert refused.returncode == 3
    assert "topology_right_missing" in refused.stderr
