"""
HTML bodies as a shape of an item asks for them: made safe, with links and images treated, as a fragment.

They are taken apart by a parser that takes any bytes for HTML, as browsers do, and stops at 2,048 elements in one
another. The elements and attributes that are left are lists of what is known to be harmless, not of what is known to be
dangerous.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from lxml import etree

if TYPE_CHECKING:
    from collections.abc import Mapping

    Element = etree._Element  # noqa: SLF001 - the only name that it has


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


# Go with all that is in them.
_DROPPED: Final = (
    "script", "object", "embed", "applet", "iframe", "frame", "frameset", "noframes", "noscript", "base", "link",
    "meta", "title", "xml", "svg", "math", "template", "audio", "video", "source", "track", "canvas", "portal",
)  # fmt: skip
# Whatever else is named otherwise goes without what is in it.
_KEPT: Final = _names("""
    html head body style a abbr acronym address area article aside b basefont bdi bdo big blockquote br button caption
    center cite code col colgroup dd del details dfn dir div dl dt em fieldset figcaption figure font footer form
    h1 h2 h3 h4 h5 h6 header hr i img input ins kbd label legend li main map mark menu nav nobr ol optgroup option p
    pre q rp rt ruby s samp section select small span strike strong sub summary sup table tbody td textarea tfoot th
    thead time tr tt u ul var wbr
""")
_ATTRIBUTES: Final = _names("""
    abbr align alink alt axis bgcolor border bordercolor cellpadding cellspacing char charoff charset checked cite class
    clear color cols colspan compact coords datetime dir disabled face for frame headers height href hreflang hspace id
    lang label link maxlength media multiple name nohref noshade nowrap rel rev reversed rows rowspan rules scope
    selected shape size span src start style summary tabindex target text title type usemap valign value vlink vspace
    width background blockedimagesrc
""")
_ADDRESSES: Final = frozenset({"href", "src", "background", "cite"})
_SCHEMES: Final = re.compile(
    r"(?:https?|mailto|cid|tel|ftp|news|callto|sip|file):|data:image/(?:gif|png|jpeg|bmp);", re.IGNORECASE
)
_HAS_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)
_UNSEEN: Final = re.compile(r"[\x00-\x20\x7f-\xa0\u200b-\u200f\u2028-\u202e\ufeff]+")
# A style that has any of these goes whole: what browsers of any age made programs or addresses of.
_UNSAFE_STYLE: Final = re.compile(
    r"expression|javascript|vbscript|behavior|binding|@import|url\s*\(|[\\<]|position\s*:", re.IGNORECASE
)
_META: Final = '<meta http-equiv="Content-Type" content="text/html; charset=utf-8">'


@dataclass(frozen=True, slots=True)
class Treatment:
    """What a shape has done with HTML bodies."""

    filtered: bool = False
    """Whether all that may be unsafe goes."""
    blank_targets: bool = False
    """Whether links open a window of their own."""
    images_blocked: bool = False
    """Whether images of other servers are not loaded."""
    image_template: str = ""
    """The address that images of the mail itself get; `{id}` in it is the attachment's id."""

    def __bool__(self) -> bool:
        """Return whether anything is done at all."""
        return self != _NOTHING


_NOTHING: Final = Treatment()


@dataclass(slots=True)
class Document:
    """HTML taken apart."""

    root: Element
    body: Element
    styles: list[Element] = field(default_factory=list)

    def whole(self) -> str:
        """Return it as a document, in the form that Exchange gives it."""
        body = _written(self.body).removesuffix("</body>")
        # As recorded: words that end a body are followed by a space.
        space = "" if body[-1] == ">" or body[-1].isspace() else " "
        styles = "".join(_written(one) for one in self.styles)
        return f"<html><head>\r\n{_META}{styles}</head>{body}{space}</body></html>"

    def inner(self) -> str:
        """Return what is in its body."""
        return re.sub(r"\A<body[^>]*>|</body>\Z", "", _written(self.body))


def read(html: str, treatment: Treatment = _NOTHING, images: Mapping[str, str] | None = None) -> Document:
    """Return HTML taken apart and treated; `images` has the ids of attachments by their content ids."""
    parser = etree.HTMLParser(encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True)
    root = etree.fromstring(html.encode("utf-8", "replace") or b" ", parser)
    if root is None or root.tag != "html":
        root = etree.Element("html")
    if treatment.filtered:
        _make_safe(root)
    body = root.find("body")
    if body is None:
        body = etree.SubElement(root, "body")
    if treatment.blank_targets:
        for link in root.iter("a", "area"):
            if link.get("href") and not str(link.get("href")).startswith("#"):
                link.set("target", "_blank")
    if treatment.images_blocked:
        _block_images(root)
    if treatment.image_template:
        _address_images(root, treatment.image_template, images or {})
    return Document(root, body, [one for one in root.iter("style") if one.getparent() is not body])


def _written(element: Element) -> str:
    text: str = etree.tostring(element, method="html", encoding="unicode", with_tail=False)
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n")


def _make_safe(root: Element) -> None:
    names = {str(one.tag) for one in root.iter(etree.Element)}
    etree.strip_elements(root, *_DROPPED, with_tail=False)
    odd = [name for name in names if name not in _KEPT and name not in _DROPPED]
    if odd:
        etree.strip_tags(root, *odd)
    unsafe = [one for one in root.iter("style") if len(one) or _UNSAFE_STYLE.search(one.text or "")]
    for one in unsafe:
        one.tag = "unsafe-style"
    if unsafe:
        etree.strip_elements(root, "unsafe-style", with_tail=False)
    for element in root.iter(etree.Element):
        for name, value in element.items():
            if not _is_safe(str(name), str(value)):
                del element.attrib[name]


def _is_safe(name: str, value: str) -> bool:
    if name not in _ATTRIBUTES:
        return False
    if name == "style":
        return _UNSAFE_STYLE.search(value) is None
    if name in _ADDRESSES:
        plain = _UNSEEN.sub("", value)
        return _SCHEMES.match(plain) is not None or _HAS_SCHEME.match(plain) is None
    return True


def _address_images(root: Element, template: str, images: Mapping[str, str]) -> None:
    for image in root.iter("img"):
        source = str(image.get("src") or "").strip()
        if source[:4].lower() == "cid:" and source[4:].lower() in images:
            image.set("src", template.replace("{id}", quote(images[source[4:].lower()], safe="")))


def _block_images(root: Element) -> None:
    for element in root.iter(etree.Element):
        source = str(element.get("src") or "").strip()
        if element.tag in {"img", "input"} and _is_elsewhere(source):
            del element.attrib["src"]
            element.set("blockedimagesrc", source)
        if "srcset" in element.attrib:
            del element.attrib["srcset"]
        if _is_elsewhere(str(element.get("background") or "")):
            del element.attrib["background"]


def _is_elsewhere(address: str) -> bool:
    return _UNSEEN.sub("", address[:100]).lower().startswith(("http:", "https:", "//", "ftp:"))
