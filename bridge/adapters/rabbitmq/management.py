"""What only RabbitMQ's management API tells: policies, bindings, whether a user may administer. Nothing is written."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote, urlsplit

import requests

from bridge.adapters.http_body import read_body
from bridge.adapters.http_deadline import DeadlineAdapter, until
from bridge.adapters.network_failures import network_failure
from bridge.adapters.web_page import PAGE, web_page
from bridge.errors import BrokerAccessRefused, BrokerUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.adapters.rabbitmq.settings import RabbitSettings
    from bridge.wire.topology import Binding

_LARGEST_ANSWER_BYTES: Final = 8 << 20
_SECONDS: Final = 15.0
_HARMLESS: Final = frozenset({
    "federation-upstream",
    "federation-upstream-set",
    "initial-cluster-size",
    "queue-leader-locator",
    "target-group-size",
})  # fmt: skip
"""What policies may set without that anything comes or goes otherwise."""


@dataclass(frozen=True, slots=True)
class Override:
    """A policy that changes what a queue or amqp_exchange was declared with."""

    kind: str
    name: str
    policy: str
    settings: Sequence[str]


class RabbitManagement:
    """The management API at one address, with the login of the first url."""

    def __init__(self, settings: RabbitSettings, url: str) -> None:
        self._base = url.rstrip("/")
        self._settings = settings
        self._url = urlsplit(settings.urls[0])

    def tags(self) -> list[str]:
        """
        Return the user's tags; `administrator` may do everything.

        Raises:
            BrokerUnavailable: No usable answer.
            BrokerAccessRefused: The user may not use the API.
        """
        told = self._get("/api/whoami")
        tags = told.get("tags") if isinstance(told, dict) else None
        if isinstance(tags, str):  # as releases before 3.9 wrote them
            tags = tags.split(",")
        return [str(tag) for tag in tags] if isinstance(tags, list) else []

    def overrides(self, queues: Sequence[str], amqp_exchanges: Sequence[str]) -> list[Override]:
        """
        Return the policies that change something of these. Raises as `tags` does.

        What a declaration and a policy both set is the lower number or the declaration's; what a policy alone sets
        counts, and that is told here.
        """
        return [
            *self._of("queues", "queue", set(queues)),
            *self._of("exchanges", "amqp_exchange", set(amqp_exchanges)),
        ]

    def unbound(self, bindings: Sequence[Binding]) -> list[Binding]:
        """Return those of these bindings that are not there. Raises as `tags` does."""
        there = {
            (str(one.get("source")), str(one.get("destination")), str(one.get("routing_key")))
            for one in self._listed(f"/api/bindings/{self._vhost}")
            if one.get("destination_type") == "queue"
        }
        return [one for one in bindings if (one.amqp_exchange, one.queue, one.routing_key) not in there]

    def is_bound(self, amqp_exchange: str) -> bool:
        """Return whether anything takes what is published to it. Raises as `tags` does."""
        return any(one.get("source") == amqp_exchange for one in self._listed(f"/api/bindings/{self._vhost}"))

    @property
    def _vhost(self) -> str:
        return quote(unquote(self._url.path[1:]) or "/", safe="")

    def _of(self, path: str, kind: str, names: set[str]) -> Iterator[Override]:
        # Which policy it is shows at once without statistics; what the policy sets, within seconds, with them.
        definitions = {
            str(one.get("name")): one.get("effective_policy_definition")
            for one in self._listed(f"/api/{path}/{self._vhost}")
        }
        for one in self._listed(f"/api/{path}/{self._vhost}?disable_stats=true"):
            name, policy = str(one.get("name")), one.get("policy") or one.get("operator_policy")
            if name not in names or not policy:
                continue
            definition = definitions.get(name)
            keys = sorted(map(str, definition)) if isinstance(definition, dict) else []
            changed = [key for key in keys if key not in _HARMLESS]
            if changed or not keys:
                yield Override(kind, name, str(policy), changed)

    def _listed(self, path: str) -> list[dict[str, Any]]:
        told = self._get(path)
        return [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []

    def _get(self, path: str) -> Any:  # noqa: ANN401 - JSON
        with requests.Session() as session, until(time.monotonic() + _SECONDS) as deadline:
            for scheme in ("https://", "http://"):
                session.mount(scheme, _Adapter(self._settings))
            try:
                response = session.get(
                    self._base + path,
                    headers=self._login(session),
                    timeout=_SECONDS,
                    stream=True,
                    allow_redirects=False,
                )
                read_body(response, deadline=deadline, largest_bytes=_LARGEST_ANSWER_BYTES)
                if response.status_code not in {401, 403} and (page := web_page(response)) is not None:
                    raise BrokerUnavailable(f"the management API is not at its address ({page})", code=PAGE)
                told = response.json()
            except (OSError, ValueError, RecursionError) as error:
                failure = network_failure(error)
                raise BrokerUnavailable(
                    f"the management API gives no usable answer ({type(error).__name__})",
                    code=failure.code if failure is not None else None,
                ) from error
        if response.status_code in {401, 403}:
            raise BrokerAccessRefused(f"the management API refuses this user (HTTP {response.status_code})")
        if response.status_code != 200:
            raise BrokerUnavailable(f"the management API answers HTTP {response.status_code}")
        return told

    def _login(self, session: requests.Session) -> dict[str, str]:
        if self._settings.tokens is not None:
            return {"Authorization": f"Bearer {self._settings.tokens.token().value}"}
        session.auth = (unquote(self._url.username or "guest"), unquote(self._url.password or "guest"))
        return {}


class _Adapter(DeadlineAdapter):
    """Verification by the configured CA only; the environment cannot override it."""

    def __init__(self, settings: RabbitSettings) -> None:
        self._verify: str | bool = str(settings.ca_file) if settings.ca_file is not None else True
        super().__init__(max_retries=0)

    def send(self, request: requests.PreparedRequest, *_: Any, **kwargs: Any) -> requests.Response:
        return super().send(request, **{**kwargs, "verify": self._verify})
