"""Bodies as a shape asks for them: safe, with links and images treated, what is a mail's own, as a fragment."""

from __future__ import annotations

import time
from html import escape
from typing import TYPE_CHECKING

import pytest

from bridge.sandbox.ews.htmlbody import Treatment, read
from tests.unit.sandbox.ews.conftest import ADDRESS, Ews, T
from tests.unit.sandbox.ews.test_flags_and_forms import get

if TYPE_CHECKING:
    from collections.abc import Sequence

_VERSION = '<t:RequestServerVersion Version="Exchange2016"/>'
_SAFE = Treatment(filtered=True)
_PAGE = (
    '<html><head>\r\n<meta http-equiv="Content-Type" content="text/html; charset=utf-8"></head><body>{}</body></html>'
)


def mail(body: str, kind: str = "html", subject: str = "Flight 12", *, more: str = "") -> bytes:
    head = f'From: a@b.example\nTo: {ADDRESS}\nSubject: {subject}\nContent-Type: text/{kind}; charset="utf-8"\n'
    return f"{head}\n{body}{more}".replace("\n", "\r\n").encode()


def shown(ews: Ews, item: str, uri: str, shape: str = "") -> tuple[str, str]:
    """Return the kind and the text of a body."""
    (body,) = ews.call(get(item, shape, uri), header=_VERSION).iter(T + uri.removeprefix("item:"))
    return str(body.get("BodyType")), body.text or ""


# FilterHtmlContent


def test_safe_html_has_the_form_that_exchange_gives_it() -> None:
    """As exchangelib's tests met it in Exchange Online."""
    assert read("<html><body>Hello HTML</body></html>", _SAFE).whole() == _PAGE.format("Hello HTML ")


@pytest.mark.parametrize(
    ("html", "left"),
    [
        ("<script>alert(1)</script>words", "words "),
        ("<SCRIPT SRC=//x>alert(1)</SCRIPT><p>words</p>", "<p>words</p>"),
        ('<p onclick="alert(1)" ONMOUSEOVER=alert(1)>words</p>', "<p>words</p>"),
        ('<img src=x onerror="alert(1)">', '<img src="x">'),
        ("<img/src=x/onerror=alert(1)>", '<img src="x/onerror=alert(1)">'),
        ('<a href="javascript:alert(1)">words</a>', "<a>words</a>"),
        ('<a href=" java&#10;script&colon;alert(1)">words</a>', "<a>words</a>"),
        ('<a href="&#1;javascript:alert(1)">words</a>', "<a>words</a>"),
        ('<a href="vbscript:x">words</a>', "<a>words</a>"),
        ('<a href="data:text/html,<script>alert(1)</script>">words</a>', "<a>words</a>"),
        ('<a href="https://example.org/?a=b">words</a>', '<a href="https://example.org/?a=b">words</a>'),
        ('<a href="mailto:a@example.org">words</a>', '<a href="mailto:a@example.org">words</a>'),
        ('<img src="cid:1@x">', '<img src="cid:1@x">'),
        ('<div style="width:expression(alert(1))">words</div>', "<div>words</div>"),
        ('<div style="background:url(https://x)">words</div>', "<div>words</div>"),
        ('<div style="w\\69dth:1">words</div>', "<div>words</div>"),
        ('<div style="color:red">words</div>', '<div style="color:red">words</div>'),
        ("<iframe src=https://x>in</iframe><object data=x>in</object><embed src=x>", ""),
        ("<svg><script>alert(1)</script><a xlink:href='javascript:1'>in</a></svg>words", "words "),
        ("<math><mtext><style><img src=x onerror=alert(1)></style></mtext></math>words", "words "),
        ("<template><script>1</script></template><noscript><p title='</noscript><img src=x>'></noscript>", ""),
        ('<form action="https://x"><input name=a formaction="javascript:1"></form>', '<form><input name="a"></form>'),
        ("<base href=https://x><meta http-equiv=refresh content='0;url=https://x'><link rel=stylesheet href=x>", ""),
        ("<o:p>words</o:p><blink>more</blink>", "wordsmore "),
        ("<!--[if mso]><script>alert(1)</script><![endif]-->words", "words "),
        ("<xmp><script>alert(1)</script></xmp>", "&lt;script&gt;alert(1)&lt;/script&gt; "),
    ],
)  # fmt: skip
def test_what_may_be_unsafe_goes_and_the_rest_stays(html: str, left: str) -> None:
    assert read(f"<html><body>{html}</body></html>", _SAFE).whole() == _PAGE.format(left)


