"""The elements that hold a body: as it is, treated as a shape asks, the part that is the mail's own, a fragment."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from bridge.sandbox.ews import htmlbody, xml
from bridge.sandbox.ews.htmlbody import Treatment
from bridge.sandbox.ews.uniquebody import unique_html, unique_text
from bridge.sandbox.store.structure import xml_safe

if TYPE_CHECKING:
    from collections.abc import Callable

    from lxml import etree

    from bridge.sandbox.ews.view import View

_HEAD: Final = 8192
_CHARSET: Final = re.compile(r"(<meta\b[^<>]{0,500}?\bcharset\s{0,20}=\s{0,20}[\"']?)[\w.:-]{1,60}", re.IGNORECASE)


def body_xml(
    element: str,
    wanted: str,
    *,
    whole_said: bool = True,
    most: int | None = None,
    treatment: Treatment = Treatment(),  # noqa: B008 - it cannot change
    utf8: bool = True,
) -> Callable[[View], str]:
    """
    Return what renders a body element in the wanted kind: `Best`, `HTML` or `Text`.

    `whole_said`: whether it says if it is truncated, which Exchange 2013 began with. `most`: how many letters of it
    are shown, None for all. `utf8`: whether HTML says that it is UTF-8, which it is, whatever it said before.
    """

    def render(view: View) -> str:
        kind, body = view.body(wanted)
        body = _html(element, view, body, treatment, utf8=utf8) if kind == "HTML" else _text(element, view, body)
        said = f' IsTruncated="{xml.boolean(most is not None and len(body) > most)}"' if whole_said else ""
        body = body[:most]
        return f'<t:{element} BodyType="{kind}"{said}>{xml.text(body)}</t:{element}>'

    return render


def read_treatment(shape: etree._Element) -> Treatment:
    """Return what an ItemShape or an AttachmentShape has done with HTML bodies."""
    return Treatment(
        filtered=xml.truth(shape.findtext(xml.T + "FilterHtmlContent")),
        blank_targets=xml.truth(shape.findtext(xml.T + "AddBlankTargetToLinks")),
        images_blocked=xml.truth(shape.findtext(xml.T + "BlockExternalImages")),
        image_template=shape.findtext(xml.T + "InlineImageUrlTemplate") or "",
    )


def _text(element: str, view: View, body: str) -> str:
    return unique_text(view, body) if element == "UniqueBody" else body


def _html(element: str, view: View, body: str, treatment: Treatment, *, utf8: bool) -> str:
    fragment = element in {"UniqueBody", "NormalizedBody"}
    if not body or not (fragment or treatment):
        return _CHARSET.sub(r"\g<1>utf-8", body[:_HEAD]) + body[_HEAD:] if utf8 else body
    images = _inline_images(view) if treatment.image_template else {}
    document = htmlbody.read(body, treatment, images)
    if element == "UniqueBody":
        return xml_safe(unique_html(view, document))
    # What was an entity may be a character that XML has no place for.
    return xml_safe(f"<div>{document.inner()}</div>" if fragment else document.whole())


def _inline_images(view: View) -> dict[str, str]:
    """Return the ids of the attachments that have a content id, by that."""
    ids = ((one.content_id, view.attachment_id(number)) for number, one in view.attachments().items())
    return {content_id.lower(): identifier for content_id, identifier in ids if content_id and identifier}
