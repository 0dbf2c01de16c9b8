"""Guesses about refusals, and about what is left out of an answer without a word."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.adapters.ews.folder_ids import distinguished
from bridge.adapters.ews.soap import T, element
from bridge.probe import requests_ews as ews
from bridge.probe.guesses import Needs, Seen, step
from bridge.probe.steps_bodies import body_saved, body_shown
from bridge.probe.subscribing import get_events, subscribed, unsubscribe

if TYPE_CHECKING:
    from lxml import etree

    from bridge.probe.context import ProbeContext

_KILOBYTE: Final = 1024
_LONG_ID: Final = "A" * 5000
_UNSAFE: Final = (
    "<html><head><style>p {color: red}</style></head><body><script>1</script><p onclick='1'>words</p></body></html>"
)


@step(124, "SendItem of a draft without recipients is ErrorInvalidRecipients", needs=Needs.WRITE)
def nobody_to_send_to(probe: ProbeContext) -> Seen:
    draft = probe.ground.draft(probe.ground.mail(probe.ground.next_name(), to=False))
    code = probe.code(ews.send(draft))
    return Seen(code == "ErrorInvalidRecipients", code)


@step(125, "a property of another kind of item is left out of an answer", needs=Needs.WRITE)
def property_of_another_kind(probe: ProbeContext) -> Seen:
    draft = probe.ground.draft(probe.ground.mail(probe.ground.next_name()))
    code = probe.code(ews.get(draft, ews.field("calendar:Start")))
    return Seen(code == "NoError", code)


@step(126, "MaximumBodySize counts kilobytes of 1,024 letters", needs=Needs.WRITE)
def cut_bodies(probe: ProbeContext) -> Seen:
    made = body_saved(probe, probe.ground.next_name(), "x" * 3 * _KILOBYTE, "Text")
    asked = element("t:BodyType", text="Text"), element("t:MaximumBodySize", text="1")
    body = body_shown(probe, made, "Body", *asked)
    said, letters = body.get("IsTruncated", "nothing"), len(body.text or "")
    same = said == "true" and letters == _KILOBYTE
    return Seen(same, f"{letters} letters, IsTruncated says {said if said in {'true', 'false'} else 'nothing'}")


@step(128, "FilterHtmlContent takes a script away, and leaves a style that loads nothing", needs=Needs.WRITE)
def filtered_bodies(probe: ProbeContext) -> Seen:
    made = body_saved(probe, probe.ground.next_name(), _UNSAFE, "HTML")
    asked = element("t:BodyType", text="HTML"), element("t:FilterHtmlContent", text="true")
    body = (body_shown(probe, made, "Body", *asked).text or "").lower()
    told = ["there" if part in body else "gone" for part in ("<script", "<style", "onclick")]
    return Seen(told == ["gone", "there", "gone"], "a script is {}, a style {}, an event handler {}".format(*told))


@step(129, "an id of 5,000 letters is ErrorInvalidIdMalformed")
def long_id(probe: ProbeContext) -> Seen:
    code = probe.code(ews.get((_LONG_ID, "")))
    return Seen(code == "ErrorInvalidIdMalformed", code)


@step(130, "a subscription that was ended is ErrorSubscriptionNotFound")
def ended_subscription(probe: ProbeContext) -> Seen:
    with subscribed(probe, "Pull", distinguished("inbox")) as subscription:
        unsubscribe(probe, subscription)
        code = probe.code(get_events(subscription.id, subscription.watermark))
    return Seen(code == "ErrorSubscriptionNotFound", code)


@step(131, "what is no name and which MAPI properties there are not are refused by the reference's codes")
def reference_codes(probe: ProbeContext) -> Seen:
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
def idle_update(probe: ProbeContext) -> Seen:
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
def flag_times(probe: ProbeContext) -> Seen:
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
