"""Guesses about refusals, and about what is left out of an answer without a word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.adapters.ews.folders import distinguished
from bridge.adapters.ews.soap import T, element
from bridge.probe import requests_ews as ews
from bridge.probe.guesses import Needs, Seen, step
from bridge.probe.subscribing import get_events, subscribed, unsubscribe

if TYPE_CHECKING:
    from lxml import etree

    from bridge.probe.probing import Probing

_KILOBYTE: Final = 1024
_LONG_ID: Final = "A" * 5000
_SCRIPT: Final = "<script>"


def _shaped(found: ews.ItemId, *parts: etree._Element, field: str) -> etree._Element:
    """Return GetItem of one property, in a shape with these parts."""
    more = element("t:AdditionalProperties", ews.field(field))
    shape = element("m:ItemShape", element("t:BaseShape", text="IdOnly"), *parts, more)
    return element("m:GetItem", shape, element("m:ItemIds", ews.item_id((found[0], ""))))


def _with_body(probe: Probing, body: str, kind: str) -> ews.ItemId:
    message = element(
        "t:Message",
        element("t:Subject", text=probe.ground.next_name()),
        element("t:Body", text=body, BodyType=kind),
    )
    return ews.id_of(probe.ok(ews.create(probe.ground.folder(), message)).first("ItemId"))


@step(124, "SendItem of a draft without recipients is ErrorInvalidRecipients", needs=Needs.WRITE)
def nobody_to_send_to(probe: Probing) -> Seen:
    draft = probe.ground.draft(probe.ground.mail(probe.ground.next_name(), to=False))
    code = probe.code(ews.send(draft))
    return Seen(code == "ErrorInvalidRecipients", code)


@step(125, "a property of another kind of item is left out of an answer", needs=Needs.WRITE)
def property_of_another_kind(probe: Probing) -> Seen:
    draft = probe.ground.draft(probe.ground.mail(probe.ground.next_name()))
    code = probe.code(ews.get(draft, ews.field("calendar:Start")))
    return Seen(code == "NoError", code)


@step(126, "MaximumBodySize counts kilobytes of 1,024 letters", needs=Needs.WRITE)
def cut_bodies(probe: Probing) -> Seen:
    made = _with_body(probe, "x" * 3 * _KILOBYTE, "Text")
    request = _shaped(
        made, element("t:BodyType", text="Text"), element("t:MaximumBodySize", text="1"), field="item:Body"
    )
    body = probe.ok(request).first("Body")
    said, letters = body.get("IsTruncated", "nothing"), len(body.text or "")
    same = said == "true" and letters == _KILOBYTE
    return Seen(same, f"{letters} letters, IsTruncated says {said if said in {'true', 'false'} else 'nothing'}")


@step(128, "FilterHtmlContent takes nothing away", needs=Needs.WRITE)
def unfiltered_bodies(probe: Probing) -> Seen:
    made = _with_body(probe, f"<html><body>{_SCRIPT}1</script>text</body></html>", "HTML")
    request = _shaped(
        made, element("t:BodyType", text="HTML"), element("t:FilterHtmlContent", text="true"), field="item:Body"
    )
    there = _SCRIPT in (probe.ok(request).first("Body").text or "")
    return Seen(there, f"a script is {'there' if there else 'gone'}")


@step(129, "an id of 5,000 letters is ErrorInvalidIdMalformed")
def long_id(probe: Probing) -> Seen:
    code = probe.code(ews.get((_LONG_ID, "")))
    return Seen(code == "ErrorInvalidIdMalformed", code)


@step(130, "a subscription that was ended is ErrorSubscriptionNotFound")
def ended_subscription(probe: Probing) -> Seen:
    with subscribed(probe, "Pull", distinguished("inbox")) as subscription:
        unsubscribe(probe, subscription)
        code = probe.code(get_events(subscription.id, subscription.watermark))
    return Seen(code == "ErrorSubscriptionNotFound", code)


@step(131, "what is no name and which MAPI properties there are not are refused by the reference's codes")
def reference_codes(probe: Probing) -> Seen:
    entry = element("m:UnresolvedEntry", text="-")
    custom, objects = ews.tag("0x8001", "String"), ews.tag("0x3001", "Object")
    codes = [
        probe.code(element("m:ResolveNames", entry, ReturnFullContactData="false")),
        *(probe.code(ews.find(distinguished("inbox"), fields=[path], limit=1)) for path in (custom, objects)),
    ]
    wanted = [
        "ErrorInvalidNameForNameResolution",
        "ErrorNoPropertyTagForCustomProperties",
        "ErrorUnsupportedMapiPropertyType",
    ]
    return Seen(codes == wanted, ", ".join(codes))


@step(132, "an update that changes nothing gives a new change key, and is told by SyncFolderItems", needs=Needs.WRITE)
def idle_update(probe: Probing) -> Seen:
    folder = probe.ground.subfolder()
    draft = probe.ground.draft(probe.ground.mail(probe.ground.next_name()), folder=folder)
    request = ews.update(draft, ews.field("item:Importance"), element("t:Importance", text="High"))
    first = ews.id_of(probe.ok(request).first("ItemId"))
    state = probe.ok(ews.sync(folder)).first("SyncState").text or ""
    second = ews.id_of(probe.ok(request).first("ItemId"))
    told = bool(probe.ok(ews.sync(folder, state=state)).all("ItemId"))
    new = first[1] != second[1]
    words = f"the change key is {'new' if new else 'the same'}, the change is {'told' if told else 'not told'}"
    return Seen(new and told, words)


@step(133, "a flag that is Complete has a CompleteDate, and one without dates loses those it had", needs=Needs.WRITE)
def flag_times(probe: Probing) -> Seen:
    draft = probe.ground.draft(probe.ground.mail(probe.ground.next_name()))

    def flag(status: str, *times: etree._Element) -> set[str]:
        value = element("t:Flag", element("t:FlagStatus", text=status), *times)
        probe.ok(ews.update(draft, ews.field("item:Flag"), value))
        shown = next(probe.ground.item(draft, ews.field("item:Flag")).iter(f"{T}Flag"))
        return {str(part.tag).rpartition("}")[2] for part in shown} & {"StartDate", "DueDate", "CompleteDate"}

    dates = [element(f"t:{name}", text="2030-01-02T09:00:00Z") for name in ("StartDate", "DueDate")]
    seen = [flag("Flagged", *dates), flag("Flagged"), flag("Complete")]
    words = "; ".join(" ".join(sorted(names)) or "none" for names in seen)
    return Seen(seen == [{"StartDate", "DueDate"}, set(), {"CompleteDate"}], words)
