"""Raw EWS calls for tests: a token of the sandbox's Entra, one SOAP body, the answer's tree."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

import requests
from lxml import etree

if TYPE_CHECKING:
    from tests.support.sandbox import SandboxProcess

TYPES = "{http://schemas.microsoft.com/exchange/services/2006/types}"
MESSAGES = "{http://schemas.microsoft.com/exchange/services/2006/messages}"

_ENVELOPE = """<?xml version="1.0" encoding="utf-8"?>
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"
 xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"
 xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"><s:Header>
<t:RequestServerVersion Version="Exchange2016"/><t:ExchangeImpersonation><t:ConnectingSID>
<t:SmtpAddress>{address}</t:SmtpAddress></t:ConnectingSID></t:ExchangeImpersonation></s:Header>
<s:Body>{body}</s:Body></s:Envelope>"""


def envelope(address: str, body: str) -> bytes:
    """Return a whole request that acts in a mailbox."""
    return _ENVELOPE.format(address=escape(address), body=body).encode()


class EwsClient:
    """Calls EWS for one mailbox. One connection, no retries; the CA is the sandbox's."""

    def __init__(self, sandbox: SandboxProcess, address: str, *, timeout: float = 30) -> None:
        """Get a token."""
        self._info = sandbox.info
        self._address = address
        self._timeout = timeout
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = self._info["ca_file"]
        self.token = self.new_token()

    def new_token(self) -> str:
        """Return a token that Entra issues now."""
        form = {
            "grant_type": "client_credentials",
            "client_id": self._info["client_id"],
            "client_secret": self._info["client_secret"],
            "scope": "https://outlook.office365.com/.default",
        }
        url = f"{self._info['authority_url']}/oauth2/v2.0/token"
        answer = self.session.post(url, data=form, timeout=self._timeout)
        answer.raise_for_status()
        return str(answer.json()["access_token"])

    def post(self, body: str) -> requests.Response:
        """Return the HTTP answer to a SOAP body."""
        headers = {
            "Authorization": f"Bearer {self.token}",
            "Content-Type": "text/xml; charset=utf-8",
            "X-AnchorMailbox": self._address,
        }
        data = envelope(self._address, body)
        return self.session.post(self._info["ews_url"], data=data, headers=headers, timeout=self._timeout)

    def call(self, body: str) -> etree._Element:
        """Return the tree of an answer that came with 200."""
        answer = self.post(body)
        assert answer.status_code == 200, answer.text[:2000]
        return etree.fromstring(answer.content)

    def codes(self, body: str) -> list[str]:
        """Return the response codes of a call's items."""
        return [str(element.text) for element in self.call(body).iter(f"{MESSAGES}ResponseCode")]

    def find(self, folder: str) -> list[str]:
        """Return the ids of a distinguished folder's items, of the first thousand."""
        answer = self.call(
            '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>'
            '<m:IndexedPageItemView MaxEntriesReturned="1000" Offset="0" BasePoint="Beginning"/>'
            f'<m:ParentFolderIds><t:DistinguishedFolderId Id="{folder}"/></m:ParentFolderIds></m:FindItem>'
        )
        return [str(element.get("Id")) for element in answer.iter(f"{TYPES}ItemId")]

    @staticmethod
    def get(*item_ids: str) -> str:
        """Return the body that asks for the MIME of items."""
        ids = "".join(f'<t:ItemId Id="{item_id}"/>' for item_id in item_ids)
        return (
            "<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:IncludeMimeContent>true</t:IncludeMimeContent>"
            f"</m:ItemShape><m:ItemIds>{ids}</m:ItemIds></m:GetItem>"
        )

    @staticmethod
    def send(mime: bytes) -> str:
        """Return the body that sends a mail and keeps a copy."""
        content = base64.b64encode(mime).decode()
        return (
            '<m:CreateItem MessageDisposition="SendAndSaveCopy"><m:SavedItemFolderId>'
            '<t:DistinguishedFolderId Id="sentitems"/></m:SavedItemFolderId><m:Items><t:Message>'
            f"<t:MimeContent>{content}</t:MimeContent></t:Message></m:Items></m:CreateItem>"
        )
