"""Who exists in the sandbox: the tenant, its apps with their credentials and rights, its users. Kept in one file."""

from __future__ import annotations

import json
import re
import secrets
import time
import uuid
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.appcredentials import Certificate, Federated, Secret, new_secret
from bridge.sandbox.files import write_atomically

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

EVERY_MAILBOX: Final = "*"
FULL_ACCESS: Final = "full_access_as_app"
ACCESS_AS_USER: Final = "EWS.AccessAsUser.All"

# Aliases name queues of a mail bridge, where these words have a meaning of their own.
_RESERVED_ALIASES = frozenset({"retry", "dead", "returned", "urgent"})
_ADDRESS = re.compile(r"[^@\s<>\"',;:\\\[\]()\x00-\x1f\x7f]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,253}[A-Za-z0-9])?\Z")


@dataclass(slots=True)
class App:
    """
    An app registration together with its service principal and what that may open.

    Consent in Entra and assignments in Exchange (RBAC for Applications) add up: consent to `full_access_as_app` opens
    every mailbox, whatever Exchange assigned.
    """

    client_id: str
    object_id: str
    name: str
    roles: list[str]
    """Application permissions with admin consent; they become the token's `roles`."""
    mailboxes: list[str]
    """Addresses that Exchange assigned to the app, lower case; `*` for every mailbox."""
    secrets: list[Secret] = field(default_factory=list)
    scopes: list[str] = field(default_factory=lambda: [ACCESS_AS_USER])
    """Delegated permissions with consent; with those that a client asks for they become a user token's `scp`."""
    public_client: bool = False
    """Whether users may sign in to it without that the app proves itself ("Allow public client flows")."""
    earlier_mailboxes: list[str] | None = None
    """What was assigned before the last change, which counts until it has arrived everywhere."""
    earlier_until: float = 0.0
    """When the last change has arrived, in seconds since 1970."""
    enabled: bool = True
    """Whether tokens are issued to it ("Enabled for users to sign-in" of the enterprise application)."""
    managed_identity: str = ""
    """`system` or `user` for an identity of the machine that the sandbox is: it gets tokens without a proof."""
    certificates: list[Certificate] = field(default_factory=list)
    federated: list[Federated] = field(default_factory=list)

    def current_secret(self) -> Secret | None:
        """Return the newest secret that is valid, or the newest of all where none is; None where there is none."""
        now = time.time()
        valid = (secret for secret in reversed(self.secrets) if not secret.has_expired(now))
        return next(valid, self.secrets[-1] if self.secrets else None)

    def current_secret_value(self) -> str:
        """Return what an administrator copied last; empty where no secret is left."""
        secret = self.current_secret()
        return "" if secret is None else secret.value

    def registration_id(self) -> str:
        """Return the object id of the registration, which is another one than that of the service principal."""
        return str(uuid.uuid5(uuid.UUID(self.object_id), "registration"))

    def is_assigned(self, address: str) -> bool:
        """Return whether Exchange assigned a mailbox to the app."""
        assigned = self.assigned_mailboxes()
        return EVERY_MAILBOX in assigned or address.lower() in assigned

    def assigned_mailboxes(self) -> list[str]:
        """Return the assignments that Exchange goes by now: a change takes its time to arrive."""
        if self.earlier_mailboxes is not None and time.time() < self.earlier_until:
            return self.earlier_mailboxes
        return self.mailboxes

    def assign(self, mailboxes: list[str], *, delay_seconds: float) -> None:
        """Assign these mailboxes, lower case, in place of others; Exchange goes by it after the delay."""
        self.earlier_mailboxes = self.assigned_mailboxes() if delay_seconds else None
        self.earlier_until = time.time() + delay_seconds if delay_seconds else 0.0
        self.mailboxes = mailboxes


@dataclass(slots=True)
class Resource:
    """Another program that takes tokens of this tenant, such as a broker."""

    app_id_uri: str
    client_id: str
    app_roles: list[str]
    """Roles that apps may be given for it; those of an app's `roles` that are among them are in its tokens."""
    token_version: int = 1
    """Tokens of version 1 are for the URI, those of version 2 for the client id."""


@dataclass(slots=True)
class User:
    """A mailbox and the name and password of its owner, and whom else the owner or an administrator lets in."""

    address: str
    alias: str
    username: str
    password: str
    enabled: bool = True
    """Whether the user may sign in; the mailbox is there all the same."""
    impersonates: list[str] = field(default_factory=list)
    """Whom the user may impersonate (ApplicationImpersonation and its scope): addresses, `*@domain`, `*` for all."""
    full_access: list[str] = field(default_factory=list)
    """Users who may open the whole mailbox, lower case."""
    send_as: list[str] = field(default_factory=list)
    """Users whose mail may be from this one, lower case."""
    send_on_behalf: list[str] = field(default_factory=list)
    """Users whose mail may be from this one if its Sender says who they are, lower case."""
    generation: int = 0
    """How often the password was changed or the refresh tokens were revoked: those of before are not taken."""
    folder_permissions: dict[str, dict[str, str]] = field(default_factory=dict)
    """By distinguished name or id of a folder: permission levels of other users, lower case."""

    def may_impersonate(self, address: str) -> bool:
        """Return whether an address is in the scope of the user's right to impersonate."""
        wanted = address.lower()
        return any(scope in (EVERY_MAILBOX, wanted, f"*@{domain_of(wanted)}") for scope in self.impersonates)


