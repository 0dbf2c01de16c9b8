"""
In which charset bytes may be that are not UTF-8 and of which nobody says it.

Western mail has a letter beyond ASCII here and there; a text in another script has little else. So words that are
mostly beyond ASCII are read in each charset of a short list, and the one counts in which nearly all characters are
everyday ones of its script. General detectors, made for pages, take a Chinese subject of six characters for Korean.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_SAMPLE_BYTES: Final = 4_096
_SEARCHED_BYTES: Final = 65_536
_LEAST_BYTES: Final = 4
"""Beyond ASCII; fewer tell nothing."""
_LEAST_SHARE: Final = 0.6
_LEAST_SHARE_OF_LETTERS: Final = 0.85
"""Of words in an alphabet. In `\u00e9t\u00e9`, which is French, it is two thirds."""
_ALPHABETS: Final = frozenset({"cp1251", "koi8-r"})
_LEAST_EVERYDAY: Final = 0.9
# The second byte of a character may look like an ASCII letter.
_WORD: Final = re.compile(rb"([A-Za-z]{0,64})([\x80-\xff][\x40-\x7e\x80-\xff]*)")
_SWAPPED: Final = re.compile("[\u0430-\u044f\u0451][\u0410-\u042f\u0401]")
_KANA: Final = re.compile("[\u3040-\u30ff]")


def _cyrillic(character: str) -> bool:
    return "\u0410" <= character <= "\u044f" or character in "\u0401\u0451"


def _by_lead(codec: str, is_everyday: Callable[[int], bool]) -> Callable[[str], bool]:
    """Tell by the first of two bytes: the common characters of these charsets stand together, before the rare ones."""

    def everyday(character: str) -> bool:
        try:
            code = character.encode(codec)
        except UnicodeError:
            return False
        return len(code) == 2 and is_everyday(code[0])

    return everyday


# The first of those that fit equally well counts.
_EVERYDAY: Final[dict[str, Callable[[str], bool]]] = {
    "cp1251": _cyrillic,
    "koi8-r": _cyrillic,
    "cp949": _by_lead("euc_kr", lambda lead: 0xB0 <= lead <= 0xC8),
    "gb18030": _by_lead("gb2312", lambda lead: 0xB0 <= lead <= 0xD7 or lead in {0xA1, 0xA3}),
    "big5hkscs": _by_lead("big5", lambda lead: 0xA4 <= lead <= 0xC6 or lead == 0xA1),
    "cp932": _by_lead("cp932", lambda lead: 0x81 <= lead <= 0x83 or 0x88 <= lead <= 0x97),
    "euc_jis_2004": _by_lead("euc_jp", lambda lead: lead in {0xA1, 0xA4, 0xA5} or 0xB0 <= lead <= 0xCF),
}


def other_script(data: bytes, *, least_bytes: int = _LEAST_BYTES, alphabets: bool = True) -> str | None:
    """
    Return the codec of text that is plainly in another script than the Latin one, None where it may be Latin.

    Almost any bytes are text in some alphabet, and few are in a charset of two bytes a character: without `alphabets`
    only the latter count.
    """
    ascii_letters, beyond, sample, size = 0, 0, list[bytes](), 0
    for match in _WORD.finditer(data, 0, _SEARCHED_BYTES):
        word = match[2]
        high = sum(byte > 0x7F for byte in word)
        ascii_letters += len(match[1]) + len(word) - high
        beyond += high
        sample.append(word)
        size += len(word) + 1
        if size >= _SAMPLE_BYTES:
            break
    share = beyond / max(1, beyond + ascii_letters)
    if beyond < least_bytes or share < _LEAST_SHARE:
        return None
    text = b" ".join(sample)
    with_alphabets = alphabets and share >= _LEAST_SHARE_OF_LETTERS
    rated = {codec: _rate(text, codec) for codec in _EVERYDAY if with_alphabets or codec not in _ALPHABETS}
    best = max(rated, key=lambda codec: rated[codec])
    return best if rated[best] >= _LEAST_EVERYDAY else None


def _rate(sample: bytes, codec: str) -> float:
    """Return how much of a sample is everyday text in a charset; 0 where it cannot be in it at all."""
    try:
        text = sample.decode(codec)
    except UnicodeError:
        return 0.0
    characters = [character for character in text if not character.isascii()]
    if not characters:
        return 0.0
    rate = sum(map(_EVERYDAY[codec], characters)) / len(characters)
    if codec in _ALPHABETS:
        # Each of the two reads the small letters of the other as capitals.
        rate -= 2 * len(_SWAPPED.findall(text)) / len(characters)
    elif codec in {"cp932", "euc_jis_2004"} and not _KANA.search(text):
        rate -= 0.2  # Japanese does without kana in names alone, and there Chinese is as likely
    return rate
