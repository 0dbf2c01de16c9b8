"""
Every option: default, unit, meaning.

The docstring below a field is its documentation: `config show`, the JSON Schema for editors and the table in
`docs/configuration.md` are made from it. Sections are frozen, unknown keys are refused. A field whose type holds
`SecretStr` is never shown, and can be given as `<key>_file` as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from bridge.config import rules
from bridge.config.blobs import BlobSettings
from bridge.config.entra import CLOUDS, DEFAULT_APP, EntraAppSettings, EntraSettings, cloud_of_ews
from bridge.config.rabbitmq import RabbitMqSettings, broker_app, broker_app_problems
from bridge.config.section import Names, OptionalMoment, OptionalSecret, Seconds, Section
from bridge.domain.send_rate import EXCHANGE_ONLINE_MAILS_PER_MINUTE, EXCHANGE_ONLINE_RECIPIENTS_PER_DAY
from bridge.domain.watched_folders import folder_path


class EwsSettings(Section):
    """Exchange Web Services."""

    url: str = f"https://{CLOUDS['global'].ews_host}/EWS/Exchange.asmx"
    """The EWS endpoint. Exchange Online's, as `entra.cloud` says, unless given. Autodiscover is never used."""
    ca_file: Path | None = None
    """PEM file with the CA certificates to trust for EWS, instead of the bundle that comes with the HTTP
    library (certifi). Verification is never off."""
    auth: Literal["oauth", "basic", "ntlm"] = "oauth"
    """How the bridge signs in. `basic` and `ntlm`: Exchange Server on-premises only, refused for Microsoft's hosts."""
    impersonate: bool = False
    """On-premises: whether the login is that of a service account that acts as the mailbox (ApplicationImpersonation),
    and not the mailbox's own. With OAuth it is always so."""
    call_timeout_seconds: Seconds = 90
    """Longest wait for the whole answer to one call; Exchange itself ends a call after about a minute."""
    connections: int = Field(default=8, ge=1, le=200)
    """Most calls in progress at a time, over all mailboxes of one app; each takes a thread and a connection. A mailbox
    has half of them at most where there are several, never more than Exchange's 27, and fewer by itself while Exchange
    throttles or is slow. Calls without an answer for 3 s do not count; of these there are as many again at most."""
    connections_in_all: int = Field(default=64, ge=2, le=1000)
    """Most calls in progress at a time over all apps, or all logins on-premises; where there are so many that
    `connections` for each would be more, each has its share of these, and two at least."""

    _url = field_validator("url")(rules.ews_url)

    @model_validator(mode="after")
    def _passwords_only_on_premises(self) -> Self:
        if self.auth != "oauth" and rules.is_microsoft_host(self.url):
            raise rules.wrong(
                "auth",
                f'"{self.auth}" is refused for Microsoft\'s hosts: Exchange Online takes no passwords',
                'set auth = "oauth", or url to your own Exchange Server',
            )
        return self


