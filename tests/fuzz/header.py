"""Hostile mail by its header: fields, encoded words, parameters, addresses, dates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fuzz.pieces import HEAD, count, field, fill, hostile, mail

if TYPE_CHECKING:
    import random


@hostile
def headers_in_number(rng: random.Random, size: int) -> bytes:
    line = rng.choice([b"X-%d: y\r\n", b"Received: from a by b; %d\r\n", b"To: a%d@b.c\r\n", b"Subject: %d\r\n"])
    return b"".join(line % n for n in range(count(size, 20, 100_000))) + b"\r\ntext\r\n"


@hostile
def header_without_end(rng: random.Random, size: int) -> bytes:
    name = rng.choice([b"Subject", b"From", b"To", b"References", b"Content-Type", b"X-Y", b"DKIM-Signature", b"Date"])
    value = rng.choice([b"x", b" ", b"\xff", b"a ", b"<a@b> ", b"a@b, ", b"\r\n ", b"\t\r\n\t", b";a=b", b"=?u?q?x?= "])
    return name + b": " + fill(value, size) + rng.choice([b"", b"\r\n", b"\r\n\r\ntext"])


@hostile
def encoded_words(rng: random.Random, size: int) -> bytes:
    words = [
        b"=?utf-8?b?" + b"A" * 401 + b"?=",
        b"=?utf-8?q?=C3?= =?utf-8?q?=A4?=",
        b"=?x?b?====?=",
        b"=?utf-8?z?x?=",
        b"=?utf-16?b?2AA=?=",
        b"=?utf-7?q?+2AA-?=",
        b"=??q?x?=",
        b"=?utf-8*en?q?x?=",
        b"=?utf-8?q?=?=",
        b"=?utf-8?q?a b?=",
        b"=?iso-2022-jp?b?GyRC?=",
        b"=?unicode_escape?q?=5Cud800?=",
        b"=?utf-8?b?AAAA?=",
        b"=?utf-8?q?=0D=0AX:_y?=",
    ]
    number = count(size, 40, 200_000)
    return field(
        rng.choice([b"Subject", b"From", b"To", b"X-Y", b"Content-Type"]),
        rng.choice([b" ", b"", b"\r\n ", b", "]).join(rng.choices(words, k=number)),
    )


@hostile
def encoded_word_of_any_size(rng: random.Random, size: int) -> bytes:
    return field(b"Subject", b"=?utf-8?" + rng.choice([b"b?QUFB", b"q?=41", b"q?x"]) * (size // 6 + 1) + b"?=")


@hostile
def continuations(rng: random.Random, size: int) -> bytes:
    """RFC 2231, up to a million segments, in order or not, with gaps and repeats."""
    form = rng.choice([b"; name*%d=x", b"; name*%d*=%%ff", b";\r\n name*%d*=utf-8''x", b'; name*%d="a\\"b"'])
    numbers = list(range(count(size, 14, 1_000_000)))
    if rng.random() < 0.5:
        rng.shuffle(numbers)
    step = rng.choice([1, 2, 0])
    return mail(b"application/x" + b"".join(form % (n * step) for n in numbers), b"x")


@hostile
def parameters(rng: random.Random, size: int) -> bytes:
    piece = rng.choice([b"; a%d=b", b"; charset=x%d", b';a%d="', b"; =%d", b";;;;%d", b"; a%d = \\", b"; %d"])
    value = b"".join(piece % n for n in range(count(size, 10, 1_000_000)))
    name = rng.choice([b"Content-Type: text/plain", b"Content-Disposition: attachment"])
    return HEAD + name + value + b"\r\n\r\nx\r\n"


@hostile
def dates(rng: random.Random, size: int) -> bytes:
    dates = [
        b"Thu, 32 Foo 99999 25:61:61 +9999",
        b"1 Jan 0000 00:00:00 -0000",
        b"31 Dec 9999 23:59:60 -2359",
        b"",
        b"0",
        b"\xff",
        b"1 Jan 2026 00:00:00 " + b"(" * 50,
        b"Mon, 1 Jan 70 00:00:00 GMT",
        b"2026-01-01T00:00:00Z",
        b"9" * 400,
        b"1 Jan -1 1:1:1",
        b"\xef\xbc\x91 Jan 2026 00:00:00 +0000",
        b"1 Jan 2026 00:00 EDT",
        b"Sat, 30 Feb 2026 00:00:00 +0000",
        b"now",
        b"1" * 100 + b" Jan",
        b"1 Jan 2026 00:00:00 +99999999999999999999",
        b"1.1.2026 0.00",
        b"Thu Jan  1 00:00:00 2026",
        b"1 Jan 2026 24:00:00 +2400",
    ]
    found = b"".join(b"Date: " + rng.choice(dates) + b"\r\n" for _ in range(count(size, 40, 20_000)))
    return found + b"Subject: x\r\n\r\nx\r\n"


@hostile
def address_lists(rng: random.Random, size: int) -> bytes:
    forms = [
        b"a@b.c",
        b'"x, y" <a@b.c>',
        b"<a@b.c>",
        b"x <a@b.c",
        b"a@b.c (c)",
        b"(((a)) b@c",
        b"@a,@b:c@d",
        b'"\\"" <a@b>',
        b"=?u?q?,?= <a@b>",
        b"a b c",
        b"<>",
        b"<<a@b>>",
        b'"',
        b"a@[1.2.3.4]",
        b"\xc3\xa4@\xc3\xb6",
        b"a@b@c",
        b"",
        b"undisclosed-recipients:;",
    ]
    form = (
        rng.choices(forms, k=count(size, 15, 100_000))
        if rng.random() < 0.5
        else [rng.choice(forms)] * count(size, 9, 100_000)
    )
    return field(
        rng.choice([b"To", b"Cc", b"From", b"Reply-To", b"Sender"]),
        rng.choice([b",", b", ", b";", b",\r\n ", b" "]).join(form),
    )


@hostile
def address_fields(rng: random.Random, size: int) -> bytes:
    """Many fields of many addresses: more than any one field may hold."""
    line = rng.choice([b"To", b"Cc"]) + b": " + b"a@b," * 5_000 + b"\r\n"
    return fill(line, size)[: max(size, 10)] + b"\r\n\r\nx"


@hostile
def groups(rng: random.Random, size: int) -> bytes:
    piece = rng.choice([b"g:a@b;", b"g:", b";", b"g:h:a@b;;", b'"g":<a@b>,', b"g: ;,", b":a:", b"g:(", b"g:(),"])
    return field(b"To", fill(piece, size))


@hostile
def references(rng: random.Random, size: int) -> bytes:
    piece = rng.choice(
        [
            b"<a@b> ",
            b"<a@b>",
            b"<",
            b"<a",
            b">",
            b"<" + b"a" * 995 + b"> ",
            b"<bridge.aaaa.000000000000@a.b> ",
            b"<a b> ",
            b"\r\n <c@d>",
        ]
    )
    return field(rng.choice([b"References", b"In-Reply-To", b"Message-ID"]), fill(piece, size))


@hostile
def authentication_results(rng: random.Random, size: int) -> bytes:
    value = rng.choice([b"; spf=pass", b"(", b"; dkim=pass (", b'"', b"\\", b";", b"; a/1=b"])
    return field(b"Authentication-Results", b"mx.a.b" + fill(value, size))


@hostile
def transfer_encodings(rng: random.Random, size: int) -> bytes:
    encoding = rng.choice(
        [
            b"binary",
            b"x-gzip64",
            b"base65",
            b"BASE64 (x)",
            b'"base64"',
            b"7bit; x",
            b"\xff",
            b"",
            b"x" * 5_000,
            b"yenc",
            b"quoted-printable,base64",
        ]
    )
    return mail(
        b"multipart/mixed; boundary=b",
        b"--b\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n" + fill(b"QUFB", size),
        encoding,
    )


@hostile
def declared_otherwise(rng: random.Random, size: int) -> bytes:
    kind = rng.choice(
        [
            b"text/",
            b"/plain",
            b"text",
            b"TEXT/PLAIN/X",
            b"multipart/",
            b"text/plain text/html",
            b"\xff/\xff",
            b"a" * 5_000 + b"/b",
            b"message/external-body",
            b"message/partial; number=1; total=1000000",
            b"multipart/digest; boundary=b",
            b"text/calendar; method=\xff",
            b"x" * 90 + b"/y",
        ]
    )
    return mail(kind, fill(b"--b\r\nMETHOD:REQUEST\r\n", size))