@dataclass(slots=True)
class Tenant:
    """Everything that the sandbox keeps about identities. Change it, then `TenantFile.save`."""

    tenant_id: str
    apps: list[App]
    users: list[User] = field(default_factory=list)
    service_account: User | None = None
    """An on-premises account with the right to impersonate, at first every user; it has no mailbox."""
    token_lifetime_seconds: int = 3599
    token_generation: int = 0
    """Tokens of an earlier generation count as expired; `POST /expire` starts a new one."""
    ports: dict[str, int] = field(default_factory=dict)
    resources: list[Resource] = field(default_factory=list)
    identity_header: str = field(default_factory=lambda: secrets.token_hex(16).upper())
    """What programs show that ask for a managed identity's token as on App Service."""

    def app(self, client_id: str) -> App | None:
        """Return the app of an id, in any case of letters."""
        wanted = client_id.lower()
        return next((app for app in self.apps if app.client_id == wanted), None)

    def resource(self, name: str) -> Resource | None:
        """Return the resource of a URI or a client id."""
        wanted = name.lower().rstrip("/")
        return next((one for one in self.resources if wanted in (one.app_id_uri.lower(), one.client_id)), None)

    def user(self, address: str) -> User | None:
        """Return the user who owns an address, in any case of letters."""
        wanted = address.lower()
        return next((user for user in self.users if user.address.lower() == wanted), None)

    def account(self, name: str) -> User | None:
        """Return the user who signs in by a name or owns an address, or the service account, in any case of letters."""
        account = self.service_account
        if account is not None and account.username.lower() == name.lower():
            return account
        return next((user for user in self.users if user.username.lower() == name.lower()), None) or self.user(name)

    def domains(self) -> frozenset[str]:
        """Return the domains that the sandbox accepts mail for, lower case."""
        return frozenset(domain_of(user.address) for user in self.users)

    def answers_to(self, name: str) -> bool:
        """Return whether a path segment names this tenant: by id or by one of its domains."""
        return name.lower() == self.tenant_id or name.lower() in self.domains()

    def add_users(self, addresses: Iterable[str]) -> None:
        """
        Give each address a user, keeping those that exist.

        Raises:
            ValueError: An address is none.
        """
        for address in addresses:
            if not is_address(address):
                message = f"not a mail address: {address!r}"
                raise ValueError(message)
            if self.user(address) is None:
                taken = [user.alias for user in self.users]
                local = address.partition("@")[0]
                self.users.append(User(address, _alias(local, taken), address, secrets.token_hex(12)))


def domain_of(address: str) -> str:
    """Return what follows the last `@`, lower case."""
    return address.rpartition("@")[2].lower()


def is_address(text: str) -> bool:
    """Return whether a mailbox may have this address: the plain form, without quotes and comments."""
    return _ADDRESS.match(text) is not None


def new_app(name: str, roles: list[str]) -> App:
    """Return an app with these roles and one secret."""
    return App(
        client_id=str(uuid.uuid4()),
        object_id=str(uuid.uuid4()),
        name=name,
        roles=roles,
        mailboxes=[],
        secrets=[new_secret()],
    )


def new_tenant() -> Tenant:
    """Return a tenant with one app that may open every mailbox and has one secret."""
    return Tenant(tenant_id=str(uuid.uuid4()), apps=[new_app("mail-bridge", [FULL_ACCESS])])


def new_service_account() -> User:
    """Return an account that may impersonate every user."""
    return User("", "", "svc-mail", secrets.token_hex(12), impersonates=[EVERY_MAILBOX])


class TenantFile:
    """The tenant on disk. Every `save` is whole or did not happen."""

    def __init__(self, path: Path) -> None:
        """Read the tenant of `path`, or make a new one, which is only kept by `save`."""
        self._path = path
        self.tenant = _load(path) if path.exists() else new_tenant()

    def save(self) -> None:
        """Make the tenant as it is now survive a kill."""
        write_atomically(self._path, json.dumps(asdict(self.tenant), indent=1).encode())


def _load(path: Path) -> Tenant:
    kept: dict[str, Any] = json.loads(path.read_bytes())
    apps = [_load_app(app) for app in kept.pop("apps")]
    users = [User(**user) for user in kept.pop("users")]
    resources = [Resource(**resource) for resource in kept.pop("resources", [])]
    account = kept.pop("service_account")
    if account:
        # Directories of earlier versions do not say it: there the service account impersonated all, always.
        account.setdefault("impersonates", [EVERY_MAILBOX])
    return Tenant(apps=apps, users=users, resources=resources, service_account=account and User(**account), **kept)


def _load_app(kept: dict[str, Any]) -> App:
    # Directories of earlier versions have no certificates and no federated credentials.
    kinds = (("secrets", Secret), ("certificates", Certificate), ("federated", Federated))
    return App(**{**kept, **{name: [kind(**one) for one in kept.get(name, [])] for name, kind in kinds}})


def _alias(local_part: str, taken: Sequence[str]) -> str:
    stem = re.sub(r"[^a-z0-9]+", "-", local_part.lower()).strip("-") or "mailbox"
    if stem in _RESERVED_ALIASES:
        stem = f"{stem}-box"
    alias, number = stem, 2
    while alias in taken:
        alias, number = f"{stem}-{number}", number + 1
    return alias
