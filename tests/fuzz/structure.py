"""Hostile mail by its structure: parts, boundaries, lines, reports, and what is no mail at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fuzz.pieces import HEAD, count, field, fill, hostile, mail

if TYPE_CHECKING:
    import random


@hostile
def boundaries_nested(rng: random.Random, size: int) -> bytes:
    depth = count(size, 70, 10_000)
    opened = b"".join(b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\n" % (n, n) for n in range(depth))
    close = rng.choice([0, depth // 2, depth])
    closed = b"".join(b"--%d--\r\n" % n for n in reversed(range(depth - close, depth)))
    return HEAD + opened + b"\r\ndeep\r\n" + closed


@hostile
def boundaries_all_alike(rng: random.Random, size: int) -> bytes:
    """Each multipart has its parent's boundary: every delimiter may be anybody's."""
    part = b"--b\r\nContent-Type: multipart/%s; boundary=b\r\n\r\n" % rng.choice([b"mixed", b"alternative", b"related"])
    return mail(b"multipart/mixed; boundary=b", fill(part, size) + b"--b--\r\n" * rng.randrange(3))


@hostile
def boundaries_crossed(rng: random.Random, size: int) -> bytes:
    """Outer boundaries within inner parts, closed in any order."""
    names = [b"a", b"ab", b"abc", b"a--", b"--a", b" a", b"a "]
    lines = [b'Content-Type: multipart/mixed; boundary="%s"\r\n\r\n' % name for name in names]
    pieces = [*lines, *(b"--" + name + b"\r\n" for name in names), *(b"--" + name + b"--\r\n" for name in names)]
    return HEAD + lines[0] + b"".join(rng.choices(pieces, k=count(size, 25, 50_000)))


@hostile
def boundary_missing(rng: random.Random, size: int) -> bytes:
    named = rng.choice([b"", b"; boundary", b"; boundary=", b'; boundary=""', b'; boundary=" "', b"; boundary=zzz"])
    return mail(b"multipart/mixed" + named, fill(b"--b\r\n\r\nx\r\n", size))


@hostile
def boundary_twice(_: random.Random, size: int) -> bytes:
    return mail(b"multipart/mixed; boundary=a; boundary=b", fill(b"--a\r\n\r\nx\r\n--b\r\n\r\ny\r\n", size))


@hostile
def boundary_of_any_bytes(rng: random.Random, size: int) -> bytes:
    name = rng.randbytes(rng.randrange(1, 90)).translate(None, b'"\\\r\n')
    return mail(b'multipart/mixed; boundary="' + name + b'"', fill(b"--" + name + b"\r\n\r\nx\r\n", size))


@hostile
def one_line(rng: random.Random, size: int) -> bytes:
    return mail(rng.choice([b"text/plain", b"text/html", b"application/octet-stream"]), b"x" * size)


@hostile
def nul(rng: random.Random, size: int) -> bytes:
    return rng.choice(
        [
            b"\0" * size,
            mail(b"text/plain", b"\0" * size),
            field(b"Subject", b"\0" * size),
            HEAD.replace(b"\r\n", b"\0\r\n") + b"\r\nx",
        ]
    )


@hostile
def line_ends(rng: random.Random, size: int) -> bytes:
    ends = [b"\r", b"\n", b"\r\n", b"\n\r", b"\r\r\n", b"\x0b", b"\x0c", b"\x85", b"\xe2\x80\xa8"]
    pieces = [
        b"Subject: x",
        b"To: a@b.c",
        b" folded",
        b"",
        b"text",
        b"--b",
        b"Content-Type: multipart/mixed; boundary=b",
    ]
    return b"".join(rng.choice(pieces) + rng.choice(ends) for _ in range(count(size, 12, 500_000)))


@hostile
def blanks(rng: random.Random, size: int) -> bytes:
    """Runs of blanks before, between and after everything: what patterns look through again and again."""
    run = rng.choice([b" ", b"\t", b" \t", b"\r\n ", b"\r ", b"\xc2\xa0", b"\x0b"])
    long = fill(run, size // 3)
    return rng.choice(
        [
            b"Subject:" + long + b"x\r\n y\r\n\r\nx",
            b"From: a" + long + b"<" + long + b"a@b.c" + long + b">\r\n z\r\n\r\nx",
            b"Content-Type: text/plain" + long + b";" + long + b"charset" + long + b"=" + long + b"x\r\n y\r\n\r\nx",
            mail(b"text/plain", long + b"x \r\n", b"quoted-printable"),
            mail(b"text/html", b"<pre>" + long + b"x \n"),
            mail(b"text/html", b"<a " + long + b"href" + long + b"=" + long),
            long + b"\r\nSubject: x\r\n\r\nx",
            b"Date: " + long + b"1 Jan 2026" + long + b"\r\n x\r\n\r\nx",
            b"From: mailer-daemon@a.b\r\nSubject: failure notice"
            b"\r\n\r\n" + long + b"550 5.1.1" + long + b"<a@b.c>" + long,
            b"Subject: x\r\n" + long + b"\r\n\r\nx",
            mail(b"text/enriched", b"<param>" + long + b"</param><b" + long),
            mail(b"text/calendar", b"METHOD:" + long),
        ]
    )


@hostile
def messages_nested(rng: random.Random, size: int) -> bytes:
    depth = count(size, 32, 1_000)
    encoding = rng.choice([b"", b"Content-Transfer-Encoding: base64\r\n"])
    return HEAD + (b"Content-Type: message/rfc822\r\n" + encoding + b"\r\n") * depth + b"Subject: deep\r\n\r\nx\r\n"


@hostile
def messages_in_multiparts(_: random.Random, size: int) -> bytes:
    layer = b"Content-Type: multipart/mixed; boundary=%d\r\n\r\n--%d\r\nContent-Type: message/rfc822\r\n\r\n"
    return HEAD + b"".join(layer % (n, n) for n in range(count(size, 80, 1_000))) + b"\r\ndeep\r\n"


@hostile
def reports(rng: random.Random, size: int) -> bytes:
    status = [
        b"Final-Recipient: rfc822; a@b.c\r\n",
        b"Final-Recipient: ;\r\n",
        b"Action: failed\r\n",
        b"Action: \xff\r\n",
        b"\r\n",
        b"Status: 5.1.1\r\n",
        b"Status: 9.9.9.9\r\n",
        b"Diagnostic-Code: smtp; 550 =?utf-8?q?x?=\r\n",
        b"x\r\n",
        b"Original-Recipient: utf-8; <<a@b>>\r\n",
        b"Reporting-MTA: dns; \0\r\n",
        b"Disposition: ;/,\r\n",
    ]
    kinds = [b"message/delivery-status", b"message/disposition-notification", b"message/global-delivery-status"]
    part = (
        b"--b\r\nContent-Type: "
        + rng.choice(kinds)
        + b"\r\n\r\n"
        + b"".join(rng.choices(status, k=count(size, 25, 100_000)))
    )
    returned = (
        b"\r\n--b\r\nContent-Type: "
        + rng.choice([b"message/rfc822", b"text/rfc822-headers", b"x"])
        + b"\r\n\r\n"
        + rng.choice(
            [
                b"",
                b"Message-ID: <a@b>\r\n",
                b"X-Bridge-Request-Id: " + b"r" * 500,
                b"Message-ID: <bridge.aaaa.000000000000@a.b>\r\n",
            ]
        )
    )
    parts = [part, returned, b"--b\r\n\r\nnot delivered\r\n"]
    rng.shuffle(parts)
    return mail(b"multipart/report; boundary=b; report-type=x", b"\r\n".join(parts) + b"\r\n--b--\r\n")


@hostile
def plain_bounces(rng: random.Random, size: int) -> bytes:
    pieces = [
        b"<a@b.c>: ",
        b"550 5.1.1 ",
        b"a" * 70,
        b"@",
        b"\r\n",
        b"Status: 5.0.0\r\n",
        b"--- Original message follows\r\n",
        b"failed permanently ",
        b"Diagnostic-Code: smtp; ",
        b"   ",
        b"- a@b.c\r\n",
        b"rcpt to: a@b.c ",
        b"(a@b.c)",
    ]
    body = b"".join(rng.choices(pieces, k=count(size, 12, 100_000)))
    return (
        b"From: MAILER-DAEMON@a.b\r\nSubject: Undeliverable\r\nX-Failed-Recipients: "
        + body[:2_000].replace(b"\r\n", b" ")
        + b"\r\n\r\n"
        + body
    )


@hostile
def body_that_is_no_mail(rng: random.Random, size: int) -> bytes:
    return rng.choice(
        [
            rng.randbytes(min(size, 300_000)),
            b"%PDF-1.7\n" + b"x" * size,
            b"PK\x03\x04" + b"\0" * size,
            b"<html>" + b"x" * size,
            b"{" * size,
            b"From x\r\n" * (size // 8),
            b"\x1f\x8b\x08" + b"\xff" * size,
            b"GET / HTTP/1.1\r\n\r\n",
        ]
    )


@hostile
def nothing(rng: random.Random, _: int) -> bytes:
    return rng.choice(
        [
            b"",
            b"\r\n",
            b"\n",
            b"\r",
            b" ",
            b"\0",
            b":",
            b"\r\n\r\n",
            b"a",
            b"--",
            b"\xef\xbb\xbf",
            b"Subject:",
            b"\t\r\n",
        ]
    )
