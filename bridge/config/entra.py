"""The apps that the bridge signs in with."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from bridge.config import rules
from bridge.config.rules import Wrong
from bridge.config.section import OptionalMoment, OptionalSecret, Seconds, Section

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pydantic import SecretStr

Cloud = Literal["global", "gcc-high", "dod", "china"]
DEFAULT_APP = "default"
"""What the app of [entra] itself is called in metrics and logs."""
_APP_NAME = re.compile(r"[a-z0-9-]{1,64}")


class CloudHosts(BaseModel):
    """What belongs together in one of Microsoft's clouds."""

    authority: str
    ews_host: str
    graph_host: str

    @property
    def ews_url(self) -> str:
        """Return the EWS endpoint."""
        return f"https://{self.ews_host}/EWS/Exchange.asmx"


CLOUDS: Mapping[str, CloudHosts] = {
    "global": CloudHosts(
        authority="https://login.microsoftonline.com",
        ews_host="outlook.office365.com",
        graph_host="graph.microsoft.com",
    ),
    "gcc-high": CloudHosts(
        authority="https://login.microsoftonline.us", ews_host="outlook.office365.us", graph_host="graph.microsoft.us"
    ),
    "dod": CloudHosts(
        authority="https://login.microsoftonline.us",
        ews_host="outlook-dod.office365.us",
        graph_host="dod-graph.microsoft.us",
    ),
    "china": CloudHosts(
        authority="https://login.partner.microsoftonline.cn",
        ews_host="partner.outlook.cn",
        graph_host="microsoftgraph.chinacloudapi.cn",
    ),
}


