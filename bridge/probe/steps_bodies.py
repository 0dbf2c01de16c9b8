"""Guesses about the forms of a body: what is a mail's own, the fragment, links and images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.adapters.ews.soap import element
from bridge.probe import requests_ews as ews
from bridge.probe.guesses import Needs, Seen, step

if TYPE_CHECKING:
    from lxml import etree

    from bridge.probe.context import ProbeContext

_OWN: Final = "Words of its own."
_QUOTED: Final = "Words of the mail before, which are quoted."
_HEADING: Final = "<b>From:</b> A<br><b>Sent:</b> Monday, January 1, 2030 9:00<br><b>To:</b> B<br><b>Subject:</b> C"
_PAGE: Final = "<html><body>{}</body></html>"
_OUTLOOK: Final = _PAGE.format(
    f'<p>{_OWN}</p><div style="border:none;border-top:solid #E1E1E1 1.0pt"><p>{_HEADING}</p></div><p>{_QUOTED}</p>'
)
_OTHERWISE: Final = _PAGE.format(f"<p>{_OWN}</p><div>On Monday, A wrote:</div><blockquote>{_QUOTED}</blockquote>")
_LINK_AND_IMAGE: Final = _PAGE.format('<a href="https://example.org/">a</a><img src="https://example.org/a.png">')


def body_saved(probe: ProbeContext, subject: str, body: str, kind: str = "HTML") -> ews.ItemId:
    """Return the id of a draft that was saved with a body."""
    parts = element("t:Subject", text=subject), element("t:Body", text=body, BodyType=kind)
    return ews.id_of(probe.ok(ews.create(probe.ground.folder(), element("t:Message", *parts))).first("ItemId"))


def body_shown(probe: ProbeContext, found: ews.ItemId, name: str, *shape: etree._Element) -> etree._Element:
    """Return an element that holds a body of an item, asked for in a shape with these parts."""
    more = element("t:AdditionalProperties", ews.field(f"item:{name}"))
    wanted = element("m:ItemShape", element("t:BaseShape", text="IdOnly"), *shape, more)
    return probe.ok(element("m:GetItem", wanted, element("m:ItemIds", ews.item_id((found[0], ""))))).first(name)


@step(136, "what Outlook quotes of an earlier mail is not unique, a blockquote is", needs=Needs.WRITE)
def unique_bodies(probe: ProbeContext) -> Seen:
    subject = probe.ground.next_name()
    body_saved(probe, subject, _QUOTED, "Text")
    there = []
    for reply in (_OUTLOOK, _OTHERWISE):
        body = body_shown(probe, body_saved(probe, f"RE: {subject}", reply), "UniqueBody").text or ""
        there.append(_QUOTED in body)
    words = ["there" if seen else "left out" for seen in there]
    return Seen(there == [False, True], "Outlook's quotation is {}, a blockquote {}".format(*words))


@step(137, "NormalizedBody is what is in the body, within a div", needs=Needs.WRITE)
def normalized_bodies(probe: ProbeContext) -> Seen:
    made = body_saved(probe, probe.ground.next_name(), _PAGE.format("<p>words</p>"))
    body = (body_shown(probe, made, "NormalizedBody").text or "").strip()
    within = body.startswith("<div") and body.endswith("</div>")
    document = "<html" in body or "<body" in body
    return Seen(within and not document, f"{'a document' if document else 'a fragment'}{', a div' if within else ''}")


@step(138, "links get target=_blank, and the src of blocked images becomes blockedimagesrc", needs=Needs.WRITE)
def links_and_images(probe: ProbeContext) -> Seen:
    made = body_saved(probe, probe.ground.next_name(), _LINK_AND_IMAGE)
    asked = [element(f"t:{name}", text="true") for name in ("BlockExternalImages", "AddBlankTargetToLinks")]
    body = (body_shown(probe, made, "Body", *asked).text or "").lower()
    told = [name for name in ('target="_blank"', "blockedimagesrc=", " src=") if name in body]
    return Seen(told == ['target="_blank"', "blockedimagesrc="], ", ".join(told) or "neither")
