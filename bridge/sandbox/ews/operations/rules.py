"""
GetInboxRules and UpdateInboxRules.

Rules are kept and shown as they were given, in the order of their priority. What they do with a mail that arrives is in
`store/inboxrules.py`; nothing is forwarded or redirected.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Any, Final

from lxml import etree

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.context import Single, child, children, single
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.store import folders, foldertree, inboxrules
from bridge.sandbox.store.database import next_counter

if TYPE_CHECKING:
    import sqlite3

    from bridge.sandbox.ews.context import Context
    from bridge.sandbox.store import Mailbox

_MOST_RULES: Final = 1000
_PARTS: Final = ("Conditions", "Exceptions", "Actions")
_TO_PEOPLE: Final = ("ForwardAsAttachmentToRecipients", "ForwardToRecipients", "RedirectToRecipients")
_TO_FOLDERS: Final = ("CopyToFolder", "MoveToFolder")
_MESSAGES: Final = {
    "CreateWithRuleId": "The RuleId can't be set when a rule is created.",
    "DuplicatedOperationOnTheSameRule": "There are several operations on the same rule.",
    "FolderDoesNotExist": "The folder doesn't exist.",
    "InvalidAddress": "The address is invalid.",
    "InvalidValue": "The value is invalid.",
    "MissingAction": "The rule has no action.",
    "RuleNotFound": "The rule wasn't found.",
    "UnsupportedRule": "The operation on this unsupported rule is not allowed.",
}
_Rule = dict[str, Any]


class _RuleError(Exception):
    """An operation makes no rule: the property that is wrong, the code, the text, the value."""

    def __init__(self, uri: str, code: str, value: str = "", text: str | None = None) -> None:
        super().__init__(code)
        self.uri, self.code, self.value, self.text = uri, code, value, text or _MESSAGES[code]


def get_inbox_rules(context: Context, request: etree._Element) -> Single:
    """Answer the rules of the mailbox acted in."""

    def get() -> str:
        with context.store.reading() as db:
            rules = _kept(db, _mailbox(context, db, request))
        listed = "".join(_shown(rule) for rule in rules)
        shown = f"<m:InboxRules>{listed}</m:InboxRules>" if listed else ""
        return f"<m:OutlookRuleBlobExists>false</m:OutlookRuleBlobExists>{shown}"

    return single(context, get)


def update_inbox_rules(context: Context, request: etree._Element) -> Single:
    """Make, change and delete rules: all that the request says, or nothing where one of them makes no sense."""
    errors: list[str] = []

    def change() -> str:
        with context.store.writing() as db:
            mailbox = _mailbox(context, db, request)
            rules = _kept(db, mailbox)
            touched: set[str] = set()
            for number, operation in enumerate(children(child(request, "Operations"))):
                try:
                    rules = _applied(context, db, rules, operation, touched)
                except _RuleError as error:
                    errors.append(_error_xml(number, error))
            if not errors:
                root = folders.folder(db, mailbox.id, "root")
                foldertree.keep_quietly(
                    db, root, {**root.bag, inboxrules.KEY: sorted(rules, key=lambda one: one["priority"])}
                )
        return ""

    answer = single(context, change)
    if not errors:
        return answer
    return Single(
        "<m:MessageText>A validation error occurred while executing the rule operation.</m:MessageText>"
        "<m:ResponseCode>ErrorInboxRulesValidationError</m:ResponseCode><m:DescriptiveLinkKey>0</m:DescriptiveLinkKey>"
        f"<m:RuleOperationErrors>{''.join(errors)}</m:RuleOperationErrors>",
        "Error",
    )


def _mailbox(context: Context, db: sqlite3.Connection, request: etree._Element) -> Mailbox:
    address = (request.findtext(xml.M + "MailboxSmtpAddress") or "").strip()
    own = context.own_mailbox()
    if address and address.lower() != own.address.lower():
        known = folders.mailbox_by(db, "address", address) is not None
        raise EwsError("ErrorAccessDenied" if known else "ErrorNonExistentMailbox")
    return own


def _kept(db: sqlite3.Connection, mailbox: Mailbox) -> list[_Rule]:
    kept: list[_Rule] = folders.folder(db, mailbox.id, "root").bag.get(inboxrules.KEY, [])
    return kept


def _applied(
    context: Context, db: sqlite3.Connection, rules: list[_Rule], operation: etree._Element, touched: set[str]
) -> list[_Rule]:
    """Return the rules as one operation makes them."""
    if operation.tag == xml.T + "DeleteRuleOperation":
        identifier = operation.findtext(xml.T + "RuleId") or ""
        _check_once(identifier, rules, touched)
        return [one for one in rules if one["id"] != identifier]
    node = next(iter(children(operation)))
    identifier = node.findtext(xml.T + "RuleId") or ""
    if operation.tag == xml.T + "CreateRuleOperation":
        if identifier:
            raise _RuleError("RuleId", "CreateWithRuleId", identifier)
        if len(rules) >= _MOST_RULES:
            raise _RuleError("RuleId", "InvalidValue")
        identifier = b64encode(b"\x00\x00\x00\x00" + next_counter(db).to_bytes(8, "big")).decode()
        return [*rules, _read(context, db, node, identifier)]
    _check_once(identifier, rules, touched)
    changed = _read(context, db, node, identifier)
    return [changed if one["id"] == identifier else one for one in rules]


def _check_once(identifier: str, rules: list[_Rule], touched: set[str]) -> None:
    if identifier in touched:
        raise _RuleError("RuleId", "DuplicatedOperationOnTheSameRule", identifier)
    if all(one["id"] != identifier for one in rules):
        raise _RuleError("RuleId", "RuleNotFound", identifier)
    touched.add(identifier)


def _read(context: Context, db: sqlite3.Connection, node: etree._Element, identifier: str) -> _Rule:
    priority = int(node.findtext(xml.T + "Priority") or "0")
    if priority < 1:
        raise _RuleError("Priority", "InvalidValue", str(priority))
    actions = node.find(xml.T + "Actions")
    if actions is None or not children(actions):
        raise _RuleError("Actions", "MissingAction")
    for action in children(actions):
        _check_action(context, db, action)
    parts = {part: found for part in _PARTS if (found := node.find(xml.T + part)) is not None and children(found)}
    return {
        "id": identifier,
        "name": node.findtext(xml.T + "DisplayName") or "",
        "priority": priority,
        "enabled": xml.truth(node.findtext(xml.T + "IsEnabled")),
        **{part: etree.tostring(found, encoding="unicode", with_tail=False) for part, found in parts.items()},
    }


def _check_action(context: Context, db: sqlite3.Connection, action: etree._Element) -> None:
    name = str(action.tag).rpartition("}")[2]
    uri = f"Action:{name}"
    if name == "SendSMSAlertToRecipients":
        raise _RuleError(uri, "UnsupportedRule")
    if name == "ServerReplyWithMessage":
        # Client tests found that Exchange takes no id here, whatever it is.
        raise _RuleError(uri, "InvalidValue", text="Id must be non-empty.")
    if name in _TO_PEOPLE:
        addresses = [one.findtext(xml.T + "EmailAddress") or "" for one in children(action)]
        if not addresses or not all("@" in one for one in addresses):
            raise _RuleError(uri, "InvalidAddress", next((one for one in addresses if "@" not in one), ""))
    if name in _TO_FOLDERS:
        try:
            context.find_folder(db, action)
        except EwsError as error:
            raise _RuleError(uri, "FolderDoesNotExist") from error


def _shown(rule: _Rule) -> str:
    return (
        f"<t:Rule><t:RuleId>{xml.text(rule['id'])}</t:RuleId>{xml.element('DisplayName', rule['name'])}"
        f"<t:Priority>{rule['priority']}</t:Priority><t:IsEnabled>{xml.boolean(rule['enabled'])}</t:IsEnabled>"
        f"<t:IsInError>false</t:IsInError>{''.join(rule.get(part, '') for part in _PARTS)}</t:Rule>"
    )


def _error_xml(number: int, error: _RuleError) -> str:
    what = (
        f"<t:FieldURI>{error.uri}</t:FieldURI><t:ErrorCode>{error.code}</t:ErrorCode>"
        + xml.element("ErrorMessage", error.text)
        + xml.element("FieldValue", error.value)
    )
    return (
        f"<t:RuleOperationError><t:OperationIndex>{number}</t:OperationIndex><t:ValidationErrors><t:Error>{what}</t:Error>"
        "</t:ValidationErrors></t:RuleOperationError>"
    )
