"""
Bytes to text under whatever charset label mail carries, always with a result.

Labels are read as mail programs mean them (the WHATWG encoding table): `iso-8859-1` and `us-ascii` are windows-1252,
`gb2312` is gb18030, `ks_c_5601-1987` is cp949, `shift_jis` is cp932. Only codecs on the list are used: Python's
registry also holds codecs that are no charsets, and some that raise whatever they are given (`undefined`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING

from bridge.mime.charset_guess import other_script

if TYPE_CHECKING:
    from bridge.mime.defects import Defects

_NOT_ALNUM = re.compile(r"[^a-z0-9]+")
_SURROGATES = re.compile("[\ud800-\udfff]")
_SHIFTED = re.compile(rb"\+[A-Za-z0-9+/]*-?")
_MANY_BYTES = 40
"""So many bytes beyond ASCII, all of which make sense in another script, are believed more than a label."""

# Keys are labels without punctuation, in lower case.
_CODECS: dict[str, str] = {
    **dict.fromkeys(
        ("usascii", "ascii", "iso88591", "latin1", "l1", "ansix341968", "ansix341986", "iso646us", "cp819", "ibm819",
         "iso885911987", "windows1252", "cp1252", "xcp1252", "xansi", "ansi", "default"),
        "cp1252",
    ),
    **dict.fromkeys(
        ("utf8", "xunicode20utf8", "unicode11utf8", "utf8mac", "cp65001", "uft8", "utf", "unicodeutf8"), "utf-8"
    ),
    **dict.fromkeys(("utf7", "unicode11utf7", "xunicode20utf7", "csunicode11utf7"), "utf-7"),
    "utf16": "utf-16", "utf16le": "utf-16-le", "utf16be": "utf-16-be", "unicode": "utf-16", "ucs2": "utf-16",
    "iso10646ucs2": "utf-16", "utf32": "utf-32", "utf32le": "utf-32-le", "utf32be": "utf-32-be",
    **dict.fromkeys(("gb2312", "gbk", "xgbk", "gb18030", "cp936", "ms936", "gb231280", "euccn", "xeuccn", "csgb2312",
                     "windows936", "gb"), "gb18030"),
    "hzgb2312": "hz", "hz": "hz",
    **dict.fromkeys(("big5", "xxbig5", "cnbig5", "big5hkscs", "cp950", "csbig5"), "big5hkscs"),
    **dict.fromkeys(("euckr", "ksc56011987", "ksc5601", "cp949", "ms949", "uhc", "windows949", "korean", "ksc56011989",
                     "xwindows949", "cseuckr"), "cp949"),
    "johab": "johab", "iso2022kr": "iso2022_kr", "csiso2022kr": "iso2022_kr",
    **dict.fromkeys(("shiftjis", "sjis", "xsjis", "mskanji", "windows31j", "cp932", "csshiftjis"), "cp932"),
    **dict.fromkeys(("eucjp", "xeucjp", "cseucpkdfmtjapanese"), "euc_jis_2004"),
    **dict.fromkeys(("iso2022jp", "csiso2022jp", "iso2022jp1", "iso2022jp2", "iso2022jpms", "cp50220", "cp50221"),
                    "iso2022_jp_ext"),
    "iso2022jp3": "iso2022_jp_3", "iso2022jp2004": "iso2022_jp_2004",
    "koi8r": "koi8-r", "koi8": "koi8-r", "cskoi8r": "koi8-r", "koi8u": "koi8-u", "koi8ru": "koi8-u",
    "koi8t": "koi8_t", "ptcp154": "ptcp154",
    **{f"iso8859{n}": f"iso8859-{n}" for n in (2, 3, 4, 5, 6, 7, 8, 10, 13, 14, 15, 16)},
    **{f"latin{latin}": f"iso8859-{n}" for latin, n in
       ((2, 2), (3, 3), (4, 4), (6, 10), (7, 13), (8, 14), (9, 15), (10, 16))},
    "iso885929": "iso8859-2", "iso885921987": "iso8859-2", "iso885961987": "iso8859-6", "iso885971987": "iso8859-7",
    "iso885981988": "iso8859-8", "iso88598i": "iso8859-8", "iso88598e": "iso8859-8", "iso88596i": "iso8859-6",
    "iso88596e": "iso8859-6", "hebrew": "iso8859-8", "visual": "iso8859-8", "logical": "iso8859-8",
    "arabic": "iso8859-6", "greek": "iso8859-7", "cyrillic": "iso8859-5",
    **dict.fromkeys(("iso88599", "latin5", "l5", "iso885991989", "windows1254", "cp1254"), "cp1254"),
    **dict.fromkeys(("iso885911", "tis620", "tis6202533", "windows874", "cp874"), "cp874"),
    **{f"{prefix}{n}": f"cp{n}" for prefix in ("windows", "cp", "xcp", "win")
       for n in (1250, 1251, 1253, 1255, 1256, 1257, 1258)},
    **{f"{prefix}{n}": f"cp{n}" for prefix in ("ibm", "cp", "ibmcp", "dos")
       for n in (437, 737, 775, 850, 852, 855, 857, 858, 860, 861, 862, 863, 864, 865, 866, 869)},
    **dict.fromkeys(("macintosh", "mac", "xmacroman", "macroman", "xmac", "applemacroman"), "mac-roman"),
    "xmaccyrillic": "mac-cyrillic", "maccyrillic": "mac-cyrillic", "xmacukrainian": "mac-cyrillic",
    "xmaccentraleurroman": "mac-latin2", "xmacce": "mac-latin2", "xmacgreek": "mac-greek", "xmacturkish": "mac-turkish",
    "viscii": "cp1258",
}  # fmt: skip


@lru_cache(maxsize=512)
def _codec(label: str) -> str | None:
    # Longer labels are not charsets, and would only fill the cache.
    return _CODECS.get(_NOT_ALNUM.sub("", label.lower()))


def codec_name(label: str | None) -> str | None:
    """Return the Python codec for a charset label, or None where it is not a charset that is known here."""
    return _codec(label) if label and len(label) <= 64 else None


def guess(data: bytes) -> str:
    """Decode bytes of no known charset: UTF-8 where they are valid UTF-8, windows-1252 where no other is plain."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return _in(other_script(data), data) or windows_1252(data)


