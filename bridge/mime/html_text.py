"""
HTML to text in one pass.

No tree is built: HTML parsers take time that grows with the square of the nesting (each `<div>` looks through all
open elements for a `<p>`), and 0.3 MB of tags keep one busy for half a minute. The tokens follow the HTML standard's
tokenizer where it matters for text: attribute quotes, comments, raw text elements, character references.
"""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bridge.mime.defects import Defects

# The name is possessive too: a tag that never ends would otherwise be read to its end for each length of its name.
_TAG: Final = re.compile(
    r"""<(/?)([a-zA-Z][^\s/>]{0,100}+)(?:[^>="']++|=++(?:\s*+(?:"[^"]*+"|'[^']*+'))?+|["']++)*+>"""
)  # fmt: skip
# Up to the next `<` that may begin markup.
_WORDS: Final = re.compile(r"(?:[^<]++|<(?![a-zA-Z/!?]))++")
_COMMENT_END: Final = re.compile(r"--!?>")
_DIGITS: Final = re.compile(r"&#(?:[0-9]{8,}|[xX]0*[0-9a-fA-F]{7,});?")
# From the first blank of a run alone: from each of them, the cost would be the square of the run's length.
_SPACES_BEFORE_BREAK: Final = re.compile(r"(?<![ \t])[ \t]++\n")
_BLANK_LINES: Final = re.compile(r"\n{3,}")

_RAW_TEXT: Final = {
    name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE)
    for name in ("script", "style", "title", "iframe", "noembed", "noframes", "xmp", "textarea", "template", "object")
}
_PARAGRAPH: Final = frozenset(("p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "dl", "blockquote", "table", "hr"))
_LINE: Final = frozenset((
    "address", "article", "aside", "body", "caption", "center", "dd", "details", "dialog", "dir", "div", "dt",
    "fieldset",
    "figcaption", "figure", "footer", "form", "header", "html", "legend", "li", "main", "menu", "nav", "optgroup",
    "option", "search", "section", "summary", "tbody", "tfoot", "thead", "tr",
))  # fmt: skip
_CELL: Final = frozenset(("td", "th"))
_PREFORMATTED: Final = frozenset(("pre", "listing", "plaintext"))


def html_to_text(source: str, defects: Defects, *, limit: int = 4_000_000) -> str:
    """
    Return the text of an HTML body, paragraphs and table rows as lines; never raises, linear in its length.

    Of a longer document than `limit` characters, the rest is left out, with a defect.
    """
    if len(source) > limit:
        defects.add("html_limit")
        source = source[:limit]
    return _Writer(source, defects).run()


class _Writer:
    def __init__(self, source: str, defects: Defects) -> None:
        self._source = source
        self._defects = defects
        self._out: list[str] = []
        self._breaks = 2
        """Line ends at the end of the output; at the beginning none is wanted."""
        self._space = False
        self._preformatted = 0

    def run(self) -> str:
        source, end = self._source, len(self._source)
        position = 0
        while position < end:
            words = _WORDS.match(source, position)
            if words is not None:
                self._text(words[0])
                position = words.end()
            if position < end:
                position = self._markup(position)
        text = _SPACES_BEFORE_BREAK.sub("\n", "".join(self._out))
        return _BLANK_LINES.sub("\n\n", text).strip()

    def _markup(self, position: int) -> int:
        """Deal with what begins with `<` and return where reading goes on."""
        source = self._source
        match = _TAG.match(source, position)
        if match is not None:
            name = match[2].lower()
            self._tag(name, closing=match[1] == "/")
            if not match[1] and (raw := _RAW_TEXT.get(name)) is not None:
                close = raw.search(source, match.end())
                return close.start() if close is not None else self._unclosed()
            return match.end()
        if source.startswith("<!--", position):
            if source.startswith(("<!-->", "<!--->"), position):
                return source.index(">", position) + 1
            close = _COMMENT_END.search(source, position + 4)
            return close.end() if close is not None else self._unclosed()
        if source[position + 1] in "!?/":
            close_at = source.find(">", position)
            return close_at + 1 if close_at >= 0 else self._unclosed()
        # No tag ends after this one, so nothing behind it is markup.
        self._text(source[position:])
        return self._unclosed()

    def _unclosed(self) -> int:
        """Stop: the rest lies inside a tag, comment or script that never ends."""
        self._defects.add("html_unclosed")
        return len(self._source)

    def _tag(self, name: str, *, closing: bool) -> None:
        if name == "br":
            if not closing:
                self._out.append("\n")
                self._breaks += 1
                self._space = False
        elif name in _CELL:
            if not closing and not self._breaks:
                self._out.append("\t")
                self._space = False
        elif name in _PARAGRAPH:
            self._break(2)
        elif name in _LINE:
            self._break(1)
            if name == "li" and not closing:
                self._out.append("- ")
                self._breaks = 0
        elif name in _PREFORMATTED:
            self._break(1)
            self._preformatted = max(0, self._preformatted + (-1 if closing else 1))

    def _break(self, wanted: int) -> None:
        if self._breaks < wanted:
            self._out.append("\n" * (wanted - self._breaks))
            self._breaks = wanted
        self._space = False

    def _text(self, piece: str) -> None:
        if "&" in piece:
            # Numbers without end would raise in the conversion; none of that length is a character.
            piece = html.unescape(_DIGITS.sub("\ufffd", piece))
        if self._preformatted:
            self._out.append(piece)
            self._breaks = 1 if piece.endswith("\n") else 0
            return
        words = piece.split()
        if not words:
            self._space = self._space or bool(piece)
            return
        if not self._breaks and (self._space or piece[0].isspace()) and self._out and self._out[-1] not in ("\t", "- "):
            self._out.append(" ")
        self._out.append(" ".join(words))
        self._breaks = 0
        self._space = piece[-1].isspace()
