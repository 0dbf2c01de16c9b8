"""What a value must look like, and how to say plainly that it does not."""

from __future__ import annotations

import json
import re
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import SplitResult, urlsplit

from pydantic import SecretStr
from pydantic_core import PydanticCustomError

from bridge.domain.watched_folders import OWN_FOLDERS, folder_path

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

RESERVED_ALIASES = frozenset({"retry", "dead", "returned", "urgent"})
"""Words that the names of queues use themselves."""

_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_DOMAIN = re.compile(r"(?=.{1,253}\Z)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9-]{2,63}", re.IGNORECASE)
_SHORTEST_SECRET = 30
_MICROSOFT = (
    "office365.com", "office365.us", "office.com", "office.de", "outlook.com", "outlook.cn",
    "apps.mil", "microsoft.com",
)  # fmt: skip


class Wrong(NamedTuple):
    """
    A wrong value: the key (dotted, relative to its section; empty for the value itself), what is wrong, the fix.

    The code is one of `bridge.telemetry.reasons`.
    """

    key: str
    what: str
    fix: str
    code: str = "configuration"


def wrong(key: str, what: str, fix: str, code: str = "configuration") -> PydanticCustomError:
    """Return an error that the loader turns into a problem with its key, place and fix. Never contains the value."""
    return several([Wrong(key, what, fix, code)])


def several(problems: Sequence[Wrong]) -> PydanticCustomError:
    """Return one error that holds several problems."""
    text = "; ".join(f"{p.key} {p.what}".strip() for p in problems).replace("{", "(").replace("}", ")")
    return PydanticCustomError("bridge", text, {"problems": [tuple(p) for p in problems]})


def is_guid(value: str) -> bool:
    """Return whether the value has the form of Entra's ids."""
    return _GUID.fullmatch(value) is not None


def stripped_secret(value: object) -> object:
    """Take the spaces and line ends off that copying leaves, and refuse quotes around the value."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    if not isinstance(text, str):
        return value
    text = text.strip()
    if not text:
        raise wrong("", "is empty", "give its value", "setting_missing")
    return SecretStr(_without_quotes(text))


def stripped_secret_or_none(value: object) -> object:
    """Do the same for a secret that may be left blank."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    return None if text is None or (isinstance(text, str) and not text.strip()) else stripped_secret(value)


def _without_quotes(text: str) -> str:
    if len(text) > 1 and text[0] + text[-1] in {'""', "''", "\u201c\u201d", "\u2018\u2019", "``"}:
        raise wrong("", "has quotes around it that are part of the value", "take the quotes off", "setting_quoted")
    return text


def listed(value: object) -> object:
    """Accept a list also as JSON or separated by commas, as environment variables give it."""
    if isinstance(value, str):
        text = value.strip()
        if text.startswith("["):
            try:
                return json.loads(text)
            except (ValueError, RecursionError):
                raise wrong("", "starts like a JSON list and is none", 'write ["one", "two"], or one,two') from None
        return [part for part in (p.strip() for p in text.split(",")) if part]
    return value


def tenant(value: str | None) -> str | None:
    """Accept a tenant's id or one of its domains."""
    if value is None:
        return None
    value = _without_quotes(value)
    if value.lower() in {"common", "organizations", "consumers"}:
        raise wrong("", "names no tenant", "give the Directory (tenant) ID: an app signs in to one tenant")
    if not (is_guid(value) or _DOMAIN.fullmatch(value)):
        what = "is empty" if not value else "is neither an id (8-4-4-4-12 hex digits) nor a domain" + _rather(value)
        fix = "copy the Directory (tenant) ID from the app's overview page in Entra"
        raise wrong("", what, fix, "setting_malformed" if value else "setting_missing")
    return value


def client_id(value: str | None) -> str | None:
    """Accept an application id."""
    if value is None:
        return None
    value = _without_quotes(value)
    if not is_guid(value):
        what = "is empty" if not value else "is no id (8-4-4-4-12 hex digits)" + _rather(value)
        fix = "copy the Application (client) ID from the app's overview page in Entra"
        raise wrong("", what, fix, "setting_malformed" if value else "setting_missing")
    return value


def _rather(value: str) -> str:
    """Return what a value that is no id looks like; it is often in the wrong place."""
    if "@" in value:
        return "; it looks like an address"
    if len(value) >= _SHORTEST_SECRET and "~" in value:
        return "; it looks like the value of a client secret"
    return "; it looks like a domain of the tenant" if _DOMAIN.fullmatch(value) else ""


def moment(value: object) -> object:
    """Accept a date alone, for its midnight in UTC."""
    if isinstance(value, str) and len(value.strip()) == len("2026-01-31"):
        value = date.fromisoformat(value.strip())
    if isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time.min, UTC)
    return None if isinstance(value, str) and not value.strip() else value


def in_utc(value: datetime | None) -> datetime | None:
    """Accept a time with its offset."""
    if value is not None and value.tzinfo is None:
        raise wrong("", "has no offset from UTC", "write 2026-01-31T00:00:00Z, or only the date")
    try:
        return value.astimezone(UTC) if value is not None else None
    except OverflowError:
        raise wrong("", "is no time that there is in UTC", "give the date that Entra shows") from None


def _url(value: str, schemes: tuple[str, ...]) -> SplitResult:
    value = _without_quotes(value)
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        raise wrong("", "is no URL", f"write {schemes[-1]}://host/...", "setting_malformed") from None
    if re.search(r"[\x00-\x20]", parts.hostname or ""):
        raise wrong("", "has a space in its host name", f"write {schemes[-1]}://host/...", "setting_malformed")
    if parts.scheme not in schemes or not parts.hostname:
        plain = parts.scheme == "http"
        refused = " (http:// is refused: secrets and mail would travel in the clear)" if plain else ""
        what = f"is no {' or '.join(s + '://' for s in schemes)} URL{refused}"
        raise wrong("", what, f"write {schemes[-1]}://host/...", "url_unencrypted" if plain else "setting_malformed")
    return parts


