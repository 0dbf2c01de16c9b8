"""Faults of Exchange: on the way, in its policies, in the app's role and scope, in the mailbox."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bridge.adapters.entra.factory import sign_in
from bridge.adapters.ews.client import EwsClient, EwsConnection
from bridge.adapters.ews.sender import EwsSender
from bridge.adapters.ews.trial import EwsTrial
from bridge.adapters.ews.watched import WatchedFolders
from bridge.config import load
from bridge.domain.outbound_records import Stamp
from bridge.domain.parking import PARKED_FOLDER
from tests.identity.faults.ground import CLOSED, MAILBOX, closed_port
from tests.identity.faults.plant import IN_THE_LOG, IN_USE, NO_FILE, Plant, only_check, with_variables, within
from tests.identity.faults.plants_entra import MICROSOFT, proxied
from tests.support.certificates import TestAuthority

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.identity.faults.ground import Ground
    from tests.identity.faults.plant import Environment, Planting

_EWS = {"service": "ews"}
_OPENS_NO_OTHER = only_check("it opens no mailbox but its own")


def _url(ground: Ground, host: str, port: int) -> Environment:
    return {"BRIDGE_EWS__URL": f"https://{host}:{port}/EWS/Exchange.asmx"}


def _settings(**settings: object) -> Planting:
    return within(lambda g: g.sandbox.settings(**settings))


def _refused(operation: str, code: str) -> Planting:
    """Have Exchange refuse one operation for want of a right."""
    return within(lambda g: g.fault("item_error", match={"service": "ews", "operation": operation}, code=code))


@contextmanager
def _junk(ground: Ground) -> Iterator[Environment]:
    ground.deliver()
    ground.move_mail('<t:DistinguishedFolderId Id="junkemail"/>')
    try:
        yield {}
    finally:
        ground.empty("junkemail")


@contextmanager
def _parked(ground: Ground) -> Iterator[Environment]:
    ground.deliver()
    soap = ground.soap()
    soap.call(
        '<m:CreateFolder><m:ParentFolderId><t:DistinguishedFolderId Id="msgfolderroot"/></m:ParentFolderId>'
        f"<m:Folders><t:Folder><t:DisplayName>{PARKED_FOLDER}</t:DisplayName></t:Folder></m:Folders></m:CreateFolder>"
    )
    [folder] = [one["id"] for one in ground.sandbox.folders(MAILBOX) if one["name"] == PARKED_FOLDER]
    ground.move_mail(f'<t:FolderId Id="{folder}"/>')
    try:
        yield {}
    finally:
        soap.call(
            f'<m:DeleteFolder DeleteType="HardDelete"><m:FolderIds><t:FolderId Id="{folder}"/></m:FolderIds>'
            "</m:DeleteFolder>"
        )


@contextmanager
def _nearly_full(ground: Ground) -> Iterator[Environment]:
    """Most of its quota lies in a folder that nobody reads; there is room for what check makes."""
    ground.deliver(b"x" * 70 + b"\r\n", times=140_000)
    ground.move_mail('<t:DistinguishedFolderId Id="sentitems"/>')
    try:
        with ground.sandbox.settings(mailboxes={MAILBOX: {"mailbox_bytes": 10_700_000}}):
            yield {}
    finally:
        ground.empty("sentitems")


@contextmanager
def _old_mail(ground: Ground) -> Iterator[Environment]:
    with ground.sandbox.settings(exchange_clock_ahead_seconds=-30 * 86_400):
        ground.deliver()
    try:
        yield {}
    finally:
        ground.empty("inbox")


@contextmanager
def _too_fast(ground: Ground) -> Iterator[Environment]:
    with proxied(ground, *MICROSOFT) as variables:
        yield {**variables, "BRIDGE_MAILBOXES__0__SEND_RATE_PER_MINUTE": "60"}


@contextmanager
def _used_up(ground: Ground) -> Iterator[Environment]:
    """With a send that the ledger remembers."""
    client = EwsClient(
        EwsConnection(ground.sandbox.info["ews_url"], ca_file=ground.sandbox.ca_file),
        tokens=sign_in("default", load(None, ground.environment).settings.apps_in_use["default"]).tokens(),
    )
    trial = EwsTrial(client, MAILBOX, WatchedFolders(client, MAILBOX, (), None))
    try:
        asyncio.run(EwsSender(client, MAILBOX).enter_begun(Stamp("r-1", "a-1", "d-1"), recipients=1))
        yield {"BRIDGE_MAILBOXES__0__RECIPIENTS_PER_DAY": "1"}
    finally:
        for _, folder in asyncio.run(trial.folders_named("Bridge Sends")):
            asyncio.run(trial.delete_folder(folder))
        client.close()


@contextmanager
def _scope_without_ews(ground: Ground) -> Iterator[Environment]:
    closed = {CLOSED: {"ews_enabled": False}}
    with ground.app_with(mailboxes=[MAILBOX, CLOSED]), ground.sandbox.settings(mailboxes=closed):
        yield {}


@contextmanager
def _scope_without_account(ground: Ground) -> Iterator[Environment]:
    closed = {"service": "ews", "mailbox": CLOSED}
    with (
        ground.app_with(mailboxes=[MAILBOX, CLOSED]),
        ground.fault("item_error", match=closed, code="ErrorAccountDisabled"),
    ):
        yield {}


@contextmanager
def _moving(ground: Ground) -> Iterator[Environment]:
    ground.sandbox.admin(f"/mailboxes/{MAILBOX}/move", method="POST", body={"seconds": 3600})
    try:
        yield {}
    finally:
        ground.sandbox.admin(f"/mailboxes/{MAILBOX}/move", method="POST", body={"seconds": 0})


def _by_password(ground: Ground, password: str) -> Environment:
    [user] = [one for one in ground.sandbox.info["mailboxes"] if one["address"] == MAILBOX]
    entra = ("TENANT_ID", "CLIENT_ID", "AUTHORITY_URL", "GRAPH_URL", "CA_FILE")
    return {
        **NO_FILE,
        **{f"BRIDGE_ENTRA__{name}": None for name in entra},
        "BRIDGE_EWS__AUTH": "basic",
        "BRIDGE_MAILBOXES__0__USERNAME": user["username"],
        "BRIDGE_MAILBOXES__0__PASSWORD": password or user["password"],
    }


PLANTS = [
    # On the way
    Plant(
        "the EWS host's name cannot be resolved",
        "name_unresolved",
        with_variables(lambda g: _url(g, "nowhere.invalid", 443)),
    ),
    Plant(
        "nothing listens at the port of EWS",
        "host_unreachable",
        with_variables(lambda g: _url(g, "127.0.0.1", closed_port())),
    ),
    Plant(
        "ews.ca_file is another CA's",
        "tls_untrusted",
        with_variables(lambda g: {"BRIDGE_EWS__CA_FILE": str(TestAuthority(g.directory, "other").file)}),
    ),
    Plant(
        "the EWS host shows an expired certificate",
        "tls_certificate_expired",
        within(lambda g: g.fault("certificate_expired", match=_EWS)),
    ),
    Plant(
        "the EWS host shows a certificate for another name",
        "tls_wrong_host",
        within(lambda g: g.fault("certificate_wrong_host", match=_EWS)),
    ),
    Plant(
        "the path of ews.url is wrong",
        "mailbox_unavailable",
        with_variables(lambda g: {"BRIDGE_EWS__URL": g.sandbox.info["ews_url"].replace("/EWS/", "/ESW/")}),
    ),
    Plant("EWS answers 503", "mailbox_throttled", within(lambda g: g.fault("unavailable", match=_EWS))),
    Plant(
        "a gateway answers in the place of EWS",
        "mailbox_unavailable",
        within(lambda g: g.fault("http_error", match=_EWS, status=502)),
    ),
    Plant(
        "the login page of a network answers in the place of EWS",
        "page_instead_of_answer",
        within(lambda g: g.fault("html_page", match=_EWS)),
    ),
    Plant(
        "EWS is that of Exchange Online, which ends on 1 April 2027",
        "ews_ends",
        lambda g: proxied(g, *MICROSOFT),
        state="warning",
        worker=only_check("it is a date; from that day on EWS answers as to a blocked app, which a worker tells"),
    ),
    # Policies
    Plant(
        "EWS is switched off for the tenant",
        "ews_disabled",
        _settings(ews_enabled=False),
        also=frozenset({"ews_disabled"}),
    ),
    Plant(
        "EWS is switched off for the mailbox", "ews_disabled", _settings(mailboxes={MAILBOX: {"ews_enabled": False}})
    ),
    Plant(
        "the app is not in EwsAllowedAppIDs",
        "ews_blocked",
        _settings(allowed_app_ids=["00000000-0000-4000-8000-000000000000"]),
    ),
    Plant("EwsAllowedAppIDs is empty", "ews_blocked", _settings(allowed_app_ids=[])),
    Plant(
        "the list of user agents keeps the bridge out",
        "ews_blocked",
        _settings(user_agent_policy="EnforceAllowList", user_agents=["Outlook*"]),
    ),
    # The app's role and its scope
    Plant("the app has no role anywhere", "app_without_role", within(lambda g: g.app_with(mailboxes=[]))),
    Plant(
        "the app has consent for something else than EWS",
        "token_role_wrong",
        within(lambda g: g.app_with(mailboxes=[], roles=["Mail.Read"])),
    ),
    Plant(
        "the mailbox is outside the scope of the app's role",
        "impersonation_denied",
        within(lambda g: g.app_with(mailboxes=[CLOSED])),
    ),
    Plant(
        "the scope of the app's role holds a mailbox that must stay closed",
        "scope_too_wide",
        within(lambda g: g.app_with(mailboxes=[MAILBOX, CLOSED])),
        worker=_OPENS_NO_OTHER,
    ),
    Plant(
        "consent to full_access_as_app beside the app's scoped role",
        "scope_too_wide",
        within(lambda g: g.app_with(roles=["full_access_as_app"])),
        worker=_OPENS_NO_OTHER,
    ),
    Plant(
        "consent to full_access_as_app, and nothing under must_not_reach",
        "access_unlimited",
        within(
            lambda g: g.app_with(roles=["full_access_as_app"]), lambda _: {"BRIDGE_MAILBOXES__0__MUST_NOT_REACH": None}
        ),
        state="warning",
        worker=_OPENS_NO_OTHER,
    ),
    Plant(
        "a mailbox under must_not_reach does not exist",
        "scope_unproved",
        with_variables(lambda _: {"BRIDGE_MAILBOXES__0__MUST_NOT_REACH": "nobody@example.org"}),
        state="warning",
        worker=_OPENS_NO_OTHER,
    ),
    Plant(
        "a mailbox under must_not_reach is in the app's scope, and EWS is switched off for it",
        "scope_unproved",
        _scope_without_ews,
        state="warning",
        worker=_OPENS_NO_OTHER,
    ),
    Plant(
        "a mailbox under must_not_reach is in the app's scope, and its account is disabled",
        "scope_unproved",
        _scope_without_account,
        state="warning",
        worker=_OPENS_NO_OTHER,
    ),
    Plant(
        "the password of an account on Exchange Server is wrong",
        "login_refused",
        with_variables(lambda g: _by_password(g, "wrong")),
    ),
    Plant(
        "an account on Exchange Server with its password (works)",
        "ok",
        with_variables(lambda g: _by_password(g, "")),
        state="ok",
    ),
    # The mailbox
    Plant(
        "the mailbox does not exist",
        "mailbox_not_found",
        with_variables(lambda _: {"BRIDGE_MAILBOXES__0__ADDRESS": "nobody@example.org"}),
    ),
    Plant(
        "a watched folder does not exist",
        "folder_not_found",
        with_variables(lambda _: {"BRIDGE_MAILBOXES__0__FOLDERS": "inbox/Nowhere"}),
    ),
    Plant(
        "the folder of after_publish does not exist",
        "folder_not_found",
        with_variables(lambda _: {"BRIDGE_MAILBOXES__0__AFTER_PUBLISH": "move:Nowhere"}),
    ),
    Plant(
        "no right to make a draft",
        "mailbox_access_denied",
        _refused("CreateItem", "ErrorCreateItemAccessDenied"),
        worker=IN_USE,
    ),
    Plant("no right to read a mail", "mailbox_access_denied", _refused("GetItem", "ErrorAccessDenied"), worker=IN_USE),
    Plant(
        "no right to make a folder",
        "mailbox_access_denied",
        _refused("CreateFolder", "ErrorCreateSubfolderAccessDenied"),
        worker=IN_USE,
    ),
    Plant("no right to move a mail", "mailbox_access_denied", _refused("MoveItem", "ErrorAccessDenied"), worker=IN_USE),
    Plant("the mailbox is full", "mailbox_full", _settings(mailboxes={MAILBOX: {"mailbox_bytes": 0}})),
    Plant("the mailbox is nearly full", "mailbox_nearly_full", _nearly_full, state="warning"),
    Plant("the mailbox is being moved", "mailbox_unavailable", _moving),
    Plant("mail waits in the junk folder", "junk_waits", _junk, state="warning"),
    Plant("mail lies in Bridge Parked", "mail_parked", _parked, state="warning"),
    Plant(
        "a mail has waited in the inbox for a month", "old_mail_waits", _old_mail, state="warning", worker=IN_THE_LOG
    ),
    Plant(
        "more mails a minute are configured than Exchange Online sends",
        "send_limit_exceeded",
        _too_fast,
        state="warning",
        also=frozenset({"ews_ends"}),
        worker=only_check("it is two numbers; that Exchange holds mail back shows as `mailbox_throttled`"),
    ),
    Plant("as many recipients as a day may have were written to", "send_limit_reached", _used_up, state="warning"),
]
