"""A sandbox and a browser for each module of tests; the console must be silent when a test ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.browser import Browser
from tests.support.sandbox import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

DISPATCH, CREW = "dispatch@example.org", "crew@example.org"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """A running sandbox with two mailboxes."""
    with SandboxProcess(tmp_path_factory.mktemp("web") / "sandbox", mailboxes=[DISPATCH, CREW]) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def _browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with Browser(tmp_path_factory.mktemp("browser"), resolve=["evil.example"]) as browser:
        yield browser


@pytest.fixture
def browser(_browser: Browser) -> Browser:
    """A browser at a desktop's width that shows nothing yet and has logged nothing."""
    _browser.size(1280, 800)
    _browser.scheme("light")
    _browser.open("about:blank")
    _browser.complaints()
    _browser.requests()
    return _browser


@pytest.fixture
def url(sandbox: SandboxProcess) -> str:
    """The page's address, without a slash at its end."""
    found: str = sandbox.info["admin_url"].rstrip("/")
    return found
