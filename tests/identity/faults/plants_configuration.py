"""Faults that the configuration itself shows, and values that look wrong and work."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tests.identity.faults.ground import MAILBOX
from tests.identity.faults.plant import IN_THE_LOG, NO_FILE, NO_START, SECRET, Plant, with_variables

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.identity.faults.ground import Ground

_Variables = dict[str, str | None]
_SETTINGS: dict[str, tuple[str, Callable[[Ground], str]]] = {
    "entra.tenant_id": ("BRIDGE_ENTRA__TENANT_ID", lambda g: str(g.sandbox.info["tenant_id"])),
    "entra.client_id": ("BRIDGE_ENTRA__CLIENT_ID", lambda g: str(g.app["client_id"])),
    "entra.client_secret": ("BRIDGE_ENTRA__CLIENT_SECRET", lambda g: str(g.app["client_secret"])),
    "mailboxes[0].address": ("BRIDGE_MAILBOXES__0__ADDRESS", lambda _: MAILBOX),
}
"""The four settings of an administrator."""


def _in_file(ground: Ground, content: str, mode: int = 0o600) -> _Variables:
    """Return the variables for a secret in a file."""
    return {"BRIDGE_ENTRA__CLIENT_SECRET_FILE": str(ground.file("planted-secret", content, mode=mode))}


def _under(variable: str, value: Callable[[Ground], str]) -> Callable[[Ground], _Variables]:
    # The secret is in a file usually, and given once.
    return lambda ground: {**(NO_FILE if variable == SECRET else {}), variable: value(ground)}


def _of_each(how: str, code: str, change: Callable[[str], str]) -> list[Plant]:
    return [
        Plant(
            f"{key} {how}",
            code,
            with_variables(_under(variable, lambda g, value=value: change(value(g)))),  # type: ignore[misc]
            state="ok" if code == "ok" else "failed",
        )
        for key, (variable, value) in _SETTINGS.items()
    ]


_PLANTS = [
    *_of_each("is empty", "setting_missing", lambda _: ""),
    *_of_each("has quotes around it", "setting_quoted", lambda value: f'"{value}"'),
    *_of_each("has spaces around it (works)", "ok", lambda value: f"  {value} "),
    *_of_each("ends with a line end (works)", "ok", lambda value: f"{value}\r\n"),
    Plant(
        "entra.tenant_id and entra.client_secret are swapped",
        "setting_malformed",
        with_variables(
            lambda g: {
                **NO_FILE,
                "BRIDGE_ENTRA__TENANT_ID": g.app["client_secret"],
                "BRIDGE_ENTRA__CLIENT_SECRET": g.sandbox.info["tenant_id"],
            }
        ),
    ),
    Plant(
        "entra.client_id and entra.client_secret are swapped",
        "setting_malformed",
        with_variables(
            lambda g: {
                **NO_FILE,
                "BRIDGE_ENTRA__CLIENT_ID": g.app["client_secret"],
                "BRIDGE_ENTRA__CLIENT_SECRET": g.app["client_id"],
            }
        ),
    ),
    Plant(
        "mailboxes[0].address and entra.tenant_id are swapped",
        "setting_malformed",
        with_variables(
            lambda g: {
                "BRIDGE_MAILBOXES__0__ADDRESS": g.sandbox.info["tenant_id"],
                "BRIDGE_ENTRA__TENANT_ID": MAILBOX,
            }
        ),
    ),
    Plant(
        "mailboxes[0].address and entra.client_id are swapped",
        "setting_malformed",
        with_variables(
            lambda g: {
                "BRIDGE_MAILBOXES__0__ADDRESS": g.app["client_id"],
                "BRIDGE_ENTRA__CLIENT_ID": MAILBOX,
            }
        ),
    ),
    Plant(
        "mailboxes[0].address and entra.client_secret are swapped",
        "setting_malformed",
        with_variables(
            lambda g: {
                **NO_FILE,
                "BRIDGE_MAILBOXES__0__ADDRESS": g.app["client_secret"],
                "BRIDGE_ENTRA__CLIENT_SECRET": MAILBOX,
            }
        ),
    ),
    Plant(
        "entra.client_secret is the client id",
        "setting_misplaced",
        with_variables(_under("BRIDGE_ENTRA__CLIENT_SECRET", lambda g: str(g.app["client_id"]))),
    ),
    Plant(
        "entra.client_id is the tenant id",
        "setting_misplaced",
        with_variables(_under("BRIDGE_ENTRA__CLIENT_ID", lambda g: str(g.sandbox.info["tenant_id"]))),
    ),
    Plant(
        "mailboxes[0].address has a display name",
        "setting_malformed",
        with_variables(lambda _: {"BRIDGE_MAILBOXES__0__ADDRESS": f"Dispatch <{MAILBOX}>"}),
    ),
    Plant(
        "the key entra.tennant_id, which there is not",
        "setting_unknown",
        with_variables(lambda g: {"BRIDGE_ENTRA__TENNANT_ID": g.sandbox.info["tenant_id"]}),
    ),
    Plant(
        "the client secret's file does not exist",
        "setting_file_unusable",
        with_variables(lambda g: {"BRIDGE_ENTRA__CLIENT_SECRET_FILE": str(g.directory / "nowhere")}),
    ),
    Plant(
        "the client secret's file is empty",
        "setting_file_unusable",
        with_variables(lambda g: _in_file(g, "\n")),
    ),
    Plant(
        "the client secret's file may be read by everybody",
        "readable_by_everyone",
        with_variables(lambda g: _in_file(g, g.app["client_secret"], mode=0o644)),
        state="warning",
    ),
    Plant(
        "the client secret's file ends with a line end and begins with a byte order mark (works)",
        "ok",
        with_variables(lambda g: _in_file(g, f"\ufeff{g.app['client_secret']}\r\n")),
        state="ok",
    ),
    Plant(
        "the client secret has quotes around it in its file",
        "setting_quoted",
        with_variables(lambda g: _in_file(g, f"'{g.app['client_secret']}'")),
    ),
    Plant(
        "a password beside OAuth",
        "configuration",
        with_variables(lambda _: {"BRIDGE_MAILBOXES__0__PASSWORD": "hunter2"}),
    ),
    Plant(
        "a secret and a federated token for one app",
        "configuration",
        with_variables(lambda g: {"BRIDGE_ENTRA__FEDERATED_TOKEN_FILE": str(g.file("planted.jwt", "a.b.c"))}),
    ),
    Plant(
        "basic authentication for a host of Microsoft's",
        "configuration",
        with_variables(
            lambda _: {
                "BRIDGE_EWS__AUTH": "basic",
                "BRIDGE_EWS__URL": "https://outlook.office365.com/EWS/Exchange.asmx",
            }
        ),
    ),
    Plant(
        "ews.url is http://",
        "url_unencrypted",
        with_variables(lambda g: {"BRIDGE_EWS__URL": g.sandbox.info["ews_url"].replace("https:", "http:")}),
    ),
    Plant(
        "entra.authority_url is http://",
        "url_unencrypted",
        with_variables(
            lambda g: {"BRIDGE_ENTRA__AUTHORITY_URL": g.sandbox.info["authority_url"].replace("s:", ":", 1)}
        ),
    ),
    Plant(
        "ews.ca_file holds no certificate",
        "setting_file_unusable",
        with_variables(lambda g: {"BRIDGE_EWS__CA_FILE": str(g.file("planted-ca.pem", "nothing\n"))}),
    ),
    Plant(
        "rabbitmq.urls is https://",
        "setting_malformed",
        with_variables(lambda g: {"BRIDGE_RABBITMQ__URLS": g.management_url.replace("http:", "https:")}),
    ),
]

# A worker reads its configuration once, before anything else.
PLANTS = [replace(plant, worker=NO_START if plant.state == "failed" else IN_THE_LOG) for plant in _PLANTS]
