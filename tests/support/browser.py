"""
A real Chromium without a window, driven by chromedriver over plain WebDriver (W3C) HTTP.

    with Browser(tmp_path) as browser:
        browser.open(url)
        browser.wait("main h2", text="Inbox")
        browser.click("#views a")
        assert not browser.complaints()
"""

from __future__ import annotations

import base64
import json
import os
import re
import selectors
import subprocess
import time
from contextlib import AbstractContextManager
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path
    from types import TracebackType

_START_SECONDS = 30.0
_WAIT_SECONDS = 15.0
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
_T = TypeVar("_T")
KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Space": " "}


class WebDriverError(AssertionError):
    """The browser could not do it, or what was waited for did not come."""


class Browser(AbstractContextManager["Browser"]):
    """One browser with an empty profile. `resolve` makes a host name of one's own mean 127.0.0.1."""

    def __init__(self, directory: Path, *, resolve: Sequence[str] = ()) -> None:
        """Keep its profile and downloads under `directory`."""
        self.downloads = directory / "downloads"
        self._profile = directory / "profile"
        self._rules = ",".join(f"MAP {host} 127.0.0.1" for host in resolve)
        self._driver: subprocess.Popen[bytes] | None = None
        self._port = 0
        self._session = ""

    def __enter__(self) -> Browser:
        """Start it, with a desktop's width."""
        self.downloads.mkdir(parents=True, exist_ok=True)
        environment = {key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")}
        self._driver = subprocess.Popen(
            ["chromedriver", "--port=0"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        try:
            self._port = _port(self._driver)
            self._session = self._call("POST", "/session", {"capabilities": {"alwaysMatch": self._wanted()}})[
                "sessionId"
            ]
            self.cdp("Network.enable", {})
            self.size(1280, 800)
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the browser and its driver."""
        if self._driver is None:
            return
        if self._session:
            self._call("DELETE", self._path(""))
        self._driver.terminate()
        self._driver.wait(_WAIT_SECONDS)
        if self._driver.stdout is not None:
            self._driver.stdout.close()
        self._driver = None

    # What a person does.

    def open(self, url: str) -> None:
        """Go to an address, as typed."""
        self._call("POST", self._path("/url"), {"url": url})

    def click(self, selector: str) -> None:
        """Click the first element of a selector that can be seen, once there is one."""
        script = "return [...document.querySelectorAll(arguments[0])].find((one) => one.checkVisibility()) ?? null"
        element: dict[str, str] = self.until(lambda: self.run(script, selector), f"{selector} in sight")
        self._call("POST", self._path(f"/element/{element[_ELEMENT]}/click"), {})

    def type(self, selector: str, text: str) -> None:
        """Replace what is in a field."""
        self._on(selector, "/clear", {})
        self._on(selector, "/value", {"text": text})

    def attach(self, selector: str, path: Path) -> None:
        """Choose a file."""
        self._on(selector, "/value", {"text": str(path)})

    def press(self, *keys: str) -> None:
        """Press keys, by the names in `KEYS` or as letters."""
        pressed = [KEYS.get(key, key) for key in keys]
        actions = [{"type": kind, "value": key} for key in pressed for kind in ("keyDown", "keyUp")]
        keyboard = {"type": "key", "id": "keyboard", "actions": actions}
        self._call("POST", self._path("/actions"), {"actions": [keyboard]})

    def size(self, width: int, height: int) -> None:
        """Be a window of this size, in CSS pixels."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.cdp("Emulation.setDeviceMetricsOverride", metrics)

    def scheme(self, name: str) -> None:
        """Prefer `dark` or `light`."""
        self.cdp("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": name}]})

    # What a person sees, and what the browser knows.

    def run(self, script: str, *arguments: object) -> Any:  # noqa: ANN401 - whatever the script returns
        """Return what a script returns that is run in the page from outside, past its policy."""
        return self._call("POST", self._path("/execute/sync"), {"script": script, "args": list(arguments)})

    def texts(self, selector: str) -> list[str]:
        """Return the visible text of each element of a selector that can be seen; options count as seen."""
        script = """return [...document.querySelectorAll(arguments[0])]
          .filter((one) => one.checkVisibility() || one.matches("option")).map((one) => one.innerText)"""
        found: list[str] = self.run(script, selector)
        return found

    def wait(self, selector: str, *, text: str = "", seconds: float = _WAIT_SECONDS) -> str:
        """Return the text of the first element of a selector that shows `text`, once there is one."""

        def seen() -> str | None:
            return next((found for found in self.texts(selector) if text in found), None)

        return self.until(seen, f"{selector} with {text!r}", seconds=seconds)

    def until(self, seen: Callable[[], _T | None], what: str, *, seconds: float = _WAIT_SECONDS) -> _T:
        """Return what `seen` returns, once that is not None."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = seen()
            if found is not None:
                return found
            time.sleep(0.05)
        raise WebDriverError(f"{what} did not come; the page shows: {self.texts('body')}")

    def complaints(self) -> list[str]:
        """Return what the console holds since it was last asked: errors, and what the policy forbade."""
        entries = self._call("POST", self._path("/se/log"), {"type": "browser"})
        return [entry["message"] for entry in entries if entry["level"] in ("SEVERE", "WARNING")]

    def requests(self) -> list[str]:
        """Return the addresses that anything in the browser asked for since this was last called."""
        entries = self._call("POST", self._path("/se/log"), {"type": "performance"})
        messages = [json.loads(entry["message"])["message"] for entry in entries]
        return [
            message["params"]["request"]["url"]
            for message in messages
            if message["method"] == "Network.requestWillBeSent"
        ]

    def screenshot(self, path: Path) -> None:
        """Write what is seen as PNG."""
        path.write_bytes(base64.b64decode(self._call("GET", self._path("/screenshot"))))

    def windows(self) -> int:
        """Return how many windows and tabs are open."""
        return len(self._call("GET", self._path("/window/handles")))

    def in_frame(self, selector: str) -> AbstractContextManager[None]:
        """Look into a frame for the length of a block."""
        return _Frame(self, selector)

    def cdp(self, command: str, parameters: dict[str, Any]) -> Any:  # noqa: ANN401 - as the command answers
        """Tell the browser something that WebDriver has no word for."""
        return self._call("POST", self._path("/goog/cdp/execute"), {"cmd": command, "params": parameters})

    def element(self, selector: str) -> dict[str, str]:
        """Return the first element of a selector, once it is there."""

        def seen() -> dict[str, str] | None:
            found = self._call("POST", self._path("/elements"), {"using": "css selector", "value": selector})
            return found[0] if found else None

        return self.until(seen, selector)

    def switch_frame(self, element: dict[str, str] | None) -> None:
        """Look into a frame, or out of all of them."""
        self._call("POST", self._path("/frame"), {"id": element})

    def _on(self, selector: str, what: str, body: dict[str, Any]) -> None:
        self._call("POST", self._path(f"/element/{self.element(selector)[_ELEMENT]}{what}"), body)

    def _wanted(self) -> dict[str, Any]:
        arguments = [
            "--headless=new",
            "--no-proxy-server",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-dev-shm-usage",
            "--disable-gpu",
            f"--user-data-dir={self._profile}",
        ]
        if os.geteuid() == 0:
            arguments.append("--no-sandbox")  # Chromium's own cannot be had as root, as tests run in containers
        if self._rules:
            arguments.append(f"--host-resolver-rules={self._rules}")
        preferences = {"download.default_directory": str(self.downloads), "download.prompt_for_download": False}
        return {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments, "prefs": preferences},
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
        }

    def _path(self, rest: str) -> str:
        return f"/session/{self._session}{rest}"

    def _call(self, method: str, path: str, body: object | None = None) -> Any:  # noqa: ANN401 - as the command answers
        connection = HTTPConnection("127.0.0.1", self._port, timeout=60)
        try:
            content = None if body is None else json.dumps(body).encode()
            connection.request(method, path, content, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            value = json.loads(answer.read())["value"]
        finally:
            connection.close()
        if answer.status != 200:
            raise WebDriverError(f"{path}: {value['error']}: {value['message']}")
        return value


class _Frame(AbstractContextManager[None]):
    def __init__(self, browser: Browser, selector: str) -> None:
        self._browser = browser
        self._selector = selector

    def __enter__(self) -> None:
        self._browser.switch_frame(self._browser.element(self._selector))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._browser.switch_frame(None)


def _port(driver: subprocess.Popen[bytes]) -> int:
    if driver.stdout is None:
        raise WebDriverError("no standard output")
    until = time.monotonic() + _START_SECONDS
    said = b""
    with selectors.DefaultSelector() as selector:
        selector.register(driver.stdout, selectors.EVENT_READ)
        while selector.select(timeout=max(0.0, until - time.monotonic())):
            # Not line by line: lines that come together would wait in a buffer of which the selector knows nothing.
            more = os.read(driver.stdout.fileno(), 4096)
            if not more:
                break
            said += more
            found = re.search(rb"started successfully on port (\d+)\D", said)
            if found:
                return int(found[1])
    raise WebDriverError("chromedriver did not start")
