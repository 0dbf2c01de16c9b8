"""What clients ask about mailboxes: GetMailTips, GetServiceConfiguration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.context import Single, child, children, single
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.operations import oof
from bridge.sandbox.store import folders

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from lxml import etree

    from bridge.sandbox.ews.context import Context
    from bridge.sandbox.store import Mailbox

MAX_MESSAGE_BYTES: Final = 36_700_160
"""35 MB, the limit for sending that a new mailbox of Exchange Online has."""
MOST_RECIPIENTS: Final = 200
_LARGE_AUDIENCE: Final = 25
_LARGE_AUDIENCE_CAP: Final = 1000


def get_mail_tips(context: Context, request: etree._Element) -> Single:
    """Answer for each recipient what a sender should know before sending."""
    wanted = set((request.findtext(xml.M + "MailTipsRequested") or "").split())
    recipients = children(child(request, "Recipients"))

    def get() -> str:
        if len(recipients) > MOST_RECIPIENTS:
            raise EwsError("ErrorInvalidRequest", f"The maximum number of recipients is {MOST_RECIPIENTS}.")
        with context.store.reading() as db:
            domains = _own_domains(db)
            listed = "".join(
                '<m:MailTipsResponseMessageType ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode>'
                f"<m:MailTips>{_tips(db, node, domains, wanted)}</m:MailTips></m:MailTipsResponseMessageType>"
                for node in recipients
            )
        return f"<m:ResponseMessages>{listed}</m:ResponseMessages>" if listed else ""

    return single(context, get)


def get_service_configuration(context: Context, request: etree._Element) -> Single:
    """Answer the configurations asked for, each in a message of its own."""
    names = [name for node in children(child(request, "RequestedConfiguration")) for name in (node.text or "").split()]

    def get() -> str:
        with context.store.reading() as db:
            domains = _own_domains(db)
        listed = "".join(
            '<m:ServiceConfigurationResponseMessageType ResponseClass="Success">'
            "<m:ResponseCode>NoError</m:ResponseCode>"
            f"{_CONFIGURATIONS[name](domains) if name in _CONFIGURATIONS else ''}"
            "</m:ServiceConfigurationResponseMessageType>"
            for name in names
        )
        return f"<m:ResponseMessages>{listed}</m:ResponseMessages>" if listed else ""

    return single(context, get)


def _tips(db: sqlite3.Connection, node: etree._Element, domains: frozenset[str], wanted: set[str]) -> str:
    address = (node.findtext(xml.T + "EmailAddress") or "").strip()
    found = folders.mailbox_by(db, "address", address)
    internal = address.rpartition("@")[2].lower() in domains
    name = found.display_name if found else node.findtext(xml.T + "Name") or address
    who = xml.element("Name", name) + xml.element("EmailAddress", address or name or "-")
    head = f"<t:RecipientAddress>{who}<t:RoutingType>SMTP</t:RoutingType></t:RecipientAddress><t:PendingMailTips/>"
    tips = {
        "OutOfOfficeMessage": _out_of_office(db, found) if found else "",
        "MailboxFullStatus": "<t:MailboxFull>false</t:MailboxFull>" if found else "",
        "TotalMemberCount": "<t:TotalMemberCount>1</t:TotalMemberCount>",
        "ExternalMemberCount": f"<t:ExternalMemberCount>{int(not internal)}</t:ExternalMemberCount>",
        "MaxMessageSize": f"<t:MaxMessageSize>{MAX_MESSAGE_BYTES}</t:MaxMessageSize>" if found else "",
        "DeliveryRestriction": "<t:DeliveryRestricted>false</t:DeliveryRestricted>",
        "ModerationStatus": "<t:IsModerated>false</t:IsModerated>",
        "InvalidRecipient": f"<t:InvalidRecipient>{xml.boolean(internal and not found)}</t:InvalidRecipient>",
    }
    return head + "".join(shown for kind, shown in tips.items() if wanted & {kind, "All"})


def _out_of_office(db: sqlite3.Connection, mailbox: Mailbox) -> str:
    settings = oof.settings_of(db, mailbox)
    away = oof.is_away(settings)
    reply = xml.element("Message", settings["InternalReply"] if away else "")
    duration = oof.duration_xml(settings) if away and settings["state"] == "Scheduled" else ""
    return f"<t:OutOfOffice><t:ReplyBody>{reply}</t:ReplyBody>{duration}</t:OutOfOffice>"


def _own_domains(db: sqlite3.Connection) -> frozenset[str]:
    return frozenset(one.address.rpartition("@")[2].lower() for one in folders.mailboxes(db))


def _domains_xml(domains: frozenset[str]) -> str:
    listed = "".join(f'<t:Domain Name="{xml.attribute(name)}" IncludeSubdomains="false"/>' for name in sorted(domains))
    return f"<t:InternalDomains>{listed}</t:InternalDomains>"


def _mail_tips_configuration(domains: frozenset[str]) -> str:
    return (
        "<m:MailTipsConfiguration><t:MailTipsEnabled>true</t:MailTipsEnabled>"
        f"<t:MaxRecipientsPerGetMailTipsRequest>{MOST_RECIPIENTS}</t:MaxRecipientsPerGetMailTipsRequest>"
        f"<t:MaxMessageSize>{MAX_MESSAGE_BYTES}</t:MaxMessageSize>"
        f"<t:LargeAudienceThreshold>{_LARGE_AUDIENCE}</t:LargeAudienceThreshold>"
        f"<t:ShowExternalRecipientCount>false</t:ShowExternalRecipientCount>{_domains_xml(domains)}"
        f"<t:PolicyTipsEnabled>false</t:PolicyTipsEnabled><t:LargeAudienceCap>{_LARGE_AUDIENCE_CAP}</t:LargeAudienceCap>"
        "</m:MailTipsConfiguration>"
    )


def _unified_messaging(_domains: frozenset[str]) -> str:
    return (
        "<m:UnifiedMessagingConfiguration><t:UmEnabled>false</t:UmEnabled><t:PlayOnPhoneDialString/>"
        "<t:PlayOnPhoneEnabled>false</t:PlayOnPhoneEnabled></m:UnifiedMessagingConfiguration>"
    )


def _protection_rules(domains: frozenset[str]) -> str:
    return (
        '<m:ProtectionRulesConfiguration RefreshInterval="24"><t:Rules/>'
        f"{_domains_xml(domains)}</m:ProtectionRulesConfiguration>"
    )


_CONFIGURATIONS: Final[dict[str, Callable[[frozenset[str]], str]]] = {
    "MailTips": _mail_tips_configuration,
    "UnifiedMessagingConfiguration": _unified_messaging,
    "ProtectionRules": _protection_rules,
}