def _in(codec: str | None, data: bytes) -> str | None:
    try:
        return data.decode(codec) if codec is not None else None
    except UnicodeError:
        return None  # the sample fits, and not the whole


def windows_1252(data: bytes) -> str:
    """Decode windows-1252 as browsers do: the five bytes it leaves open are the C1 controls of Latin-1."""
    try:
        return data.decode("cp1252")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def decode_text(data: bytes, label: str | None, defects: Defects) -> str:
    """
    Return the text of a body part; its declared charset is tried first, nothing raises.

    Bytes that fit neither the charset nor UTF-8 become U+FFFD, with a defect.
    """
    codec = codec_name(label)
    if codec is None:
        if label:
            defects.add("charset_unknown")
        elif not data.isascii():
            defects.add("charset_missing")
        return clean(guess(data), defects)
    if codec == "cp1252" and data.isascii():
        return clean(data.decode("ascii"), defects)
    return clean(_decode(data, codec, defects), defects)


def _decode(data: bytes, codec: str, defects: Defects) -> str:
    if codec == "cp1252":
        # Mail that calls itself ASCII or Latin-1 and is UTF-8 is common; the other way round is next to impossible.
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError:
            other = _in(other_script(data, least_bytes=_MANY_BYTES, alphabets=False), data)
            if other is None:
                return windows_1252(data)
            text = other
        defects.add("charset_broken")
        return text
    try:
        return data.decode(codec)
    except (UnicodeError, ValueError, OverflowError):
        defects.add("charset_broken")
    if codec == "utf-7":
        return lenient(data, codec)  # all that is ASCII is UTF-8 as well
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return lenient(data, codec)


def lenient(data: bytes, codec: str) -> str:
    """Decode what of the bytes fits their charset; the rest is U+FFFD, or stays as it is where that is ASCII."""
    if codec != "utf-7":
        return data.decode(codec, "replace")
    out, end = list[str](), 0
    for match in _SHIFTED.finditer(data):
        out += [guess(data[end : match.start()]), _shifted(match[0])]
        end = match.end()
    return "".join([*out, guess(data[end:])])


def _shifted(piece: bytes) -> str:
    """Decode one base64 piece of UTF-7, as far as it goes; a mere plus sign is none."""
    decoded = piece.decode("utf-7", "replace")
    return decoded if decoded.strip("\ufffd") else piece.decode("ascii")


def clean(text: str, defects: Defects) -> str:
    """Return text that JSON, UTF-8 and databases take: no lone surrogates (utf-7 and utf-16 make them), no NUL."""
    if "\0" in text:
        defects.add("nul_replaced")
        text = text.replace("\0", "\ufffd")
    try:
        text.isascii() or text.encode("utf-8")
    except UnicodeEncodeError:
        defects.add("surrogate_replaced")
        text = _SURROGATES.sub("\ufffd", text)
    return text