class EntraAppSettings(Section):
    """
    An app registration, under the names that Entra gives its settings, with exactly one form of credential.

    The forms are `client_secret`, `certificate_file`, `federated_token_file` and `managed_identity`.
    """

    tenant_id: str | None = None
    """Directory (tenant) ID: the id, or a verified domain of the tenant. Required, but for a managed identity."""
    client_id: str | None = None
    """Application (client) ID. Required, but for a managed identity."""
    client_secret: OptionalSecret = None
    """The *value* of a client secret (not its ID)."""
    client_secret_file: Path | None = None
    """A file that holds the client secret's value; surrounding spaces and line ends do not count. A new value in it is
    tried within seconds and used if Entra takes it."""
    client_secret_expires_at: OptionalMoment = None
    """When the client secret expires, as Entra shows it: a date (midnight, UTC) or a time with its offset. For the
    warnings ahead of it; Entra tells the bridge only where the app may read its own registration."""
    client_secret_next: OptionalSecret = None
    """A second client secret that is valid beside the first: used when Entra refuses the first."""
    client_secret_next_file: Path | None = None
    """A file that holds the second client secret; it may be missing or empty until there is one."""
    client_secret_next_expires_at: OptionalMoment = None
    """When the second client secret expires."""
    certificate_file: Path | None = None
    """A certificate with its private key: PEM, or PFX (P12). A new one in it is tried within seconds and used if Entra
    takes it."""
    certificate_key_file: Path | None = None
    """The private key as PEM, where it is not in `certificate_file` (such as `tls.key` beside `tls.crt`)."""
    certificate_passphrase: OptionalSecret = None
    """The passphrase of the PFX or of the encrypted key."""
    certificate_passphrase_file: Path | None = None
    """A file that holds the passphrase."""
    certificate_next_file: Path | None = None
    """A second certificate, registered beside the first: used when Entra refuses the first. It may be missing until
    there is one."""
    certificate_next_key_file: Path | None = None
    """The private key of the second certificate."""
    certificate_next_passphrase: OptionalSecret = None
    """The passphrase of the second certificate's key."""
    certificate_next_passphrase_file: Path | None = None
    """A file that holds the passphrase of the second certificate's key."""
    federated_token_file: Path | None = None
    """A token of another issuer that Entra trusts (Kubernetes' workload identity); read anew for each use. Variables
    AZURE_FEDERATED_TOKEN_FILE, AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_AUTHORITY_HOST fill what is not set here."""
    managed_identity: bool = False
    """Sign in as the managed identity of the Azure machine or service that the bridge runs on."""
    managed_identity_client_id: str | None = None
    """The client ID of a user-assigned managed identity; the system-assigned one is used without it."""
    cloud: Cloud = "global"
    """Microsoft's cloud that the tenant lives in. Sets the authority, the scope and the EWS host together."""
    authority_url: str | None = None
    """Where tokens come from, instead of the cloud's own; the tenant is appended unless the path ends with it."""
    scope: str | None = None
    """The scope to ask a token for, instead of the cloud's own, such as `https://outlook.office365.com/.default`."""
    graph_url: str | None = None
    """Where Microsoft Graph is, instead of the cloud's own. Asked for the secret's expiry, where the app may."""
    ca_file: Path | None = None
    """PEM file with the CA certificates to trust for Entra and Graph, instead of the bundle that comes with
    the HTTP library (certifi)."""
    timeout_seconds: Seconds = 10
    """Longest wait for one answer of Entra."""
    credential_probe_seconds: Annotated[float, Field(ge=0, le=7 * 86_400, allow_inf_nan=False)] = 1800
    """How often the credential itself is tried while a token lives, so that an expired or revoked one shows early; it
    varies by a quarter. 0: never."""

    _tenant = field_validator("tenant_id")(rules.tenant)
    _client = field_validator("client_id")(rules.client_id)
    _identity = field_validator("managed_identity_client_id")(rules.client_id)
    _authority = field_validator("authority_url")(rules.https_url)
    _graph = field_validator("graph_url")(rules.https_url)
    _scope = field_validator("scope")(rules.scope)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        problems = list(credential_problems(self)) if self.is_given else []
        if problems:
            raise rules.several(problems)
        return self

    @property
    def is_given(self) -> bool:
        """Whether there is an app at all; [entra] may hold nothing but the tables of named ones."""
        return True

    @property
    def authority(self) -> str:
        """Return the authority with its tenant, as MSAL wants it."""
        base = (self.authority_url or CLOUDS[self.cloud].authority).rstrip("/")
        tenant = self.tenant_id or ""
        return base if not tenant or base.lower().endswith("/" + tenant.lower()) else f"{base}/{tenant}"

    @property
    def scopes(self) -> tuple[str, ...]:
        """Return the scopes to ask a token for."""
        return (self.scope or f"https://{CLOUDS[self.cloud].ews_host}/.default",)

    @property
    def graph(self) -> str:
        """Return where Microsoft Graph is."""
        return (self.graph_url or f"https://{CLOUDS[self.cloud].graph_host}").rstrip("/")

    @property
    def graph_scope(self) -> str:
        """Return the scope of tokens for Microsoft Graph."""
        return f"https://{CLOUDS[self.cloud].graph_host}/.default"


class EntraSettings(EntraAppSettings):
    """
    The app registration that the bridge signs in with, under the names that Entra gives its settings.

    It has exactly one form of credential: `client_secret`, `certificate_file`, `federated_token_file` or
    `managed_identity`. Tables `[entra.<name>]` with the same keys are further apps; a mailbox chooses one by its key
    `entra`. They take nothing over from `[entra]`.
    """

    # Named apps are the extra keys, all of them tables of this type.
    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, EntraAppSettings] = Field(init=False)
    named_sections: ClassVar[type[Section]] = EntraAppSettings

    @model_validator(mode="after")
    def _names_can_be_labels(self) -> Self:
        problems = [
            rules.Wrong(name, "is no name of an app", "use 1 to 64 small letters, digits and hyphens")
            if _APP_NAME.fullmatch(name) is None
            else rules.Wrong(name, "is what the app of [entra] itself is called", "choose another name")
            for name in self.named
            if _APP_NAME.fullmatch(name) is None or name == DEFAULT_APP
        ]
        if problems:
            raise rules.several(problems)
        return self

    @property
    def is_given(self) -> bool:
        """Whether [entra] itself is an app, and not only the place of named ones."""
        return not self.named or bool(self.model_fields_set & set(type(self).model_fields))

    @property
    def named(self) -> Mapping[str, EntraAppSettings]:
        """Return the named apps."""
        return self.__pydantic_extra__ or {}

    @property
    def apps(self) -> Mapping[str, EntraAppSettings]:
        """Return every app by its name."""
        own: dict[str, EntraAppSettings] = {DEFAULT_APP: self} if self.is_given else {}
        return {**own, **self.named}


