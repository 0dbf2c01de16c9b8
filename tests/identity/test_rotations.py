"""Credentials are renewed while mail flows: no call fails, and no mail is late by more than two seconds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.identity.clouds import HOSTS, cloud_of, ports_of
from tests.identity.steady import TOKEN_SECONDS, steady
from tests.support.app_certificate import AppCertificate
from tests.support.connect_proxy import ConnectProxy

if TYPE_CHECKING:
    from pathlib import Path

    from tests.identity.place import Place


def test_a_secret_is_replaced_and_the_old_one_revoked(place: Place, steady_seconds: float) -> None:
    """Mounted by Kubernetes; Entra does not even know the old one any more, as when it was deleted in the portal."""
    app = place.app("secret", place.mailbox("secret"))
    volume = _Volume(place.directory / "secret-volume")
    volume.put(app["client_secret"])

    with steady(place, steady_seconds, "secret", place.entra(app, client_secret_file=volume.file)) as state:
        old = place.secret_ids(app)
        new = place.sandbox.admin(f"/apps/{app['client_id']}/secrets", method="POST", body={})
        volume.put(new["client_secret"])
        state.asked_anew()
        for secret_id in old:
            place.sandbox.admin(f"/apps/{app['client_id']}/secrets/{secret_id}?remove=1", method="DELETE")
        state.tokens_renewed()
        state.well("secret replaced, the old one revoked")


def test_a_second_secret_beside_the_first_takes_over(place: Place, steady_seconds: float) -> None:
    """The second is put in place before anything happens to the first; then the first one ends."""
    app = place.app("next", place.mailbox("next"))
    new = place.sandbox.admin(f"/apps/{app['client_id']}/secrets", method="POST", body={})
    entra = place.entra(
        app,
        client_secret_file=place.file("first", app["client_secret"]),
        client_secret_next_file=place.file("second", new["client_secret"]),
    )

    with steady(place, steady_seconds, "next", entra) as state:
        for secret_id in place.secret_ids(app):
            if secret_id != new["secret_id"]:
                place.sandbox.admin(f"/apps/{app['client_id']}/secrets/{secret_id}", method="DELETE")
        state.tokens_renewed()
        failed = state.failed()
        # Entra's refusals of the first are how it is known to have ended; no call to Exchange may feel them.
        refused = failed.pop("token", 0)
        figures = state.traffic.settle()

    print(f"the second secret takes over: {figures}; Entra refused the first {refused:.0f} times; failed {failed or 0}")
    assert not failed
    assert not figures.late


def test_a_certificate_is_replaced_and_the_old_one_removed(place: Place, steady_seconds: float) -> None:
    app, old, new = place.app("certificate", place.mailbox("certificate")), AppCertificate(), AppCertificate()
    place.register(app, old)
    volume = _Volume(place.directory / "certificate-volume")
    volume.put(old.pem + old.key_pem())

    with steady(place, steady_seconds, "certificate", place.entra(app, certificate_file=volume.file)) as state:
        place.register(app, new)
        volume.put(new.pem + new.key_pem())
        state.asked_anew()
        place.unregister(app, old)
        state.tokens_renewed()
        state.well("certificate replaced, the old one removed")


def test_a_federated_token_is_renewed_as_kubernetes_does(place: Place, steady_seconds: float) -> None:
    """The kubelet puts a new directory beside the old one and swaps the link `..data`; tokens end soon after that."""
    app, subject = place.app("workload", place.mailbox("workload")), "system:serviceaccount:mail:bridge"
    place.trust(app, subject)
    volume = _Volume(place.directory / "volume")
    volume.put(place.workload_token(subject, lifetime=TOKEN_SECONDS))

    with steady(place, steady_seconds, "workload", place.entra(app, federated_token_file=volume.file)) as state:
        for _ in range(3):
            volume.put(place.workload_token(subject, lifetime=TOKEN_SECONDS))
            state.traffic.go_on(TOKEN_SECONDS / 2)
        state.well("federated token renewed three times by a swap of links")


def test_the_authority_of_the_servers_certificates_is_replaced(own_place: Place, steady_seconds: float) -> None:
    """
    A CA bundle with both, then the new certificates, then the bundle without the old one.

    Connections that are open would never notice: the proxy in between counts those that are made anew.
    """
    place = own_place
    address = place.mailbox("authority")
    app = place.app("authority", address)
    with ConnectProxy(ports_of(place, "global")) as proxy:
        place.environment["HTTPS_PROXY"] = proxy.url
        entra = cloud_of(place, "global", app)

        with steady(place, steady_seconds, "authority", entra, ews={"ca_file": place.sandbox.ca_file}) as state:
            place.sandbox.admin("/issue", method="POST", body={"what": "ca"})
            state.traffic.go_on(2)
            place.sandbox.admin("/issue", method="POST", body={"what": "certificate"})
            state.tokens_renewed()
            before = proxy.carried()
            place.sandbox.admin("/expire", method="POST", body={"what": "ca"})
            state.tokens_renewed()
            after = proxy.carried()
            state.well("authority of the servers' certificates replaced")

    assert all(after[host] - before[host] >= len(state.workers) for host in HOSTS["global"][:2]), (before, after)


class _Volume:
    """A projected volume of Kubernetes with one file in it."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self._directory = directory
        self.file = directory / "token"
        self.file.symlink_to("..data/token")

    def put(self, content: str) -> None:
        """Have the file hold this from one moment to the next, and remove what it was."""
        before = (self._directory / "..data").resolve()
        new = self._directory / f"..{time.time_ns()}"
        new.mkdir()
        (new / "token").write_text(content)
        (self._directory / "..data_tmp").symlink_to(new.name)
        (self._directory / "..data_tmp").replace(self._directory / "..data")
        if before.name.startswith("..") and before != self._directory / "..data":
            (before / "token").unlink()
            before.rmdir()
