"""
Hostile mail, the same for the same seed: each known way to break a parser, in any size, and mutations of ordinary mail.

`python -m tests.support.hostile_mail --count 20000 --seed 7 --size 400000` is the long form of the unit test; it
reports the slowest mails, the memory, and stops at the first mail that breaks a promise.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.domain.mail import FetchedMail, MailRef
from bridge.mime import parse
from bridge.wire import inbound_build, inbound_v1

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_HEAD = b"From: a@example.org\r\nTo: b@example.org\r\nSubject: x\r\nMIME-Version: 1.0\r\n"


def _repeat(piece: bytes, size: int) -> bytes:
    return (piece * (size // max(1, len(piece)) + 1))[:size]


def _header(name: bytes, value: bytes) -> bytes:
    return _HEAD + name + b": " + value + b"\r\n\r\ntext\r\n"


def _body(content_type: bytes, body: bytes, encoding: bytes = b"7bit") -> bytes:
    return _HEAD + b"Content-Type: " + content_type + b"\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n" + body


def _nested_multiparts(size: int) -> bytes:
    depth = max(2, size // 120)
    parts = [
        b'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (level, level) for level in range(depth)
    ]
    return _HEAD + b"".join(parts) + b"Content-Type: text/plain\r\n\r\ndeep\r\n"


def _nested_messages(size: int) -> bytes:
    return _HEAD + _repeat(b"Content-Type: message/rfc822\r\n\r\n", size) + b"\r\ndeep\r\n"


def _many_parts(piece: bytes) -> Callable[[int], bytes]:
    return lambda size: _body(b"multipart/mixed; boundary=b", _repeat(b"--b\r\n" + piece, size) + b"\r\n--b--\r\n")


def _report(body: bytes) -> bytes:
    return _body(
        b"multipart/report; report-type=delivery-status; boundary=b",
        b"--b\r\nContent-Type: text/plain\r\n\r\nfailed\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n"
        + body
        + b"\r\n--b--\r\n",
    )


def _plain_bounce(body: bytes) -> bytes:
    return b"From: MAILER-DAEMON@example.org\r\nSubject: Undeliverable: x\r\n\r\n" + body


_HTML_PIECES = (
    b"<div>",
    b"<b>",
    b"<a href='",
    b'<a "',
    b'<a b="',
    b"<!--",
    b"<!-- --!",
    b"<script>",
    b"</",
    b"<",
    b"&#",
    b"&#9",
    b"&amp",
    b"<table><tr><td>",
    b"<p><b>x</p>",
    b"<br>",
    b"<svg><style>",
    b"<a =",
    b"<a ='",
    b"&#xD800;",
    b"&#0;",
    b"<pre>",
    b"</pre>",
    b"<title>",
    b"<textarea>",
    b"<li>",
    b"<![CDATA[",
    b"<?",
    b"<plaintext>",
    b"<x/ y=>",
    b" \n",
)

_HEADER_VALUES = {
    "encoded_word_openers": b"=?",
    "encoded_words": b"=?utf-8?q?=C3=A4?= ",
    "encoded_words_base64": b"=?utf-8?b?w6Q=?= ",
    "encoded_word_half": b"=?a?b?",
    "encoded_word_charsets": b"=?undefined?q?x?= =?rot13?q?x?= =?idna?b?eA==?= ",
    "encoded_word_crlf": b"=?utf-8?q?=0D=0ABcc:_x@example.org?= ",
    "encoded_word_surrogates": b"=?utf-7?q?+2AA-?= ",
    "questions": b"?",
    "comments": b"(",
    "comments_closed": b"()",
    "comments_deep": b"((((a))",
    "angles": b"<",
    "angles_closed": b"<>",
    "quotes": b'"',
    "backslashes": b"\\",
    "quoted_backslashes": b'"\\',
    "groups": b"g:a@b;",
    "colons": b":",
    "commas": b",",
    "addresses": b"a@b.c,",
    "named": b'"x" <a@b.c>,',
    "ats": b"@",
    "brackets": b"[",
    "words": b"w ",
    "semicolons": b";",
    "folds": b"\r\n ",
    "blank_folds": b" \r\n\t",
    "nul": b"\0",
    "eight_bit": b"\xff",
    "parameters": b"; a=b",
    "quoted_parameters": b'; a="b',
    "segments": b"; n*0=a",
    "segment_numbers": b"; n*99999999=a",
    "encoded_segments": b"; n*1*=utf-8''%ff",
    "percent": b"%",
    "equals": b"=",
    "digits": b"9",
    "ids": b"<a@b> ",
    "ids_open": b"<a",
    "methods": b"; spf=pass (",
    "dates": b"1 Jan ",
    "long_word": b"x",
    "utf8": b"\xc3\xa4",
}
_FIELDS = (
    b"From", b"To", b"Cc", b"Reply-To", b"Subject", b"Message-ID", b"References", b"In-Reply-To", b"Date",
    b"Content-Type", b"Content-Disposition", b"Content-Transfer-Encoding", b"Content-ID", b"Authentication-Results",
    b"X-Failed-Recipients", b"Auto-Submitted", b"Importance", b"X-Anything",
)  # fmt: skip
_CHARSETS = (
    b"undefined",
    b"utf-7",
    b"utf-16",
    b"utf-16le",
    b"utf-32",
    b"idna",
    b"punycode",
    b"unicode_escape",
    b"rot13",
    b"zlib",
    b"base64",
    b"hz",
    b"iso-2022-jp",
    b"iso-2022-kr",
    b"gb18030",
    b"big5",
    b"cp932",
    b"euc-jp",
    b"x-unknown",
    b"mbcs",
    b"iso-8859-8-i",
    b"\xff",
    b"'",
    b"utf-8\0",
    b"a" * 300,
)


def _structures() -> dict[str, Callable[[int], bytes]]:
    found: dict[str, Callable[[int], bytes]] = {
        "empty": lambda _: b"",
        "only_newlines": lambda size: _repeat(b"\r\n", size),
        "only_cr": lambda size: _repeat(b"Subject: x\r", size),
        "only_nul": lambda size: b"\0" * size,
        "header_flood": lambda size: _repeat(b"A: b\r\n", size) + b"\r\ntext",
        "header_flood_without_body": lambda size: _repeat(b"A:\n", size),
        "malformed_lines": lambda size: _repeat(b"no field\r\nX-A: b\r\n", size),
        "mbox_lines": lambda size: _repeat(b"From x\r\n", size),
        "unindented_parameters": lambda size: b"Content-Type: a/b;\r\n" + _repeat(b"c=d;\r\n", size),
        "continuation_flood": lambda size: b"Subject: x\r\n" + _repeat(b" y\r\n", size) + b"\r\n",
        "blanks_before_a_fold": lambda size: b"Subject: x" + b" " * size + b"y\r\n z\r\n\r\n",
        "recipient_fields": lambda size: _repeat(b"To: a@b.c\r\n", size) + b"\r\n",
        "nested_multiparts": _nested_multiparts,
        "nested_messages": _nested_messages,
        "empty_parts": _many_parts(b""),
        "small_parts": _many_parts(b"\r\nx\r\n"),
        "headless_parts": _many_parts(b"x\r\n"),
        "part_header_floods": _many_parts(_repeat(b"A: b\n", 20_000)),
        "html_parts": _many_parts(b"Content-Type: text/html\r\n\r\n<b>x\r\n"),
        "attached_parts": _many_parts(b"Content-Disposition: attachment; filename=x\r\n\r\nx\r\n"),
        "dash_lines": lambda size: _body(b"multipart/mixed; boundary=b", _repeat(b"--\r\n", size)),
        "near_boundaries": lambda size: _body(b"multipart/mixed; boundary=b", _repeat(b"--bb\r\n", size)),
        "dash_boundary": lambda size: _body(b"multipart/mixed; boundary=" + b"-" * 60, _repeat(b"-", size)),
        "long_boundary": lambda size: _body(b"multipart/mixed; boundary=" + b"x" * size, b"--" + b"x" * size + b"\r\n"),
        "no_boundary": lambda size: _body(b"multipart/mixed", _repeat(b"--b\nContent-x", size)),
        "base64_junk": lambda size: _body(b"image/png", _repeat(b"!@#$", size), b"base64"),
        "base64_groups": lambda size: _body(b"image/png", _repeat(b"YQ==", size), b"base64"),
        "base64_group_lines": lambda size: _body(b"image/png", _repeat(b"YQ==\r\n", size), b"base64"),
        "base64_padding": lambda size: _body(b"image/png", _repeat(b"=", size), b"base64"),
        "base64_odd": lambda size: _body(b"image/png", b"A" * (size | 1), b"base64"),
        "quoted_junk": lambda size: _body(b"text/plain", _repeat(b"=Z=", size), b"quoted-printable"),
        "quoted_blanks": lambda size: _body(b"text/plain", _repeat(b"= ", size), b"quoted-printable"),
        "quoted_trailing": lambda size: _body(b"text/plain", _repeat(b" ", size) + b"x", b"quoted-printable"),
        "quoted_blanks_within": lambda size: _body(b"text/plain", b" " * size + b"x \r\n", b"quoted-printable"),
        "preformatted_blanks": lambda size: _body(b"text/html", b"<pre>" + b" " * size + b"x \n"),
        "uu_begins": lambda size: _body(b"text/plain", _repeat(b"begin 644 x\r\n", size)),
        "uu_files": lambda size: _body(b"text/plain", _repeat(b"begin 644 x\r\n#86)C\r\nend\r\n", size)),
        "uu_endless": lambda size: _body(b"text/plain", b"begin 644 x\r\n" + _repeat(b"#86)C\r\n", size)),
        "uu_part": lambda size: _body(b"image/png", _repeat(b"begin 644 x\r\nM", size), b"x-uuencode"),
        "enriched": lambda size: _body(b"text/enriched", _repeat(b"<<b><param>", size)),
        "calendar": lambda size: _body(b"text/calendar", _repeat(b"METHOD:REQUEST\r\n", size)),
        "report_recipients": lambda size: _report(_repeat(b"Final-Recipient: rfc822; a@b.c\r\n\r\n", size)),
        "report_fields": lambda size: _report(_repeat(b"Action: failed\r\n", size)),
        "report_blanks": lambda size: _report(_repeat(b"\r\n", size)),
        "bounce_addresses": lambda size: _plain_bounce(_repeat(b"<a@b.c>:\r\n", size)),
        "bounce_letters": lambda size: _plain_bounce(_repeat(b"a", size)),
        "bounce_ats": lambda size: _plain_bounce(_repeat(b"a@a", size)),
        "bounce_codes": lambda size: _plain_bounce(_repeat(b"550 ", size)),
        "bounce_marks": lambda size: _plain_bounce(_repeat(b"--- ", size)),
    }
    for piece in _HTML_PIECES:
        found[f"html {piece!r}"] = lambda size, piece=piece: _body(b"text/html", _repeat(piece, size))  # type: ignore[misc]
    found["html cid"] = lambda size: _body(
        b"multipart/related; boundary=b",
        b"--b\r\nContent-Type: text/html\r\n\r\n"
        + _repeat(b"cid:", size)
        + b"\r\n--b\r\nContent-ID: <x>\r\n\r\nx\r\n--b--",
    )
    for name, piece in _HEADER_VALUES.items():
        for field in _FIELDS:
            found[f"{field.decode()} {name}"] = lambda size, field=field, piece=piece: _header(  # type: ignore[misc]
                field, (b"text/plain" if field == b"Content-Type" else b"") + _repeat(piece, size)
            )
    for charset in _CHARSETS:
        found[f"charset {charset[:20]!r}"] = lambda size, charset=charset: _body(  # type: ignore[misc]
            b'text/plain; charset="' + charset + b'"', bytes(index * 7 % 256 for index in range(min(size, 20_000)))
        )
    return found


STRUCTURES = _structures()


@dataclass(frozen=True)
class HostileMail:
    """One mail, and by what it was made."""

    name: str
    raw: bytes


def mails(seed: int, count: int, size: int, templates: list[bytes]) -> Iterator[HostileMail]:
    """Yield every structure once, in about the given size, then mutations of the templates and of small structures."""
    rng = random.Random(seed)
    names = list(STRUCTURES)
    for number in range(count):
        if number < len(names):
            yield HostileMail(names[number], STRUCTURES[names[number]](size))
            continue
        if templates and rng.random() < 0.7:
            name, raw = "template", rng.choice(templates)
        else:
            name = rng.choice(names)
            raw = STRUCTURES[name](rng.randrange(1, 4_000))
        for _ in range(rng.randrange(1, 8)):
            raw = _mutate(rng, raw)
        yield HostileMail(f"mutated {name}", raw)


_SPLICES = (
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
    b"\r\nContent-Transfer-Encoding: base64\r\n",
    b"filename*0*=utf-8''%ff;",
    b"begin 644 x\n",
    b"&#99999999999;",
)


_REPLACEMENTS = ((b"\r\n", b"\n"), (b"\r\n", b"\r"), (b"\n", b"\r\n"), (b": ", b":"), (b"\r\n ", b"\r\n"))


def _mutate(rng: random.Random, raw: bytes) -> bytes:
    position = rng.randrange(len(raw) + 1)
    end = min(len(raw), position + rng.randrange(1, 200))
    match rng.randrange(7):
        case 0:
            return raw[:position] + rng.randbytes(rng.randrange(1, 40)) + raw[position:]
        case 1:
            return raw[:position] + raw[end:]
        case 2:
            return raw[:position] + rng.choice(_SPLICES) * rng.randrange(1, 20) + raw[position:]
        case 3:
            return raw[:position] + raw[position:end] * rng.randrange(2, 30) + raw[end:]
        case 4:
            return raw[:position]
        case 5:
            return raw.replace(
                *rng.choice([(b"\r\n", b"\n"), (b"\r\n", b"\r"), (b"\n", b"\r\n"), (b": ", b":"), (b"\r\n ", b"\r\n")])
            )
        case _:
            return bytes(byte ^ (1 << rng.randrange(8)) if rng.random() < 0.002 else byte for byte in raw)


def check(mail: HostileMail) -> float:
    """
    Read the mail as the bridge does, and return the seconds of the parser.

    Raises:
        AssertionError: A promise was broken.
    """
    started = time.perf_counter()
    parsed = parse(mail.raw)
    seconds = time.perf_counter() - started
    ref = MailRef("m" * 40, "item", None, len(mail.raw), "IPM.Note")
    built = inbound_build.compose(FetchedMail(ref, mail.raw), "dispatch")
    assert "parser_failed" not in built.defects, mail.name
    assert tuple(built.defects) == parsed.defects, mail.name  # the same bytes, the same result
    body = inbound_v1.to_json(built)  # raises on lone surrogates
    assert b"\\u0000" not in body, mail.name
    assert built.raw is not None, mail.name
    assert built.raw.data() == mail.raw, mail.name
    return seconds


def main() -> None:
    """Run the long form."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=20_000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--size", type=int, default=400_000)
    options.add_argument("templates", nargs="*", type=argparse.FileType("rb"))
    chosen = options.parse_args()
    templates = [file.read() for file in chosen.templates]
    slowest: list[tuple[float, str, int]] = []
    for mail in mails(chosen.seed, chosen.count, chosen.size, templates):
        slowest.append((check(mail), mail.name, len(mail.raw)))
        slowest = sorted(slowest, reverse=True)[:15]
    for seconds, name, size in slowest:
        sys.stdout.write(f"{seconds * 1000:9.1f} ms  {size:9d} bytes  {name}\n")
    sys.stdout.write(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB\n")


if __name__ == "__main__":
    main()