@pytest.mark.parametrize(
    ("style", "kept"),
    [
        ("p {color: red}", True),
        ("@import 'https://x'", False),
        ("p {background: url(https://x)}", False),
        ("p {behavior: x}", False),
        ("p {a: '\\65xpression(1)'}", False),
    ],
)
def test_a_style_sheet_stays_if_it_loads_and_runs_nothing(style: str, *, kept: bool) -> None:
    safe = read(f"<html><head><style>{style}</style></head><body>x</body></html>", _SAFE).whole()

    assert (f"<style>{style}</style>" in safe) == kept
    assert kept or style not in safe


@pytest.mark.parametrize(
    "html",
    [
        "",
        " ",
        "\x00",
        "<",
        "<frameset><frame src=x></frameset>",
        "<!doctype html>",
        "<html/>",
        "&#1;&#xD800;",
        "<p></b>",
    ],
)
def test_whatever_comes_as_html_becomes_a_document(ews: Ews, html: str) -> None:
    item = ews.store.deliver(ADDRESS, mail(html)).item_id

    for uri in ("item:Body", "item:UniqueBody", "item:NormalizedBody"):
        kind, _ = shown(ews, item, uri, "<t:FilterHtmlContent>true</t:FilterHtmlContent>")
        assert kind == "HTML"


