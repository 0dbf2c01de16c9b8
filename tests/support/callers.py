"""Those who call EWS in tests: apps with secrets, users with passwords, and the raw calls that they make."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape

import requests
from lxml import etree

if TYPE_CHECKING:
    from requests.auth import AuthBase

    from tests.support.sandbox import SandboxProcess

EXCHANGE = "https://outlook.office365.com"
AS_USER = f"{EXCHANGE}/EWS.AccessAsUser.All"
DISPATCH, CREW, CHIEF = "dispatch@example.org", "crew@example.org", "chief@example.org"
INBOX = '<t:DistinguishedFolderId Id="inbox"/>'

_ENVELOPE = """<?xml version="1.0" encoding="utf-8"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"
 xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"
 xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"><s:Header>
<t:RequestServerVersion Version="{version}"/>{impersonation}</s:Header>
<s:Body>{body}</s:Body></s:Envelope>"""
_IMPERSONATION = (
    "<t:ExchangeImpersonation><t:ConnectingSID><t:{kind}>{who}</t:{kind}></t:ConnectingSID></t:ExchangeImpersonation>"
)


def session(sandbox: SandboxProcess) -> requests.Session:
    """Return a client of the sandbox's HTTPS ports that heeds nothing of its surroundings."""
    made = requests.Session()
    made.trust_env = False
    made.verify = sandbox.info["ca_file"]
    return made


def new_app(sandbox: SandboxProcess, **given: Any) -> dict[str, Any]:
    """Return a further app, which has the rights that are given and no others."""
    made: dict[str, Any] = sandbox.admin("/apps", method="POST", body={"name": "another", **given})
    return made


def ask_for_token(sandbox: SandboxProcess, **form: str) -> requests.Response:
    """Return what Entra's token endpoint answers."""
    url = f"{sandbox.info['authority_url']}/oauth2/v2.0/token"
    return session(sandbox).post(url, data=form, timeout=30)


def app_token(sandbox: SandboxProcess, app: dict[str, Any], resource: str = EXCHANGE) -> str:
    """Return a token of an app's own."""
    answer = ask_for_token(
        sandbox,
        grant_type="client_credentials",
        client_id=app["client_id"],
        client_secret=app["client_secret"],
        scope=f"{resource}/.default",
    )
    answer.raise_for_status()
    return str(answer.json()["access_token"])


def user_tokens(sandbox: SandboxProcess, app: dict[str, Any], address: str, scope: str = AS_USER) -> dict[str, Any]:
    """Return what an app gets for a user who gives it name and password."""
    answer = ask_for_token(
        sandbox,
        grant_type="password",
        client_id=app["client_id"],
        client_secret=app["client_secret"],
        username=address,
        password=password_of(sandbox, address),
        scope=f"{scope} openid profile offline_access",
    )
    answer.raise_for_status()
    found: dict[str, Any] = answer.json()
    return found


def password_of(sandbox: SandboxProcess, address: str) -> str:
    """Return a user's password, as sandbox.json said it at the start."""
    return next(str(one["password"]) for one in sandbox.info["mailboxes"] if one["address"] == address)


def call(
    sandbox: SandboxProcess,
    body: str,
    *,
    token: str | None = None,
    auth: AuthBase | tuple[str, str] | None = None,
    impersonate: str | None = None,
    by: str = "SmtpAddress",
    anchor: str | None = None,
    version: str = "Exchange2016",
) -> requests.Response:
    """Return the answer to a raw SOAP call; who is impersonated is the anchor mailbox unless another is given."""
    headers = {"Content-Type": "text/xml; charset=utf-8"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    if anchor is None and impersonate is not None:
        anchor = impersonate
    if anchor:
        headers["X-AnchorMailbox"] = anchor
    content = envelope(body, impersonate=impersonate, by=by, version=version)
    return session(sandbox).post(sandbox.info["ews_url"], data=content, headers=headers, auth=auth, timeout=60)


def envelope(
    body: str, *, impersonate: str | None = None, by: str = "SmtpAddress", version: str = "Exchange2016"
) -> bytes:
    """Return a SOAP request."""
    impersonation = "" if impersonate is None else _IMPERSONATION.format(kind=by, who=escape(impersonate))
    return _ENVELOPE.format(version=version, impersonation=impersonation, body=body).encode()


def codes(answer: requests.Response) -> list[str]:
    """Return the response codes of an answer, a fault's included."""
    tree = etree.fromstring(answer.content)
    return [str(node.text) for node in tree.iter() if str(node.tag).endswith("}ResponseCode")]


def get_folder(folder: str = INBOX) -> str:
    """Return the body that asks for a folder."""
    return (
        "<m:GetFolder><m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape>"
        f"<m:FolderIds>{folder}</m:FolderIds></m:GetFolder>"
    )


def folder_of(address: str, folder: str = "inbox") -> str:
    """Return the id of a distinguished folder in somebody's mailbox."""
    return (
        f'<t:DistinguishedFolderId Id="{folder}"><t:Mailbox><t:EmailAddress>{escape(address)}</t:EmailAddress>'
        "</t:Mailbox></t:DistinguishedFolderId>"
    )
