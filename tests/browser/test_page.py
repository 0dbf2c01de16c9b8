"""What a person can do with the page, in a real browser."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest

from bridge.sandbox.trace import as_given
from tests.browser.conftest import CREW, DISPATCH
from tests.support.sandbox import SandboxProcess

if TYPE_CHECKING:
    from pathlib import Path

from tests.support.browser import Browser

_VIEWS = ("mail", "compose", "sends", "calls", "faults", "tokens", "bridge")
_MAIL = (
    b"From: Ada Example <ada@elsewhere.example>\r\nTo: dispatch@example.org\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\n"
    b"Message-ID: <first@elsewhere.example>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=m\r\n\r\n"
    b"--m\r\nContent-Type: multipart/related; boundary=r\r\n\r\n"
    b"--r\r\nContent-Type: text/html; charset=utf-8\r\n\r\n"
    b'<p id="hello" style="color: #aa0000">Hello <b>there</b><img id="dot" src="cid:dot"></p>\r\n'
    b"--r\r\nContent-Type: image/gif\r\nContent-ID: <dot>\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    b"R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7\r\n--r--\r\n"
    b'--m\r\nContent-Type: text/csv\r\nContent-Disposition: attachment; filename="list.csv"\r\n\r\na;b\r\n--m--\r\n'
)
# Text against what is behind it, by WCAG 2.1; what is switched off may be paler.
_PALEST = """
const light = (colour) => colour.slice(0, 3).map((part) => part / 255)
  .map((part) => (part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
  .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
const numbers = (text) => text.match(/[\\d.]+/g).map(Number);
const behind = (element) => {
  for (let one = element; one; one = one.parentElement) {
    const colour = numbers(getComputedStyle(one).backgroundColor);
    if (colour.length < 4 || colour[3] === 1) return colour;
  }
};
let worst = [99, ""];
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const element = texts.currentNode.parentElement;
  if (!texts.currentNode.data.trim() || !element.checkVisibility() || element.closest("noscript, option")) continue;
  const [a, b] = [light(numbers(getComputedStyle(element).color)), light(behind(element))].sort((x, y) => y - x);
  const contrast = (a + 0.05) / (b + 0.05);
  if (contrast < worst[0]) worst = [contrast, texts.currentNode.data];
}
return worst;
"""


def test_a_mail_is_shown_as_text_html_headers_and_source_and_comes_out_byte_for_byte(
    sandbox: SandboxProcess, browser: Browser, url: str
) -> None:
    sandbox.deliver(DISPATCH, _MAIL)
    browser.open(f"{url}/")
    browser.wait(".mails a", text="Grüße")
    browser.click(".mails a")

    assert browser.wait(".letter h2") == "Grüße"
    assert "Ada Example <ada@elsewhere.example>" in browser.wait(".people")
    with browser.in_frame("iframe"):
        assert browser.wait("#hello") == "Hello there"
        assert browser.run("return getComputedStyle(document.getElementById('hello')).color") == "rgb(170, 0, 0)"
        assert browser.run("return document.getElementById('dot').naturalWidth") == 1
    browser.click(".forms button:nth-child(3)")
    assert "<first@elsewhere.example>" in browser.wait(".headers")
    browser.click(".forms button:nth-child(4)")
    assert "boundary=m" in browser.wait("pre.source")

    browser.click(".bar a")
    _downloaded(browser, "mail.eml")
    assert as_given((browser.downloads / "mail.eml").read_bytes()) == _MAIL
    browser.click(".attachments li:nth-child(2) a")
    assert _downloaded(browser, "list.csv") == hashlib.sha256(b"a;b").hexdigest()
    assert browser.complaints() == []


def test_what_arrives_is_shown_without_being_asked_for(sandbox: SandboxProcess, browser: Browser, url: str) -> None:
    browser.open(f"{url}/#/mail/{quote(CREW)}/inbox/1")
    browser.wait(".list .note", text="No mails")

    sandbox.deliver(CREW, b"Subject: it came\r\n\r\n")
    assert "it came" in browser.wait(".mails a", seconds=5)
    assert browser.wait(".folders [aria-current] .count") == "1 / 1"


def test_a_sandbox_that_was_killed_is_said_to_be_away_and_is_live_again_when_it_is_back(
    sandbox: SandboxProcess, browser: Browser, url: str
) -> None:
    browser.open(f"{url}/#/mail")
    browser.wait("#live", text="live")
    sandbox.kill()
    browser.wait("#live", text="not answering")

    sandbox.start()
    browser.wait("#live", text="live")
    sandbox.deliver(DISPATCH, b"Subject: after the restart\r\n\r\n")
    browser.wait(".mails a", text="after the restart")


def test_a_mail_that_is_written_in_the_page_is_in_the_mailbox(
    sandbox: SandboxProcess, browser: Browser, url: str
) -> None:
    browser.open(f"{url}/#/compose")
    browser.wait("#to option", text=DISPATCH)
    browser.type("#from", "Zoë <zoe@elsewhere.example>")
    browser.type("#subject", "Schöne <b>Grüße</b>")
    browser.type("#text", "first line\nsecond line")
    browser.click("form[aria-label='Write a mail'] button")
    browser.click("#said a")

    assert browser.wait(".letter h2") == "Schöne <b>Grüße</b>"
    assert browser.wait("pre.text").splitlines() == ["first line", "second line"]
    assert sandbox.mails(DISPATCH)[-1]["subject"] == "Schöne <b>Grüße</b>"
    assert browser.complaints() == []


def test_a_file_is_delivered_byte_for_byte(sandbox: SandboxProcess, browser: Browser, url: str, tmp_path: Path) -> None:
    mime = b"Subject: a file\r\n\r\nbare\nline feeds\r and \xff\x00 bytes"
    (tmp_path / "mail.eml").write_bytes(mime)
    browser.open(f"{url}/#/compose")
    browser.wait("#to option", text=DISPATCH)
    browser.attach("#file", tmp_path / "mail.eml")
    browser.click("form[aria-label='Deliver one as it is'] button")
    browser.wait("#said", text="Delivered")

    assert sandbox.mails(DISPATCH)[-1]["sha256"] == hashlib.sha256(mime).hexdigest()


def test_a_sender_that_is_none_is_refused_in_words(browser: Browser, url: str) -> None:
    browser.open(f"{url}/#/compose")
    browser.wait("#to option", text=DISPATCH)
    browser.type("#from", "nobody")
    browser.click("form[aria-label='Write a mail'] button")

    assert "from is no mail address" in browser.wait("#said[data-state=bad]")


def test_a_switch_makes_a_rule_and_takes_it_away_and_shows_how_often_it_fired(
    sandbox: SandboxProcess, browser: Browser, url: str
) -> None:
    other = {"name": "other", "match": {"operation": "GetItem"}, "fault": "cut_before"}
    sandbox.faults(other)
    browser.open(f"{url}/#/faults")
    browser.wait("#fault-unavailable-row")
    browser.run("document.querySelector('#fault-unavailable-row details').open = true")
    browser.type("#fault-unavailable-retry_after_seconds", "7")
    browser.type("#fault-unavailable-operation", "token")
    browser.click("#fault-unavailable-row [role=switch]")
    browser.wait("table", text="page: unavailable")
    browser.wait("#fault-unavailable-row [role=switch][aria-checked=true]")

    rule = sandbox.fault_report()[1]
    wanted = {"status": 503, "retry_after_seconds": 7, "retry_after_form": "seconds"}
    assert rule["fault"] == {"kind": "unavailable", **wanted}
    assert rule["match"] == {"operation": ["token"]}
    assert _token_status(sandbox) == 503
    browser.wait("#fault-unavailable-row .fired", text="fired 1")

    browser.open("about:blank")
    browser.open(f"{url}/#/faults")
    browser.wait("#fault-unavailable-row .fired", text="fired 1")
    assert browser.run("return document.querySelector('#fault-unavailable-retry_after_seconds').value") == "7"
    browser.click("#fault-unavailable-row [role=switch]")
    browser.wait("#fault-unavailable-row [role=switch][aria-checked=false]")
    assert sandbox.fault_report() == [{**other, "seen": 0, "fired": 0}]
    browser.click("[aria-label='Remove other']")
    browser.wait("#main .note", text="everything goes as it should")
    assert sandbox.fault_report() == []


def test_there_is_a_switch_for_every_kind_of_fault(sandbox: SandboxProcess, browser: Browser, url: str) -> None:
    browser.open(f"{url}/#/faults")
    browser.wait("#fault-latency-row")

    kinds = [kind["kind"] for kind in sandbox.admin("/faults/kinds")]
    shown = browser.run("return [...document.querySelectorAll('.kind')].map((row) => row.id)")
    assert sorted(shown) == sorted(f"fault-{kind}-row" for kind in kinds)


def test_a_fault_of_connections_is_switched_for_a_server(sandbox: SandboxProcess, browser: Browser, url: str) -> None:
    """No operation and no mailbox can be asked for: a rule that names one is refused."""
    browser.open(f"{url}/#/faults")
    browser.wait("#fault-certificate_expired-row")
    browser.run("document.querySelector('#fault-certificate_expired-row details').open = true")
    fields = browser.run(
        "return [...document.querySelectorAll('#fault-certificate_expired-row form [id]')].map((one) => one.id)"
    )
    browser.run("document.querySelector('#fault-certificate_expired-service').value = 'ews'")
    browser.click("#fault-certificate_expired-row [role=switch]")
    browser.wait("#fault-certificate_expired-row [role=switch][aria-checked=true]")

    (rule,) = sandbox.fault_report()
    assert (rule["match"], rule["fault"]) == ({"service": "ews"}, {"kind": "certificate_expired"})
    assert fields == [f"fault-certificate_expired-{name}" for name in ("service", "probability", "times")]
    sandbox.faults()


def test_a_fault_that_knows_a_few_names_offers_them(sandbox: SandboxProcess, browser: Browser, url: str) -> None:
    browser.open(f"{url}/#/faults")
    browser.wait("#fault-gzip_broken-row")
    offered = browser.run(
        "return [...document.querySelectorAll('#fault-gzip_broken-how option')].map((one) => one.value)"
    )
    browser.run("document.querySelector('#fault-gzip_broken-how').value = 'corrupt'")
    browser.click("#fault-gzip_broken-row [role=switch]")
    browser.wait("#fault-gzip_broken-row [role=switch][aria-checked=true]")

    assert offered == ["truncated", "corrupt", "unlabelled", "mislabelled"]
    assert sandbox.fault_report()[0]["fault"] == {"kind": "gzip_broken", "how": "corrupt"}
    sandbox.faults()


def test_every_kind_of_fault_can_be_switched_on_with_what_the_page_offers(
    sandbox: SandboxProcess, browser: Browser, url: str
) -> None:
    """What is asked for and has no value yet gets one here, as a person would give it."""
    required = {"code": "ErrorItemCorrupt", "seconds": "1", "bytes_per_second": "1000"}
    sandbox.faults()
    browser.open(f"{url}/#/faults")
    browser.wait("#fault-latency-row")
    for kind in sandbox.admin("/faults/kinds"):
        row = f"#fault-{kind['kind']}"
        browser.run(f"document.querySelector('{row}-row details').open = true")
        for parameter in kind["parameters"]:
            if parameter["required"]:
                browser.type(f"{row}-{parameter['name']}", required[parameter["name"]])
        browser.click(f"{row}-row [role=switch]")
        browser.wait(f"{row}-row [role=switch][aria-checked=true]")

    kinds = {kind["kind"] for kind in sandbox.admin("/faults/kinds")}
    assert {rule["fault"]["kind"] for rule in sandbox.fault_report()} == kinds
    sandbox.faults()


def test_a_fault_that_lacks_a_value_is_refused_at_its_switch(browser: Browser, url: str) -> None:
    browser.open(f"{url}/#/faults")
    browser.click("#fault-item_error-row [role=switch]")

    assert "fault.code" in browser.wait("#fault-item_error-row .trouble", text="fault.code")
    assert browser.wait("#fault-item_error-row [role=switch][aria-checked=false]") == ""


def test_calls_and_tokens_show_what_happened_and_no_token(sandbox: SandboxProcess, browser: Browser, url: str) -> None:
    browser.open(f"{url}/#/tokens")
    browser.wait("#main h2", text="Tokens")
    assert _token_status(sandbox) == 200
    assert "full_access_as_app" in browser.wait("tbody tr", text="valid")
    assert "eyJ" not in browser.run("return document.documentElement.outerHTML")
    browser.click(".tokens button")
    browser.wait("tbody tr", text="revoked")

    browser.click("#views a[href='#/calls']")
    browser.wait("tbody tr", text="token")
    assert float(browser.texts("[data-label=ms]")[0]) >= 0


@pytest.mark.parametrize("width", [360, 768, 1280, 1920])
@pytest.mark.parametrize("view", _VIEWS)
def test_no_view_is_wider_than_the_window(
    sandbox: SandboxProcess, browser: Browser, url: str, view: str, width: int
) -> None:
    browser.size(width, 740)
    browser.open(f"{url}/#/{view}")
    browser.wait("#main h2, #main .folders, #main form")

    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", _VIEWS)
def test_every_text_stands_out_from_what_is_behind_it(
    sandbox: SandboxProcess, browser: Browser, url: str, view: str, scheme: str
) -> None:
    browser.scheme(scheme)
    browser.open(f"{url}/#/{view}")
    browser.wait("#main h2, #main .folders, #main form")
    browser.wait("#live", text="live")

    contrast, text = browser.run(_PALEST)
    assert contrast >= 4.5, text


def test_a_phone_shows_folders_then_mails_then_the_mail_and_finds_back(
    sandbox: SandboxProcess, browser: Browser, url: str
) -> None:
    sandbox.deliver(DISPATCH, b"Subject: on a phone\r\n\r\n")
    browser.size(375, 740)
    browser.open(f"{url}/#/mail")
    browser.wait(".folders a", text="Inbox")
    assert browser.texts(".list") == []
    browser.click(".folders a")
    browser.wait(".mails a")
    assert browser.texts(".places") == []
    browser.click(".mails a")
    browser.wait("article.mail .letter h2")
    assert browser.texts(".places") == browser.texts(".list") == []
    browser.click("article .back")
    browser.click(".list .back")
    browser.wait(".folders a", text="Inbox")


def test_a_phone_shows_no_piece_of_a_table_s_head(sandbox: SandboxProcess, browser: Browser, url: str) -> None:
    """Cards name their columns themselves; a head beside them was wider than what hid it."""
    assert _token_status(sandbox) == 200
    browser.size(375, 740)
    browser.open(f"{url}/#/tokens")
    browser.wait("tbody tr", text="full_access_as_app")

    seen = """const one = document.querySelector("thead").getBoundingClientRect();
      return one.width > 1 && one.height > 1 && one.right > 0 && one.left < innerWidth"""
    assert browser.run(seen) is False


def test_the_page_opens_where_mail_is(browser: Browser, tmp_path: Path) -> None:
    """A bridge empties the inbox at once; an empty list says nothing of what went through."""
    with SandboxProcess(tmp_path / "sandbox", mailboxes=[DISPATCH, CREW]) as sandbox:
        page = sandbox.info["admin_url"].rstrip("/")
        browser.open(f"{page}/#/mail")
        browser.wait(".list .note", text="No mails in this folder.")
        sandbox.deliver(CREW, b"Subject: to the crew\r\n\r\n")
        browser.open("about:blank")
        browser.open(f"{page}/#/mail")

        browser.wait(".mails a", text="to the crew")
        assert browser.run("return document.getElementById('mailbox').value") == CREW
        browser.open("about:blank")


def test_a_mail_is_answered_so_that_it_belongs_to_what_it_answers(
    sandbox: SandboxProcess, browser: Browser, url: str
) -> None:
    sandbox.deliver(
        CREW,
        b"From: Dispatch <dispatch@example.org>\r\nTo: crew@example.org\r\nSubject: Flight 7/8\r\n"
        b"Message-ID: <" + b"long" * 40 + b"@example.org>\r\nReferences: <before@example.org>\r\n\r\nReady?\r\n",
    )
    browser.open(f"{url}/#/mail/{quote(CREW)}/inbox/1")
    browser.wait(".mails a", text="Flight 7/8")
    browser.click(".mails li:first-child a")
    browser.click(".tools a[href^='#/compose/']")
    browser.wait("#answered", text="In reply to")
    browser.type("#text", "On our way")
    browser.click("form[aria-label='Write a mail'] button")
    browser.click("#said a")
    browser.wait(".letter h2", text="Re: Flight 7/8")

    [mail] = [one for one in sandbox.mails(DISPATCH) if one["subject"] == "Re: Flight 7/8"]
    source = sandbox.mime(DISPATCH, mail["item_id"])
    assert b"From: crew@example.org\r\n" in source
    identity = b"<" + b"long" * 40 + b"@example.org>"
    assert b"In-Reply-To: " + identity + b"\r\n" in source
    assert b"References: <before@example.org>\r\n " + identity + b"\r\n" in source
    assert b"On our way" in source


def test_a_mail_from_outside_has_no_reply_for_it_would_reach_nobody(
    sandbox: SandboxProcess, browser: Browser, url: str
) -> None:
    sandbox.deliver(DISPATCH, _MAIL)
    browser.open(f"{url}/#/mail/{quote(DISPATCH)}/inbox/1")
    browser.click(".mails li:first-child a")
    browser.wait(".letter h2", text="Grüße")

    assert browser.texts(".tools .button")[0].startswith("Download")


def test_the_keyboard_alone_reads_a_mail_and_throws_a_switch(
    sandbox: SandboxProcess, browser: Browser, url: str
) -> None:
    sandbox.deliver(CREW, b"Subject: read by keys\r\n\r\n")
    browser.open(f"{url}/#/mail/{quote(CREW)}/inbox/1")
    browser.wait(".mails a", text="read by keys")
    _tab_to(browser, ".mails a")
    browser.press("Enter")
    browser.wait(".letter h2", text="read by keys")
    _tab_to(browser, ".forms button:last-child")
    browser.press("Enter")
    browser.wait("pre.source", text="Subject: read by keys")

    browser.open(f"{url}/#/faults")
    browser.wait("#fault-empty-row")
    _tab_to(browser, "#fault-empty-row [role=switch]", presses=200)
    browser.press("Space")
    browser.wait("#fault-empty-row [role=switch][aria-checked=true]")
    sandbox.faults()


def test_the_focus_stays_on_a_mail_when_others_arrive(sandbox: SandboxProcess, browser: Browser, url: str) -> None:
    sandbox.deliver(CREW, b"Subject: in focus\r\n\r\n")
    browser.open(f"{url}/#/mail/{quote(CREW)}/inbox/1")
    browser.wait(".mails a", text="in focus")
    browser.run("document.querySelector('.mails a').focus()")
    focused = browser.run("return document.activeElement.dataset.key")
    sandbox.deliver(CREW, b"Subject: another\r\n\r\n")
    browser.wait(".mails a", text="another")

    assert browser.run("return document.activeElement.dataset.key") == focused


def _downloaded(browser: Browser, name: str) -> str:
    path = browser.downloads / name
    return browser.until(
        lambda: hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else None, f"the file {name}"
    )


def _tab_to(browser: Browser, selector: str, *, presses: int = 80) -> None:
    for _ in range(presses):
        browser.press("Tab")
        if browser.run("return document.activeElement.matches(arguments[0])", selector):
            return
    raise AssertionError(f"Tab does not lead to {selector}")


def _token_status(sandbox: SandboxProcess) -> int:
    import ssl
    from urllib.error import HTTPError
    from urllib.parse import urlencode
    from urllib.request import HTTPSHandler, ProxyHandler, build_opener

    form = {
        "grant_type": "client_credentials",
        "client_id": sandbox.info["client_id"],
        "client_secret": sandbox.info["client_secret"],
        "scope": "https://outlook.office365.com/.default",
    }
    context = ssl.create_default_context(cafile=sandbox.info["ca_file"])
    opener = build_opener(ProxyHandler({}), HTTPSHandler(context=context))
    try:
        with opener.open(sandbox.info["authority_url"] + "/oauth2/v2.0/token", urlencode(form).encode()) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code
