"""The broker: where it is, how the bridge signs in, and what is declared on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, field_validator, model_validator

from bridge.config import rules
from bridge.config.entra import DEFAULT_APP, EntraAppSettings, EntraSettings
from bridge.config.section import OptionalSecret, Seconds, Secret, Section

if TYPE_CHECKING:
    from collections.abc import Iterator

_WITH_TLS = "write amqps://, with the port of the broker's TLS listener (5671)"


class RabbitMqSettings(Section):
    """The broker."""

    urls: Annotated[tuple[Secret, ...], BeforeValidator(rules.listed)]
    """`amqp://` or `amqps://user:password@host:port/vhost`: one, or the nodes of a cluster, tried in turn."""
    urls_file: Path | None = None
    """A file that holds the urls, one a line. Read anew for each connection: a new password needs no restart."""
    ca_file: Path | None = None
    """PEM file with the CA certificates to trust for `amqps://`, instead of the system's."""
    auth: Literal["password", "external", "oauth"] = "password"
    """How the bridge signs in: `password` by user and password in the urls, `external` by the client certificate
    (RabbitMQ's plugin rabbitmq_auth_mechanism_ssl), `oauth` by a token of Entra (rabbitmq_auth_backend_oauth2)."""
    client_certificate_file: Path | None = None
    """PEM file with a client certificate, for brokers that ask for one; its private key may be in it. Read anew for
    each connection."""
    client_key_file: Path | None = None
    """PEM file with the certificate's private key, where it is not in `client_certificate_file`."""
    client_key_passphrase: OptionalSecret = None
    """The passphrase of that key, where it is encrypted."""
    client_key_passphrase_file: Path | None = None
    """A file that holds the passphrase; read anew for each connection."""
    entra: str | None = None
    """With `auth = "oauth"`: the app that signs in, `<name>` of a table `[entra.<name>]`. `[entra]` itself unless
    given."""
    oauth_scope: str | None = None
    """With `auth = "oauth"`: the scope to ask a token for, the application ID URI that the broker is registered under
    and `/.default`, such as `api://rabbitmq/.default`."""
    management_url: str | None = None
    """Where RabbitMQ's management API is, such as `https://broker.example.org:15671`. For `bridge check` alone, which
    learns there of bindings and of policies over the queues; the user needs the tag `management` for it, and workers
    need neither."""
    heartbeat_seconds: int = Field(default=10, ge=1, le=300)
    """A connection that is silent for about three of these is given up; short means a fast hand-over."""
    connect_timeout_seconds: Seconds = 10
    """Longest wait for a connection to one node; then the next one is tried."""
    confirm_timeout_seconds: Seconds = 30
    """Longest wait for a publisher confirm. A quorum queue without its majority never answers."""
    largest_body_bytes: int = Field(default=16 * 1024 * 1024, ge=1024, le=512 * 1024 * 1024)
    """The broker's own `max_message_size`; a larger body would close the channel."""
    default_queue: bool = True
    """Whether `bridge topology apply` makes the queue `mail.inbound` that takes every mail."""
    inbound_delivery_limit: int = Field(default=100, ge=1, le=1_000_000)
    """How often a mail comes back from consumers before it goes to `mail.inbound.dead`; prefetched counts as well."""
    outbound_delivery_limit: int = Field(default=1000, ge=100, le=1_000_000)
    """Far above what the bridge needs: it ends a request itself, long before."""
    consumer_timeout_seconds: int = Field(default=1800, ge=60, le=30 * 86_400)
    """How long a consumer may hold a delivery unsettled before the broker takes it back."""
    events_kept_seconds: int = Field(default=7 * 86_400, ge=60, le=365 * 86_400)
    """How long an event waits for a reader in the queue `mail.events`."""
    events_kept_bytes: int = Field(default=256 * 1024 * 1024, ge=1024 * 1024, le=1024**4)
    """How much the unread events may take; the oldest go first."""

    _urls = field_validator("urls")(rules.amqp_urls)
    _scope = field_validator("oauth_scope")(rules.scope)
    _management = field_validator("management_url")(rules.management_url)

    @model_validator(mode="after")
    def _signs_in_one_way(self) -> Self:
        if problems := list(_sign_in_problems(self)):
            raise rules.several(problems)
        return self


def _sign_in_problems(section: RabbitMqSettings) -> Iterator[rules.Wrong]:
    """Yield what does not fit together about the way to sign in."""
    urls = [urlsplit(url.get_secret_value()) for url in section.urls]
    plain = any(url.scheme == "amqp" for url in urls)
    yield from _certificate_problems(section, plain=plain)
    yield from _token_problems(section, plain=plain)
    if section.auth != "password" and any("@" in url.netloc for url in urls):
        what = f'have a user or a password in them, which auth = "{section.auth}" does not use'
        yield rules.Wrong("urls", what, "write amqps://host:5671/vhost")


def _certificate_problems(section: RabbitMqSettings, *, plain: bool) -> Iterator[rules.Wrong]:
    if section.client_certificate_file is not None:
        if plain:
            yield rules.Wrong("urls", "are amqp://, where no client certificate is shown", _WITH_TLS)
        return
    for key in ("client_key_file", "client_key_passphrase", "client_key_passphrase_file"):
        if getattr(section, key) is not None:
            yield rules.Wrong(key, "is given without client_certificate_file", "give that as well, or remove it")
    if section.auth == "external":
        fix = "give the certificate that is the login"
        yield rules.Wrong("client_certificate_file", 'is missing: auth is "external"', fix)


def _token_problems(section: RabbitMqSettings, *, plain: bool) -> Iterator[rules.Wrong]:
    if section.auth != "oauth":
        for key in ("entra", "oauth_scope"):
            if getattr(section, key) is not None:
                yield rules.Wrong(key, 'is given without auth = "oauth"', 'set auth = "oauth", or remove it')
        return
    if plain:
        yield rules.Wrong("urls", "are amqp://: tokens would travel in the clear", _WITH_TLS)
    if section.oauth_scope is None:
        fix = "give the application ID URI of the broker's registration in Entra, and /.default"
        yield rules.Wrong("oauth_scope", 'is missing: auth is "oauth"', fix)


def broker_app(section: RabbitMqSettings, entra: EntraSettings | None) -> EntraAppSettings | None:
    """Return the app that signs in at the broker, None where none does."""
    if section.auth != "oauth" or entra is None:
        return None
    return entra.apps.get(section.entra or DEFAULT_APP)


def broker_app_problems(section: RabbitMqSettings, entra: EntraSettings | None) -> list[rules.Wrong]:
    """Return what is wrong with the app that is to sign in at the broker."""
    if section.auth != "oauth" or broker_app(section, entra) is not None:
        return []
    if section.entra is None:
        what = 'is missing: rabbitmq.auth is "oauth"'
        return [rules.Wrong("entra", what, "give tenant_id, client_id and client_secret_file, or rabbitmq.entra")]
    known = ", ".join(entra.named) if entra is not None and entra.named else "none"
    what = f"names no table [entra.<name>] (there: {known})"
    return [rules.Wrong("rabbitmq.entra", what, "name one of them, or leave it out for [entra]")]
