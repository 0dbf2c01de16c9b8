"""Hostile mail in any number: the mail of a seed and a number is always the same, so that none has to be kept."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.corpus import mails as corpus
from tests.fuzz.classes import CLASSES
from tests.support.hostile_mail import STRUCTURES
from tests.support.mails import samples

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_OFTEN = 3_000
_SELDOM = 200_000
_LARGEST_TEMPLATE = 300_000
_TOKENS = (
    b"\0",
    b"\r",
    b"\n",
    b"\r\n",
    b"\r\n\r\n",
    b"\xff\xfe",
    b"\xed\xa0\x80",
    b"=?",
    b"?=",
    b"--",
    b'"',
    b"(",
    b"<",
    b";",
    b":",
    b"=",
    b"\x1b$B",
    b"+2AA-",
    b"Content-Type: multipart/mixed; boundary=b\r\n",
    b"\r\n--b\r\n",
    b"charset=utf-16;",
    b"multipart/",
    b"\r\nContent-Transfer-Encoding: base64\r\n",
    b"filename*0*=utf-8''%ff;",
    b"begin 644 x\n",
    b"&#99999999999;",
    b"message/rfc822",
    b"boundary=",
    b"\r\n ",
    b"text/html",
    b"base64",
    b"quoted-printable",
    b"Content-",
    b"@",
    b",",
    b"<p>",
    b"</",
)


@dataclass(frozen=True, slots=True)
class FuzzedMail:
    """One mail, and by what it was made."""

    number: int
    name: str
    raw: bytes


class Mails:
    """
    The mails of one seed.

    The first are one of each class at its full size, and one at a tenth of it; then two of five are of a class in any
    smaller size, the others mutations of ordinary mail. The corpus takes part where it lies beside the checkout.
    """

    def __init__(self, seed: int, *, full_size: int) -> None:
        """Prepare them; `full_size` in bytes."""
        self._seed = seed
        self._full_size = full_size
        self._names = list(CLASSES)
        self._templates = _templates()

    def __getitem__(self, number: int) -> FuzzedMail:
        """Return one."""
        rng = random.Random(f"{self._seed}-{number}")
        if number < 2 * len(self._names):
            name = self._names[number % len(self._names)]
            size = self._full_size if number < len(self._names) else self._full_size // 10
            return FuzzedMail(number, f"{name} of {size}", CLASSES[name](rng, size))
        chance = rng.random()
        if chance < 0.35:
            name = rng.choice(self._names)
            return FuzzedMail(number, name, CLASSES[name](rng, _size(rng)))
        if chance < 0.4:
            name = rng.choice(list(STRUCTURES))
            return FuzzedMail(number, name, STRUCTURES[name](_size(rng)))
        name, raw = rng.choice(self._templates)
        how = []
        for _ in range(rng.choice((1, 1, 2, 3, 8))):
            mutation = rng.choice(_MUTATIONS)
            raw = mutation(rng, raw, self._templates)
            how.append(mutation.__name__.strip("_"))
        return FuzzedMail(number, f"{name}: {', '.join(how)}", raw)

    def giant(self, number: int, size: int, name: str = "") -> FuzzedMail:
        """Return one of the largest that Exchange takes, of a class of the seed's choice where none is named."""
        rng = random.Random(f"{self._seed}-giant-{number}")
        name = name or rng.choice(self._names)
        return FuzzedMail(number, f"{name} of {size}", CLASSES[name](rng, size))

    def first(self, count: int) -> Iterator[FuzzedMail]:
        """Yield so many."""
        return (self[number] for number in range(count))


def _size(rng: random.Random) -> int:
    """Return a size, mostly small: what is broken at 100 KB is mostly broken at 1 KB."""
    return int(2 ** rng.uniform(0, 17.6)) if rng.random() < 0.02 else rng.randrange(1, _OFTEN)


def _templates() -> Sequence[tuple[str, bytes]]:
    found = [(name, raw) for name, raw in samples().items() if raw]
    if corpus.FOLDER.is_dir():
        found += [(mail.file, mail.read()) for mail in corpus.corpus()]
    return [(name, raw) for name, raw in found if 0 < len(raw) <= _LARGEST_TEMPLATE]


def _span(rng: random.Random, raw: bytes) -> tuple[int, int]:
    """Return a place in the mail, in its header as often as not, and one behind it."""
    header = raw.find(b"\n\r\n")
    end = header if header > 0 and rng.random() < 0.5 else len(raw)
    start = rng.randrange(end + 1)
    return start, min(len(raw), start + rng.choice((1, 3, 20, 200, 5_000)))


def _flip_bits(rng: random.Random, raw: bytes, _: object) -> bytes:
    data = bytearray(raw)
    for _each in range(rng.randrange(1, 30) if data else 0):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(data)


def _truncate(rng: random.Random, raw: bytes, _: object) -> bytes:
    return raw[: _span(rng, raw)[0]]


def _cut_out(rng: random.Random, raw: bytes, _: object) -> bytes:
    start, end = _span(rng, raw)
    return raw[:start] + raw[end:]


def _double(rng: random.Random, raw: bytes, _: object) -> bytes:
    start, end = _span(rng, raw)
    return raw[:end] + raw[start:end] * min(rng.choice((1, 2, 30, 1_000)), _SELDOM // (end - start + 1)) + raw[end:]


def _insert(rng: random.Random, raw: bytes, _: object) -> bytes:
    start, _end = _span(rng, raw)
    return raw[:start] + rng.choice(_TOKENS) * rng.choice((1, 1, 2, 20)) + raw[start:]


def _insert_noise(rng: random.Random, raw: bytes, _: object) -> bytes:
    start, _end = _span(rng, raw)
    return raw[:start] + rng.randbytes(rng.randrange(1, 60)) + raw[start:]


def _swap_tokens(rng: random.Random, raw: bytes, _: object) -> bytes:
    present = [token for token in _TOKENS if token in raw]
    return raw.replace(rng.choice(present), rng.choice(_TOKENS), rng.choice((1, 3, 100))) if present else raw


def _swap_lines(rng: random.Random, raw: bytes, _: object) -> bytes:
    lines = raw.split(b"\n")
    for _each in range(rng.randrange(1, 6)):
        one, other = rng.randrange(len(lines)), rng.randrange(len(lines))
        lines[one], lines[other] = lines[other], lines[one]
    return b"\n".join(lines)


def _splice(rng: random.Random, raw: bytes, templates: Sequence[tuple[str, bytes]]) -> bytes:
    _name, other = rng.choice(templates)
    return raw[: _span(rng, raw)[0]] + other[_span(rng, other)[0] :]


def _change_line_ends(rng: random.Random, raw: bytes, _: object) -> bytes:
    ends = (
        (b"\r\n", b"\n"),
        (b"\r\n", b"\r"),
        (b"\n", b"\r\n"),
        (b"\r\n", b"\r\r\n"),
        (b"\r\n ", b"\r\n"),
        (b": ", b":"),
    )
    return raw.replace(*rng.choice(ends))


_MUTATIONS = (
    _flip_bits,
    _truncate,
    _cut_out,
    _double,
    _insert,
    _insert_noise,
    _swap_tokens,
    _swap_lines,
    _splice,
    _change_line_ends,
)
