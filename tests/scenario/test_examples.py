"""The programs that the README shows to CAD developers, run as they stand."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pika
import pytest

from tests.scenario.conftest import ADDRESS, Site
from tests.support.rights import as_user
from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Iterator

_ROOT = Path(__file__).parents[2]
_EXAMPLES = _ROOT / "docs" / "examples"


@pytest.fixture(scope="session")
def node_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the examples and amqplib, as pinned."""
    assert shutil.which("npm"), "Node.js with npm is needed (Debian: nodejs, npm)"
    folder = tmp_path_factory.mktemp("node")
    for file in (_ROOT / "tests" / "examples").glob("package*.json"):
        shutil.copy(file, folder)
    for file in _EXAMPLES.glob("*.mjs"):
        shutil.copy(file, folder)
    subprocess.run(
        ["npm", "ci", "--prefer-offline", "--no-audit", "--no-fund", "--silent"], cwd=folder, check=True, timeout=120
    )
    return folder


@pytest.fixture(params=["python", "node"])
def commands(request: pytest.FixtureRequest) -> Iterator[tuple[list[str], list[str], Path]]:
    """How consume and send are started, and where."""
    if request.param == "python":
        yield [sys.executable, "consume.py"], [sys.executable, "send.py"], _EXAMPLES
    else:
        yield ["node", "consume.mjs"], ["node", "send.mjs"], request.getfixturevalue("node_folder")


def test_examples_consume_and_send(site: Site, commands: tuple[list[str], list[str], Path], tmp_path: Path) -> None:
    consume, send, folder = commands
    environment = {**os.environ, "AMQP_URL": as_user(site.amqp_url, "bridge-cad")}
    output = tmp_path / "consumed"

    with site.worker("run") as worker, output.open("wb") as out:
        consumer = subprocess.Popen(consume, cwd=folder, env=environment, stdout=out)
        try:
            # Once its queue is bound, a mail reaches it as well as the default queue.
            until(lambda: _has_queue(site, "cad.requests"), "the consumer's queue")
            site.sandbox.deliver(ADDRESS, b"From: a@example.com\r\nSubject: Pick-up at zone 4\r\n\r\nNow.\r\n")
            until(lambda: b"Pick-up at zone 4" in output.read_bytes(), "the mail to be printed")
        finally:
            consumer.kill()
            consumer.wait()
        sent = subprocess.run(
            [*send, "crew@example.net"],
            cwd=folder,
            env=environment,
            check=True,
            capture_output=True,
            text=True,
            timeout=60,
        )
        request_id = sent.stdout.strip()
        until(lambda: request_id in {send["request_id"] for send in site.sandbox.sends()}, "the mail to be sent")
        assert worker.stop() == 0

    assert [send["recipients"] for send in site.sandbox.sends()] == [["crew@example.net"]]


def test_readme_shows_the_examples_as_they_are() -> None:
    readme = (_ROOT / "README.md").read_text("utf-8")

    for name in ("consume.py", "send.py", "consume.mjs"):
        assert (_EXAMPLES / name).read_text("utf-8").strip() in readme, name


def _has_queue(site: Site, name: str) -> bool:
    with contextlib.closing(pika.BlockingConnection(pika.URLParameters(site.amqp_url))) as connection:
        try:
            connection.channel().queue_declare(name, passive=True)
        except pika.exceptions.ChannelClosedByBroker:
            return False
    return True
