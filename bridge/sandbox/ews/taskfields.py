"""The properties of tasks and of posts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.ews import values, xml
from bridge.sandbox.ews.contactfields import strings_xml, take_strings
from bridge.sandbox.ews.field import Field
from bridge.sandbox.ews.fields import ITEM_FIELDS
from bridge.sandbox.ews.recurrences import read_recurrence, recurrence_xml
from bridge.sandbox.ews.zones import zone
from bridge.sandbox.store import personal as k
from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lxml import etree

    from bridge.sandbox.ews.view import View

_ALL = "gf"
_EVERYWHERE = "GgFf"
STATUSES: Final = ("NotStarted", "InProgress", "Completed", "WaitingOnOthers", "Deferred")
_DESCRIPTIONS: Final = ("Not Started", "In Progress", "Completed", "Waiting on someone else", "Deferred")


def _read_percent(text: str) -> float:
    value = float(text.strip())
    if not 0 <= value <= 100:
        raise ValueError("no percentage")
    return value / 100


_PERCENT: Final = values.Kind(_read_percent, lambda value: f"{value * 100:.10g}")


def _plain(element: str, key: str, kind: values.Kind = values.STRING, **more: Any) -> Field:
    more.setdefault("shapes", _ALL)
    more.setdefault("settable", True)
    return Field(f"task:{element}", element, key=key, kind=kind, **more)


def _strings(element: str, key: str) -> Field:
    return _plain(element, key, render=strings_xml(element, key), take=take_strings(key))


def _constant(element: str, text: str, shapes: str = "") -> Field:
    return Field(f"task:{element}", element, shapes, render=lambda _view: xml.element(element, text))


def _recurrence(view: View) -> str:
    found = view.item.bag.get(k.RECURRENCE)
    return recurrence_xml(found, zone(view.item.bag.get(k.START_ZONE))) if found else ""


def _take_recurrence(node: etree._Element, bag: p.Bag, _gone: set[str]) -> None:
    bag[k.RECURRENCE] = read_recurrence(node)


def _description(view: View) -> str:
    return xml.element("StatusDescription", _DESCRIPTIONS[view.item.bag.get(k.TASK_STATUS, 0) % len(_DESCRIPTIONS)])


TASK_FIELDS: Final[Sequence[Field]] = (
    _plain("ActualWork", k.ACTUAL_WORK, values.INTEGER),
    Field("task:AssignedTime", "AssignedTime", render=lambda _view: ""),
    _plain("BillingInformation", k.BILLING),
    _plain("ChangeCount", k.CHANGE_COUNT, values.INTEGER, default=1, settable=False),
    _strings("Companies", k.COMPANIES),
    _plain("CompleteDate", k.TASK_COMPLETED, values.TIME),
    _strings("Contacts", k.CONTACTS),
    _constant("DelegationState", "NoMatch", _ALL),
    Field("task:Delegator", "Delegator", render=lambda _view: ""),
    _plain("DueDate", k.TASK_DUE, values.TIME, shapes=_EVERYWHERE),
    _constant("IsAssignmentEditable", "0"),
    _plain("IsComplete", k.TASK_COMPLETE, values.BOOLEAN, default=False, settable=False),
    _plain("IsRecurring", k.TASK_RECURRING, values.BOOLEAN, default=False, settable=False),
    _plain("IsTeamTask", k.TEAM_TASK, values.BOOLEAN, default=False, settable=False),
    _plain("Mileage", k.MILEAGE),
    _plain("Owner", k.TASK_OWNER, settable=False),
    _plain("PercentComplete", k.PERCENT_COMPLETE, _PERCENT, default=0, shapes=_EVERYWHERE),
    Field("task:Recurrence", "Recurrence", "g", k.RECURRENCE, render=_recurrence, found=False, settable=True,
          take=_take_recurrence),
    _plain("StartDate", k.TASK_START, values.TIME, shapes=_EVERYWHERE),
    _plain("Status", k.TASK_STATUS, values.choice(*STATUSES), default=0, shapes=_EVERYWHERE),
    Field("task:StatusDescription", "StatusDescription", _ALL, render=_description),
    _plain("TotalWork", k.TOTAL_WORK, values.INTEGER),
)  # fmt: skip
"""In the schema's order."""

_MESSAGE: Final = {field.uri: field for field in ITEM_FIELDS}
POST_FIELDS: Final[Sequence[Field]] = (
    *(
        _MESSAGE[f"message:{name}"]
        for name in ("ConversationIndex", "ConversationTopic", "From", "InternetMessageId", "IsRead")
    ),
    Field("postitem:PostedTime", "PostedTime", _ALL, p.CLIENT_SUBMIT_TIME, values.TIME),
    *(_MESSAGE[f"message:{name}"] for name in ("References", "Sender")),
)