@pytest.mark.parametrize(
    "piece", ["<div>", "<b><p>", "<table><tr><td>", "<!--", "<span>x</span>", "From: x<br>", "&lt;"]
)
def test_hostile_html_takes_time_that_grows_with_its_length_alone(ews: Ews, piece: str) -> None:
    item = ews.store.deliver(ADDRESS, mail(piece * (500_000 // len(piece)))).item_id

    started = time.thread_time()
    for uri in ("item:Body", "item:UniqueBody", "item:NormalizedBody"):
        shown(ews, item, uri, "<t:FilterHtmlContent>true</t:FilterHtmlContent>")
    assert time.thread_time() - started < 5


def test_only_who_asks_gets_safe_html(ews: Ews) -> None:
    html = "<html><body><script>alert(1)</script><p>words</p></body></html>"
    item = ews.store.deliver(ADDRESS, mail(html)).item_id

    assert shown(ews, item, "item:Body") == ("HTML", html)
    assert shown(ews, item, "item:Body", "<t:FilterHtmlContent>false</t:FilterHtmlContent>") == ("HTML", html)
    assert shown(ews, item, "item:Body", "<t:FilterHtmlContent>true</t:FilterHtmlContent>") == (
        "HTML",
        _PAGE.format("<p>words</p>"),
    )


# Links, images, code pages


def test_links_open_a_window_of_their_own(ews: Ews) -> None:
    item = ews.store.deliver(ADDRESS, mail('<a href="https://e.example/">a</a><a href="#b">b</a>')).item_id

    _, body = shown(ews, item, "item:Body", "<t:AddBlankTargetToLinks>true</t:AddBlankTargetToLinks>")

    assert body == _PAGE.format('<a href="https://e.example/" target="_blank">a</a><a href="#b">b</a>')


def test_images_of_other_servers_are_blocked(ews: Ews) -> None:
    html = (
        '<img src="https://e.example/a.png" srcset="https://e.example/b.png 2x"><img src="cid:1"><p background="//x">'
    )
    item = ews.store.deliver(ADDRESS, mail(html)).item_id

    _, body = shown(ews, item, "item:Body", "<t:BlockExternalImages>true</t:BlockExternalImages>")

    assert body == _PAGE.format('<img blockedimagesrc="https://e.example/a.png"><img src="cid:1"><p></p>')


def test_images_of_the_mail_get_the_address_that_the_template_makes(ews: Ews) -> None:
    parts = (
        'Content-Type: multipart/related; boundary="x"\n\n--x\nContent-Type: text/html\n\n'
        '<img src="cid:one@x"><img src="cid:two@x">\n--x\nContent-Type: image/png\nContent-ID: <One@x>\n\nPNG\n--x--\n'
    )
    item = ews.store.deliver(ADDRESS, f"From: a@b.example\nSubject: s\n{parts}".replace("\n", "\r\n").encode()).item_id
    (attachment,) = ews.call(get(item, "", "item:Attachments")).iter(T + "AttachmentId")

    template = "<t:InlineImageUrlTemplate>https://e.example/{id}?a=b</t:InlineImageUrlTemplate>"
    _, body = shown(ews, item, "item:Body", template)

    quoted = str(attachment.get("Id")).replace("/", "%2F").replace("+", "%2B").replace("=", "%3D")
    assert f'<img src="https://e.example/{quoted}?a=b"><img src="cid:two@x">' in body


@pytest.mark.parametrize(("asked", "said"), [("", "utf-8"), ("true", "utf-8"), ("false", "windows-1252")])
def test_html_says_that_it_is_utf_8_unless_the_client_wants_its_code_page(ews: Ews, asked: str, said: str) -> None:
    html = '<html><head><meta http-equiv="Content-Type" content="text/html; charset={}"></head><body>x</body></html>'
    item = ews.store.deliver(ADDRESS, mail(html.format("windows-1252"))).item_id
    shape = f"<t:ConvertHtmlCodePageToUTF8>{asked}</t:ConvertHtmlCodePageToUTF8>" if asked else ""

    assert shown(ews, item, "item:Body", shape) == ("HTML", html.format(said))


# NormalizedBody


def test_a_normalized_body_is_a_fragment(ews: Ews) -> None:
    item = ews.store.deliver(ADDRESS, mail("<html><head><style>p{}</style></head><body dir=ltr><p>one<p>two")).item_id

    assert shown(ews, item, "item:NormalizedBody") == ("HTML", "<div><p>one</p><p>two</p></div>")
    assert shown(ews, item, "item:NormalizedBody", "<t:NormalizedBodyType>Text</t:NormalizedBodyType>")[0] == "Text"


def test_a_normalized_body_is_cut_like_a_body(ews: Ews) -> None:
    item = ews.store.deliver(ADDRESS, mail("x" * 2000)).item_id
    asked = get(item, "<t:MaximumBodySize>1</t:MaximumBodySize>", "item:NormalizedBody")

    (body,) = ews.call(asked, header=_VERSION).iter(T + "NormalizedBody")

    assert (len(body.text or ""), body.get("IsTruncated")) == (1024, "true")


# UniqueBody

_OUTLOOK = (
    '<html><body><p class="MsoNormal">Landing at five.</p><div><div style="border:none;border-top:solid #E1E1E1 1.0pt">'
    '<p class="MsoNormal"><b>From:</b> A &lt;a@b.example&gt; <br><b>Sent:</b> Tuesday, November 24, 2026 9:00<br>'
    "<b>To:</b> dispatch@example.org<br><b>Subject:</b> Flight 12</p></div></div><p>{}</p></body></html>"
)
_OWA = (
    '<html><body><div dir="ltr">Landing at five.</div><hr style="display:inline-block;width:98%" tabindex="-1">'
    '<div id="divRplyFwdMsg" dir="ltr"><font><b>Von:</b> A<br><b>Gesendet:</b> Dienstag<br><b>An:</b> B<br>'
    "<b>Betreff:</b> Flight 12</font><div>&nbsp;</div></div><div><p>{}</p></div></body></html>"
)
_GMAIL = (
    '<html><body><div dir="ltr">Landing at five.</div><div class="gmail_quote"><div>On Tue, A wrote:<br></div>'
    "<blockquote><div>{}</div></blockquote></div></body></html>"
)
_PLAIN = (
    "Landing at five.\n\n________________________________\nFrom: A\nSent: Tuesday\nTo: B\nSubject: Flight 12\n\n{}\n"
)
_ORIGINAL = "Landing at five.\n\n-----Original Message-----\nFrom: A\nSent: Tuesday\nTo: B\nSubject: x\n\n{}\n"
_ASKED = "When do you land? Bed 12 is free."


def unique(ews: Ews, item: str, kind: str = "Best") -> tuple[str, str]:
    return shown(ews, item, "item:UniqueBody", f"<t:UniqueBodyType>{kind}</t:UniqueBodyType>")


@pytest.mark.parametrize(
    ("reply", "own"),
    [
        (_OUTLOOK, '<p class="MsoNormal">Landing at five.</p>'),
        (_OWA, '<div dir="ltr">Landing at five.</div>'),
    ],
)
@pytest.mark.parametrize("first", ["plain", "html"])
def test_what_outlook_quotes_of_an_earlier_mail_is_not_unique(ews: Ews, reply: str, own: str, first: str) -> None:
    ews.store.deliver(ADDRESS, mail(_ASKED if first == "plain" else f"<p>{_ASKED}</p>", first))
    item = ews.store.deliver(ADDRESS, mail(reply.format(_ASKED), subject="RE: Flight 12")).item_id

    assert unique(ews, item) == ("HTML", f"<html><body><div>\r\n{own}</div>\r\n</body></html>")


@pytest.mark.parametrize("reply", [_PLAIN, _ORIGINAL])
def test_the_same_goes_for_text(ews: Ews, reply: str) -> None:
    ews.store.deliver(ADDRESS, mail(f"{_ASKED}\n", "plain"))
    item = ews.store.deliver(ADDRESS, mail(reply.format(_ASKED), "plain", subject="RE: Flight 12")).item_id

    assert unique(ews, item) == ("Text", "Landing at five.\r\n")


@pytest.mark.parametrize(
    ("earlier", "reply"),
    [
        ([], _OUTLOOK),  # the mailbox does not have what is quoted
        ([("Another flight", _ASKED)], _OUTLOOK),  # it is of another conversation
        ([("Flight 12", "Other words.")], _OUTLOOK),  # something else is quoted
        ([("Flight 12", _ASKED)], _GMAIL),  # as users of Exchange Online report
    ],
)
def test_a_body_is_unique_where_nothing_says_otherwise(
    ews: Ews, earlier: Sequence[tuple[str, str]], reply: str
) -> None:
    for subject, text in earlier:
        ews.store.deliver(ADDRESS, mail(text, "plain", subject))
    item = ews.store.deliver(ADDRESS, mail(reply.format(_ASKED), subject="RE: Flight 12")).item_id

    kind, body = unique(ews, item)

    assert kind == "HTML"
    assert escape(_ASKED) in body
    assert "Landing at five." in body


def test_a_later_mail_takes_nothing_from_an_earlier_one(ews: Ews) -> None:
    first = ews.store.deliver(ADDRESS, mail(_OUTLOOK.format(_ASKED))).item_id
    ews.store.deliver(ADDRESS, mail(_ASKED, "plain", "RE: Flight 12"))

    assert _ASKED in unique(ews, first)[1]


@pytest.mark.parametrize("kind", ["HTML", "Text"])
def test_the_own_words_of_a_reply_made_here_are_unique(ews: Ews, kind: str) -> None:
    asked = ews.store.deliver(ADDRESS, mail(f"{_ASKED}\n", "plain")).item_id
    made = ews.call(
        '<m:CreateItem MessageDisposition="SaveOnly"><m:Items><t:ReplyToItem>'
        f'<t:ReferenceItemId Id="{asked}"/><t:NewBodyContent BodyType="{kind}">Landing at five.</t:NewBodyContent>'
        "</t:ReplyToItem></m:Items></m:CreateItem>"
    )
    (draft,) = (str(one.get("Id")) for one in made.iter(T + "ItemId"))

    _, body = unique(ews, draft)

    assert "Landing at five." in body
    assert _ASKED not in body
    assert "From:" not in body


def test_an_empty_body_is_unique_and_empty(ews: Ews) -> None:
    item = ews.store.deliver(ADDRESS, mail("<html><body></body></html>")).item_id

    assert unique(ews, item) == ("HTML", "<html><body></body></html>")