def https_url(value: str | None) -> str | None:
    """Accept an https URL without credentials in it."""
    if value is None:
        return None
    parts = _url(value, ("https",))
    if parts.username is not None or parts.password is not None:
        raise wrong("", "has a user name or password in it", "take them out of the URL")
    if parts.query or parts.fragment:
        raise wrong("", "has a query or a fragment", "end the URL with its path")
    return value


def management_url(value: str | None) -> str | None:
    """Accept where an HTTP API of the broker is; without TLS on this machine alone, for the login goes there."""
    if value is None:
        return None
    parts = _url(value, ("http", "https"))
    if parts.scheme == "http" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}:
        what = "is http://: the login would travel in the clear"
        raise wrong("", what, "write https://host:15671", "url_unencrypted")
    return value


def ews_url(value: str) -> str:
    """Accept an EWS endpoint."""
    https_url(value)
    if urlsplit(value).path in {"", "/"}:
        raise wrong("", "has no path", "EWS is usually at https://host/EWS/Exchange.asmx")
    return value


def scope(value: str | None) -> str | None:
    """Accept a scope for client credentials, which always ends with /.default."""
    if value is not None and not value.endswith("/.default"):
        raise wrong("", "does not end with /.default", "client credentials ask for https://host/.default")
    return value


def is_microsoft_host(url: str) -> bool:
    """Return whether the URL leads to Microsoft's cloud."""
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    return any(host == known or host.endswith("." + known) for known in _MICROSOFT)


def amqp_urls(values: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    """Accept one or several broker URLs."""
    if not values:
        raise wrong("", "is empty", 'give at least one, for example ["amqps://user:password@host:5671/vhost"]')
    for value in values:
        parts = _url(value.get_secret_value(), ("amqp", "amqps"))
        if parts.fragment:
            # An unescaped # in a password ends up here, and the host would be a piece of the password.
            raise wrong("", "has a fragment", "write # in a password as %23, / as %2F, @ as %40")
    if len({urlsplit(v.get_secret_value()).scheme for v in values}) > 1:
        raise wrong("", "mixes amqp:// and amqps://", "use one of them for all nodes")
    return values


def alias(value: str) -> str:
    """Accept what may be part of a queue's name."""
    if not re.fullmatch(r"[a-z0-9-]{1,64}", value):
        raise wrong("", "is no alias", "use 1 to 64 small letters, digits and hyphens")
    if value in RESERVED_ALIASES:
        raise wrong("", f"is a word that queue names use ({', '.join(sorted(RESERVED_ALIASES))})", "choose another")
    return value


def address(value: str) -> str:
    """Accept one plain SMTP address."""
    value = _without_quotes(value)
    local, at, domain = value.rpartition("@")
    if not (local and at and domain) or re.search(r"[\s<>,;:\"\x00-\x1f]", value) or "@" in local:
        fix = "write name@example.org, without a display name"
        raise wrong("", "is no SMTP address", fix, "setting_malformed" if value else "setting_missing")
    return value


def addresses(values: tuple[str, ...]) -> tuple[str, ...]:
    """Accept plain SMTP addresses."""
    return tuple(address(value) for value in values)


def after_publish(value: str) -> str:
    """Accept one of the ways to take a published mail out of the inbox."""
    kind, colon, folder = value.partition(":")
    if value in {"deleted_items", "soft_delete", "hard_delete"}:
        return value
    own = map(folder_path, OWN_FOLDERS)
    if kind == "move" and folder_path(folder.strip()) in own:
        raise wrong("", "moves mail into a folder that is the bridge's own", "name another folder")
    if kind == "move" and colon and folder_path(folder.strip()):
        return f"move:{folder.strip()}"
    raise wrong("", "is no way to remove a mail", "use deleted_items, soft_delete, hard_delete or move:<folder>")


def folders(values: tuple[str, ...]) -> tuple[str, ...]:
    """Accept folders that mail arrives in, each once."""
    if not values or len({folder_path(value) for value in values}) != len(values):
        raise wrong("", "must name at least one folder, each once", 'for example ["inbox"]')
    refused = {"deleteditems", "drafts", "outbox", "sentitems", "recoverableitemsdeletions"}
    refused |= set(map(folder_path, OWN_FOLDERS))
    if refused & {folder_path(value) for value in values}:
        raise wrong("", "names a folder that is no place for arriving mail", 'for example ["inbox", "junkemail"]')
    return tuple(value.strip("/") for value in values)


def listen(value: str) -> str:
    """Accept host:port, with an IPv6 address in brackets."""
    match = re.fullmatch(r"(\[[0-9a-fA-F:.%]+\]|[^\s:\[\]/]+):(\d{1,5})", value)
    if match is None or int(match[2]) > 65_535:
        raise wrong("", "is no host:port", "write 127.0.0.1:9464, 0.0.0.0:9464 or [::1]:9464")
    return value


def repeated(field: str, values: Sequence[str]) -> Iterator[Wrong]:
    """Yield a problem for each mailbox whose value an earlier one has already."""
    for index, value in enumerate(values):
        first = values.index(value)
        if first != index:
            text = f"is the same as that of mailboxes[{first}]"
            yield Wrong(f"mailboxes.{index}.{field}", text, f"give each mailbox its own {field}")