def cloud_of_ews(url: str) -> str | None:
    """Return the cloud whose own EWS endpoint that is, None for any other."""
    return next((name for name, hosts in CLOUDS.items() if hosts.ews_url.lower() == url.lower().rstrip("/")), None)


_WHOLES = {
    ("client_secret", "client_secret_file"): ("client_secret_expires_at",),
    ("client_secret_next", "client_secret_next_file"): ("client_secret_next_expires_at",),
    ("certificate_file",): ("certificate_key_file", "certificate_passphrase", "certificate_passphrase_file"),
    ("certificate_next_file",): (
        "certificate_next_key_file",
        "certificate_next_passphrase",
        "certificate_next_passphrase_file",
    ),
}
_ONE = "keep one of client_secret_file, certificate_file, federated_token_file and managed_identity"


def credential_problems(app: EntraAppSettings) -> Iterator[Wrong]:
    """Yield what is wrong with the credential of an app and its ids."""
    forms = forms_given(app)
    if not forms:
        fix = "give client_secret_file, certificate_file, federated_token_file or managed_identity = true"
        yield Wrong("client_secret", "is missing: the app has no credential", fix, "setting_missing")
    for further in forms[1:]:
        yield Wrong(further, f"is a second form of credential beside {forms[0]}", _ONE)
    if "managed_identity" not in forms:
        for key, name in (("tenant_id", "Directory (tenant) ID"), ("client_id", "Application (client) ID")):
            if getattr(app, key) is None:
                fix = f"copy the {name} from the app's overview page in Entra"
                yield Wrong(key, "is missing", fix, "setting_missing")
        if app.managed_identity_client_id is not None:
            yield Wrong(
                "managed_identity_client_id", "is given without managed_identity", "set managed_identity = true"
            )
    yield from _parts_without_a_whole(app)
    yield from _mixed_up(app)


def forms_given(app: EntraAppSettings) -> list[str]:
    """Return the keys that give a form of credential."""
    forms = []
    if app.client_secret is not None or app.client_secret_file is not None:
        forms.append("client_secret" if app.client_secret_file is None else "client_secret_file")
    if app.certificate_file is not None:
        forms.append("certificate_file")
    if app.federated_token_file is not None:
        forms.append("federated_token_file")
    if app.managed_identity:
        forms.append("managed_identity")
    return forms


def _parts_without_a_whole(app: EntraAppSettings) -> Iterator[Wrong]:
    for whole, parts in _WHOLES.items():
        if all(getattr(app, key) is None for key in whole):
            for part in parts:
                if getattr(app, part) is not None:
                    yield Wrong(part, f"is given without {whole[-1]}", f"give {whole[-1]}, or remove it")
    next_secret = app.client_secret_next is not None or app.client_secret_next_file is not None
    if app.federated_token_file is not None or app.managed_identity:
        for part in ("client_secret_next", "client_secret_next_file", "certificate_next_file"):
            if getattr(app, part) is not None:
                yield Wrong(part, "is a second form of credential", _ONE)
    elif next_secret and app.certificate_next_file is not None:
        yield Wrong("certificate_next_file", "is given beside client_secret_next", "keep one of the two")


def _mixed_up(app: EntraAppSettings) -> Iterator[Wrong]:
    """Yield what was pasted into the wrong place, as far as its look tells."""
    ids = {name: value.lower() for name in ("tenant_id", "client_id") if (value := getattr(app, name)) is not None}
    if len(ids) == len(set(ids.values())) + 1:
        fix = "copy both from the app's overview page in Entra"
        yield Wrong("client_id", "is the same as tenant_id", fix, "setting_misplaced")
    for key in ("client_secret", "client_secret_next"):
        secret: SecretStr | None = getattr(app, key)
        for name, value in ids.items():
            if secret is not None and secret.get_secret_value().lower() == value:
                fix = "copy the Value of a client secret; no id works"
                yield Wrong(key, f"is the same as {name}", fix, "setting_misplaced")
                break