class MailboxSettings(Section):
    """One mailbox that the bridge reads, sends from, or both."""

    alias: str
    """What queues, metrics and logs call the mailbox: small letters, digits and hyphens."""
    address: str
    """The mailbox's SMTP address."""
    transport: Literal["ews"] = "ews"
    """How the mailbox is reached."""
    entra: str | None = None
    """The app that signs in for this mailbox: `<name>` of a table `[entra.<name>]`. `[entra]` itself unless given."""
    read: bool = True
    """Whether mail is taken from this mailbox."""
    send: bool = True
    """Whether mail is sent from this mailbox."""
    folders: Names = ("inbox",)
    """Folders to take mail from: `inbox`, `junkemail` (counted, with a warning, either way), or a path of names."""
    ignore_before: OptionalMoment = None
    """Leave mail received earlier where it is: a date (midnight, UTC) or a time with its offset. For old inboxes."""
    after_publish: str = "deleted_items"
    """Where a mail goes once the broker holds it: `deleted_items`, `soft_delete`, `hard_delete` or `move:<folder>`."""
    send_rate_per_minute: Annotated[int, Field(ge=1, le=100_000)] | Literal["unlimited"] = (
        EXCHANGE_ONLINE_MAILS_PER_MINUTE
    )
    """Most mails sent in a minute; Exchange Online delays what exceeds 30. `"unlimited"` for on-premises."""
    recipients_per_day: Annotated[int, Field(ge=1, le=100_000_000)] | Literal["unlimited"] = (
        EXCHANGE_ONLINE_RECIPIENTS_PER_DAY
    )
    """Most recipients in 24 hours; Exchange Online refuses what exceeds 10,000. `"unlimited"` for on-premises."""
    must_not_reach: Names = ()
    """Addresses of mailboxes that `bridge check` proves to be out of the app's reach."""
    username: str | None = None
    """On-premises only (`basic`, `ntlm`): the name to sign in with. With OAuth it stays blank."""
    password: OptionalSecret = None
    """On-premises only (`basic`, `ntlm`): the password. With OAuth it stays blank."""
    password_file: Path | None = None
    """On-premises only: a file that holds the password."""

    _alias = field_validator("alias")(rules.alias)
    _address = field_validator("address")(rules.address)
    _after_publish = field_validator("after_publish")(rules.after_publish)
    _must_not_reach = field_validator("must_not_reach")(rules.addresses)

    @field_validator("username", "entra")
    @classmethod
    def _blank_is_none(cls, value: str | None) -> str | None:
        return value or None

    @field_validator("folders")
    @classmethod
    def _folders_named_once(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return rules.folders(value)

    @model_validator(mode="after")
    def _removal_leads_out(self) -> Self:
        if self.move_to is not None and folder_path(self.move_to) in map(folder_path, self.folders):
            what = "moves mail into a folder that it is taken from: every mail would be published for ever"
            raise rules.wrong("after_publish", what, "name another folder")
        return self

    @property
    def move_to(self) -> str | None:
        """Return the folder of `move:<folder>`, None for the deleting ways."""
        kind, _, folder = self.after_publish.partition(":")
        return folder if kind == "move" else None


class IngestSettings(Section):
    """From the mailboxes to the broker."""

    streaming: bool = True
    """Whether Exchange is asked to tell of new mail as it comes. Where it does not, mailboxes are listed more often."""
    poll_interval_seconds: Seconds = 5
    """Wait between two listings of a mailbox while nothing tells of its new mail; it grows to three times as long while
    nothing comes, and sooner where listing takes long."""
    listing_interval_seconds: Seconds = 30
    """Wait between two listings while Exchange tells of new mail: how late a mail is whose notice got lost."""
    stream_connections: int = Field(default=10, ge=1, le=100)
    """Most connections on which Exchange tells of new mail, for one app or service account; one serves up to 200
    mailboxes that lie on one of Exchange's servers. Mailboxes beyond are listed."""
    stream_minutes: int = Field(default=29, ge=1, le=30)
    """How long such a connection stays open before it is made anew. Less where a proxy ends long answers."""
    stream_silence_seconds: Seconds = 100
    """How long such a connection may be silent before it is taken for dead; Exchange says something every 45 s."""
    page_mails: int = Field(default=1000, ge=1, le=1000)
    """Mails that one listing asks for; Exchange gives at most 1,000."""
    batch_mails: int = Field(default=50, ge=1, le=1000)
    """Most mails fetched in one call."""
    batch_bytes: int = Field(default=8 * 1024 * 1024, ge=65_536, le=256 * 1024 * 1024)
    """Most bytes fetched in one call; a larger mail is fetched alone."""
    fetches_in_flight: int = Field(default=3, ge=1, le=20)
    """Most fetches in progress for one mailbox."""
    unconfirmed_mails: int = Field(default=256, ge=1, le=10_000)
    """Most mails of one mailbox between publish and removal: what a crash may repeat."""
    in_flight_bytes: int = Field(default=128 * 1024 * 1024, ge=1024 * 1024, le=16 * 1024 * 1024 * 1024)
    """Most bytes of mail held in memory, over all mailboxes, and as many of mails from 4 MB on in temporary files; a
    larger mail passes alone."""
    keep_seconds: Seconds = 30
    """How long a mail that has to stay in the inbox is passed over before it is tried again."""
    parked_per_hour: int = Field(default=20, ge=0, le=10_000)
    """Most mails of one mailbox that are moved to `Bridge Parked` within an hour; more are a bug or a sick server."""
    trust_exchange_headers: bool = False
    """Whether a bounce with `X-MS-Exchange-Organization-AuthAs: Internal` is announced as `verified`. Only where
    Exchange removes such headers from outside mail: its default, but not behind a connector that is externally
    secured."""


class EgressSettings(Section):
    """From the broker to the mailboxes."""

    concurrent_sends: int = Field(default=64, ge=1, le=200)
    """Most requests of one mailbox being sent at a time, where `send_rate_per_minute` is "unlimited"; otherwise few are
    held. Their calls are made together. Each request is held in memory."""
    attempts_limit: int = Field(default=100, ge=1, le=10_000)
    """Attempts after which a request fails for good, with its event."""
    give_up_after_seconds: Annotated[float, Field(gt=0, le=30 * 86_400, allow_inf_nan=False)] = 86_400
    """How long a request that meets trouble is tried, its waits between included, before it fails for good, with its
    event; `expires_at` may be earlier."""
    unknown_after_seconds: Seconds = 120
    """How long a begun send whose draft is gone is looked for before its outcome is called unknown."""
    ledger_days: int = Field(default=14, ge=1, le=365)
    """Days that the memory of sends in the folder `Bridge Sends` is kept: so long are repeats recognised."""
    self_test: bool = True
    """Whether a worker proves, before it sends the first mail from a mailbox, that Exchange keeps to what sending once
    rests on. It sends no mail for it."""


class HttpSettings(Section):
    """Where /metrics and /health are served."""

    listen: str = "127.0.0.1:9464"
    """`host:port`; port 0 takes a free one. Every worker process on one host needs its own."""

    _listen = field_validator("listen")(rules.listen)

    @property
    def host(self) -> str:
        """Return the address to listen on."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """Return the port to listen on."""
        return int(self.listen.rpartition(":")[2])


class LogSettings(Section):
    """Log lines, on standard error."""

    format: Literal["auto", "json", "text"] = "auto"
    """`auto` is text on a terminal and JSON everywhere else."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least level that is written. Nothing private is logged at any."""


class ExchangeSettings(Section):
    """The part of the configuration that is about Exchange, for commands that need no broker."""

    entra: EntraSettings | None = None
    ews: EwsSettings = EwsSettings()
    mailboxes: tuple[MailboxSettings, ...] = ()

    @model_validator(mode="before")
    @classmethod
    def _ews_url_follows_the_cloud(cls, data: object) -> object:
        if not isinstance(data, Mapping):
            return data
        entra, ews = data.get("entra"), data.get("ews", {})
        cloud = entra.get("cloud") if isinstance(entra, Mapping) else getattr(entra, "cloud", None)
        if isinstance(ews, Mapping) and "url" not in ews and isinstance(cloud, str) and cloud in CLOUDS:
            return {**data, "ews": {**ews, "url": CLOUDS[cloud].ews_url}}
        return data

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        problems = [*rules.repeated("alias", [m.alias for m in self.mailboxes])]
        problems += rules.repeated("address", [m.address.lower() for m in self.mailboxes])
        if self.ews.auth == "oauth" and self.entra is None:
            problems.append(rules.Wrong("entra", "is missing", "give tenant_id, client_id and client_secret_file"))
        for index, mailbox in enumerate(self.mailboxes):
            problems += _sign_in_problems(f"mailboxes.{index}", self.ews.auth, mailbox)
            problems += self._app_problems(f"mailboxes.{index}", mailbox)
        if problems:
            raise rules.several(problems)
        return self

    def _app_problems(self, where: str, mailbox: MailboxSettings) -> list[rules.Wrong]:
        if self.ews.auth != "oauth" or self.entra is None:
            return []
        app = self.entra.apps.get(mailbox.entra or DEFAULT_APP)
        if app is None:
            known = ", ".join(self.entra.named) or "none"
            named = f"names no table [entra.<name>] (there: {known})"
            what = named if mailbox.entra else "is missing, and [entra] itself is no app"
            return [rules.Wrong(f"{where}.entra", what, "name one of them, or complete [entra]")]
        cloud = cloud_of_ews(self.ews.url)
        if cloud is None or app.scope is not None or cloud == app.cloud or self.ews_url_follows_cloud:
            return []
        what = f"is the endpoint of the cloud {cloud}, and the app of {where} is in {app.cloud}"
        return [rules.Wrong("ews.url", what, "leave it out: it follows the cloud")]

    @property
    def ews_url_follows_cloud(self) -> bool:
        """Whether each mailbox's EWS endpoint is that of its app's cloud."""
        own = CLOUDS[self.entra.cloud].ews_url if self.entra is not None else None
        return self.ews.url == own

    @property
    def connections_each(self) -> int:
        """Return how many calls may be in progress for one app or login: none waits for the calls of another."""
        logins = {(self.app_name(one) or one.alias, self.ews_url(one)) for one in self.mailboxes}
        return min(self.ews.connections, max(2, self.ews.connections_in_all // max(1, len(logins))))

    def app_name(self, mailbox: MailboxSettings) -> str | None:
        """Return the name of the app that signs in for a mailbox, None where none does."""
        return (mailbox.entra or DEFAULT_APP) if self.ews.auth == "oauth" and self.entra is not None else None

    def app(self, mailbox: MailboxSettings) -> EntraAppSettings | None:
        """Return the app that signs in for a mailbox, None where none does."""
        name = self.app_name(mailbox)
        return self.entra.apps.get(name) if name is not None and self.entra is not None else None

    @property
    def apps_in_use(self) -> Mapping[str, EntraAppSettings]:
        """Return the apps that sign in for mailboxes, by name; without mailboxes, the app of [entra]."""
        if self.entra is None or self.ews.auth != "oauth":
            return {}
        names = dict.fromkeys(mailbox.entra or DEFAULT_APP for mailbox in self.mailboxes) or {DEFAULT_APP: None}
        return {name: self.entra.apps[name] for name in names if name in self.entra.apps}

    def ews_url(self, mailbox: MailboxSettings) -> str:
        """Return the EWS endpoint of a mailbox: the configured one, or that of its app's cloud."""
        app = self.app(mailbox)
        return CLOUDS[app.cloud].ews_url if app is not None and self.ews_url_follows_cloud else self.ews.url

    def mailbox(self, alias: str) -> MailboxSettings | None:
        """Return the mailbox of that alias, None where there is none."""
        return next((m for m in self.mailboxes if m.alias == alias), None)


class _SignsInAtBroker(BaseModel):
    """A configuration with a broker, at which an app of Entra's may sign in."""

    if TYPE_CHECKING:
        rabbitmq: RabbitMqSettings
        entra: EntraSettings | None

    @model_validator(mode="after")
    def _broker_has_its_app(self) -> Self:
        if problems := broker_app_problems(self.rabbitmq, self.entra):
            raise rules.several(problems)
        return self

    @property
    def broker_app(self) -> EntraAppSettings | None:
        """Return the app that signs in at the broker, None where none does."""
        return broker_app(self.rabbitmq, self.entra)


class Settings(ExchangeSettings, _SignsInAtBroker):
    """The whole configuration."""

    mailboxes: tuple[MailboxSettings, ...] = Field(min_length=1)
    rabbitmq: RabbitMqSettings
    blobs: BlobSettings | None = None
    ingest: IngestSettings = IngestSettings()
    egress: EgressSettings = EgressSettings()
    http: HttpSettings = HttpSettings()
    log: LogSettings = LogSettings()


def _sign_in_problems(where: str, auth: str, mailbox: MailboxSettings) -> list[rules.Wrong]:
    has_password = mailbox.password is not None or mailbox.password_file is not None
    if auth == "oauth":
        problems = []
        if has_password:
            text = "has no place beside OAuth, where the password stays blank: the app signs in with its client secret"
            problems.append(rules.Wrong(f"{where}.password", text, "remove it"))
        if mailbox.username is not None:
            text = "has no place beside OAuth: the mailbox is named by its address"
            problems.append(rules.Wrong(f"{where}.username", text, "remove it"))
        return problems
    problems = []
    if mailbox.entra is not None:
        text = f'has no place where ews.auth is "{auth}"'
        problems.append(rules.Wrong(f"{where}.entra", text, "remove it"))
    if mailbox.username is None:
        problems.append(
            rules.Wrong(f"{where}.username", f'is missing: ews.auth is "{auth}"', "give the name to sign in with")
        )
    if not has_password:
        problems.append(rules.Wrong(f"{where}.password", f'is missing: ews.auth is "{auth}"', "give password_file"))
    return problems


class ClientSettings(_SignsInAtBroker):
    """What a command needs that only talks to the broker; the rest of the configuration is not looked at."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)

    rabbitmq: RabbitMqSettings
    log: LogSettings = LogSettings()
    entra: EntraSettings | None = None
    """Only where an app signs in at the broker; who has a password there needs no file of Entra's."""

    @classmethod
    def leaves_out(cls, tree: Mapping[str, object]) -> frozenset[str]:
        """Return the sections that this configuration does not need."""
        section = tree.get("rabbitmq")
        by_app = isinstance(section, Mapping) and section.get("auth") == "oauth"
        return frozenset() if by_app else frozenset({"entra"})


class TopologySettings(ClientSettings):
    """What the topology depends on."""

    mailboxes: tuple[MailboxSettings, ...] = Field(min_length=1)
