"""Hostile mail by its content: transfer encodings, charsets, HTML, attachments."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

from tests.fuzz.pieces import count, field, fill, hostile, mail

if TYPE_CHECKING:
    import random


@hostile
def eight_bit(rng: random.Random, size: int) -> bytes:
    junk = rng.randbytes(min(size, 200_000))
    return rng.choice([mail(b"text/plain; charset=us-ascii", junk), junk, field(b"Subject", junk)])


@hostile
def charsets(rng: random.Random, size: int) -> bytes:
    """Charsets that shift, that are none, and that make much of little."""
    charset = rng.choice(
        [
            b"utf-7",
            b"utf-16",
            b"utf-32",
            b"hz",
            b"iso-2022-jp",
            b"iso-2022-kr",
            b"gb18030",
            b"big5",
            b"cp932",
            b"euc-jp",
            b"johab",
            b"idna",
            b"punycode",
            b"zlib",
            b"bz2",
            b"rot13",
            b"undefined",
            b"mbcs",
            b"raw_unicode_escape",
            b"\xff",
            b"utf-8\0",
            b"x" * 500,
            b"../../etc/passwd",
            b"unicode-1-1-utf-7",
            b"us-ascii; utf-8",
            b"koi8-t",
            b"viscii",
        ]
    )
    piece = rng.choice(
        [
            b"\x1b$B",
            b"\x1b(J\\~",
            b"~{",
            b"\x0e\x0f",
            b"+",
            b"+2AA-",
            b"+AGEAYQ-",
            b"\xff\xfe\x00\xd8",
            b"\x81\x30\x81\x30",
            b"\x00",
            b"\x84\x31\xa4\x37",
            b"abc",
        ]
    )
    kind = rng.choice([b"text/plain", b"text/html"])
    return mail(kind + b'; charset="' + charset + b'"', fill(piece, size) + rng.randbytes(40))


@hostile
def utf_7(rng: random.Random, size: int) -> bytes:
    units = rng.randbytes(min(size, 300_000) // 8 * 2)
    shifted = b"+" + base64.b64encode(units).rstrip(b"=") + rng.choice([b"-", b"", b"!"])
    return mail(b"text/plain; charset=utf-7", shifted)


@hostile
def surrogates(rng: random.Random, size: int) -> bytes:
    lone = rng.choice(
        [b"\xed\xa0\x80", b"\xed\xb0\x80", b"\xed\xa0\x80\xed\xb0\x80", b"&#xD800;", b"\xf8\x88\x80\x80\x80"]
    )
    return rng.choice(
        [
            mail(b"text/plain; charset=utf-8", fill(lone, size)),
            mail(b"text/html; charset=utf-8", fill(lone, size)),
            field(b"Subject", fill(lone, size)),
            field(b"From", b'"' + fill(lone, size) + b'" <a@b.c>'),
            mail(b'text/plain; name="' + fill(lone, min(size, 50_000)) + b'"', b"x"),
            mail(b"text/plain; charset=utf-16le", fill(b"\x00\xd8", size)),
        ]
    )


@hostile
def base_64(rng: random.Random, size: int) -> bytes:
    good = base64.encodebytes(rng.randbytes(min(size, 400_000) * 3 // 4))
    broken = rng.choice(
        [
            good[: rng.randrange(len(good) + 1)],
            good.replace(b"\n", b"=\n"),
            good.replace(b"A", b"=A="),
            b"=" * size,
            good.replace(b"\n", b"\n.\n"),
            good.swapcase() + b"\xff" * 9,
            b"A" * (size | 1),
            b"QQ==" * (size // 4),
            b" " * size,
            good + b"-- \nfooter of a list\n",
            good.replace(b"\n", b""),
            b"-_" * (size // 2),
        ]
    )
    return mail(rng.choice([b"image/png; name=x.png", b"text/plain", b"text/html"]), broken, b"base64")


@hostile
def quoted_printable(rng: random.Random, size: int) -> bytes:
    pieces = [
        b"=",
        b"=\r\n",
        b"=3",
        b"=ZZ",
        b"=\t \r\n",
        b" \r\n",
        b"=0D=0A",
        b"=00",
        b"==",
        b"=3D=",
        b" " * 70,
        b"x",
        b"\0",
    ]
    return mail(b"text/plain", b"".join(rng.choices(pieces, k=count(size, 6, 300_000))), b"quoted-printable")


@hostile
def uuencoded(rng: random.Random, size: int) -> bytes:
    line = binascii.b2a_uu(rng.randbytes(45))
    pieces = [
        b"begin 644 a\n",
        b"begin 644 " + b"n" * 300 + b"\n",
        line,
        line[:9] + b"\n",
        b"`\n",
        b"end\n",
        b"M\n",
        b"z\n",
        b"\n",
    ]
    first = b"begin 644 x\n" + line
    encoding = rng.choice([b"", b"x-uuencode"])
    return mail(b"text/plain", first + b"".join(rng.choices(pieces, k=count(size, 20, 300_000))), encoding)


@hostile
def tnef(rng: random.Random, size: int) -> bytes:
    """A winmail.dat with lengths that lie; its bytes go through as an attachment."""
    attribute = (
        b"\x01\x0b\x80\x01\x00" + rng.choice([b"\xff\xff\xff\x7f", b"\0\0\0\0", b"\x10\0\0\0"]) + rng.randbytes(16)
    )
    data = b"\x78\x9f\x3e\x22\x01\x00" + fill(attribute, min(size, 300_000))
    return mail(b'application/ms-tnef; name="winmail.dat"', base64.encodebytes(data), b"base64")


@hostile
def smime(rng: random.Random, size: int) -> bytes:
    der = b"\x30\x84\xff\xff\xff\xff" + b"\x30\x80" * (min(size, 300_000) // 2)
    kind = rng.choice(
        [
            b"application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m",
            b"application/x-pkcs7-mime; name=x.p7c",
            b'multipart/signed; protocol="application/pkcs7-signature"; boundary=b',
            b"multipart/encrypted; boundary=b",
        ]
    )
    return mail(kind, b"--b\r\n\r\nx\r\n--b\r\n" * rng.randrange(2) + base64.encodebytes(der), b"base64")


@hostile
def html_nested(rng: random.Random, size: int) -> bytes:
    tag = rng.choice(
        [b"div", b"table><tr><td", b"b", b"a href='x'", b"blockquote", b"ul><li", b"font", b"svg", b"select"]
    )
    return mail(b"text/html", fill(b"<" + tag + b">", size) + b"x")


@hostile
def html_entities(rng: random.Random, size: int) -> bytes:
    entity = rng.choice(
        [
            b"&lt;",
            b"&#0;",
            b"&#xD800;",
            b"&#99999999999999;",
            b"&nGt;",
            b"&",
            b"&#",
            b"&#x",
            b"&amp&amp",
            b"&" + b"a" * 33,
            b"&#x" + b"0" * 90 + b"41;",
            b"&CounterClockwiseContourIntegral;",
        ]
    )
    return mail(b"text/html", fill(entity, size))


@hostile
def html_attributes(rng: random.Random, size: int) -> bytes:
    piece = rng.choice(
        [
            b" a=b",
            b' a="b"',
            b" a='",
            b' a="',
            b" a",
            b"=",
            b"'\"",
            b"/",
            b"\0",
            b" style='x:url(cid:y)'",
            b" a=\"'\" b='\"'",
        ]
    )
    return mail(b"text/html", b"<p>x<p" + fill(piece, size) + rng.choice([b">y", b"", b"<b>", b"'\">y"]))


@hostile
def html_raw_text(rng: random.Random, size: int) -> bytes:
    pieces = [
        b"<style>",
        b"</style",
        b"<script>",
        b"</script >",
        b"<!--",
        b"-->",
        b"--!>",
        b"<title>",
        b"</title>",
        b"<![CDATA[",
        b"]]>",
        b"<?",
        b"<!",
        b"@media{a{color:red}}",
        b"/*",
        b"*/",
        b"\\",
        b"expression(",
        b"<textarea>",
        b"<plaintext>",
        b"x",
    ]
    return mail(b"text/html", b"".join(rng.choices(pieces, k=count(size, 9, 300_000))))


@hostile
def html_parts(rng: random.Random, size: int) -> bytes:
    part = (
        b"--b\r\nContent-Type: text/html\r\nContent-ID: <x>\r\n\r\n<img src=cid:x>"
        + b"<p>" * rng.randrange(20)
        + b"\r\n"
    )
    return mail(b"multipart/%s; boundary=b" % rng.choice([b"related", b"alternative", b"mixed"]), fill(part, size))
