"""
Each of Microsoft's clouds under its real names, behind a proxy: `cloud` alone sets where tokens, EWS and Graph are.

The proxy takes the place of the network: it brings the real host names to the sandbox, and nothing else anywhere.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.identity.clouds import HOSTS, cloud_of, ports_of
from tests.identity.flow import flows
from tests.support.connect_proxy import ConnectProxy

if TYPE_CHECKING:
    from tests.identity.place import Place


@pytest.mark.parametrize("cloud", HOSTS)
def test_a_cloud_by_its_name(place: Place, cloud: str) -> None:
    """Nothing but the four settings of the administrator, the name of the cloud, and the surroundings' proxy."""
    login, outlook, graph = HOSTS[cloud]
    address = place.mailbox(cloud)
    app = place.app(cloud, address)

    with ConnectProxy(ports_of(place, cloud)) as proxy:
        settings = place.config(
            cloud,
            [{"alias": cloud, "address": address}],
            entra=cloud_of(place, cloud, app),
            ews={"ca_file": place.sandbox.ca_file},
            environment={"HTTPS_PROXY": proxy.url},
        )
        with place.worker("run", settings) as worker:
            flows(place, worker, cloud, address)
            assert worker.stop() == 0
        asked = proxy.carried()

    assert {login, outlook} <= set(asked) <= {login, outlook, graph}
    tokens = place.sandbox.admin("/tokens")
    audiences = {token["audience"] for token in tokens if token["client_id"] == app["client_id"]}
    assert f"https://{outlook}" in audiences
