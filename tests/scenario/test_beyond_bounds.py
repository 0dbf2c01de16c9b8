"""Mail beyond what Exchange takes and programs send: it arrives with its bytes, and holds up no other."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from tests.bench.prefilled import prefill
from tests.scenario.conftest import ADDRESS
from tests.support.workers import take, until

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.scenario.conftest import Site

_HEAD = (
    f"From: cad@example.com\r\nTo: {ADDRESS}\r\nSubject: Plans\r\nMIME-Version: 1.0\r\n"
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nsee the plans\r\n"
).encode()
_PART = b"--b\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n%b\r\n"
_SMALL = f"From: cad@example.com\r\nTo: {ADDRESS}\r\nSubject: Page\r\n\r\nnow\r\n".encode()


def _of_151_megabytes() -> bytes:
    """More than Exchange takes, as a mailbox on-premises may hold that was filled under another limit."""
    line = base64.b64encode(bytes(range(57))) + b"\r\n"
    return _HEAD + _PART % (line * ((151 << 20) // len(line) + 1)) + b"--b--\r\n"


def _of_ten_thousand_attachments() -> bytes:
    parts = (_PART % base64.b64encode(b"attachment %d" % number * 40) for number in range(10_000))
    return _HEAD + b"".join(parts) + b"--b--\r\n"


def _digest(blob: dict[str, Any]) -> tuple[int, str]:
    content = Path(urlsplit(blob["url"]).path).read_bytes()
    return len(content), hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("make", [_of_151_megabytes, _of_ten_thousand_attachments])
def test_a_mail_beyond_all_bounds_arrives_whole_and_the_next_one_follows(
    site: Site, tmp_path: Path, make: Callable[[], bytes]
) -> None:
    (tmp_path / "blobs").mkdir()
    mail = make()
    prefill(site.sandbox, ADDRESS, [mail, _SMALL], 2)  # SMTP, and Exchange Online, would refuse the larger one

    with site.worker("ingest", BLOBS__URL=f"file://{tmp_path / 'blobs'}") as worker:
        until(lambda: site.count() == 0, "the mails to leave", seconds=180)
        assert worker.stop() == 0

    taken = {payload["subject"]: payload for payload in (json.loads(body) for _, body in take(site.amqp_url))}
    raw = taken["Plans"]["raw"]
    assert (raw["size"], raw["sha256"]) == (len(mail), hashlib.sha256(mail).hexdigest())
    assert _digest(raw["blob"]) == (len(mail), hashlib.sha256(mail).hexdigest())
    assert taken["Plans"]["text"] == "see the plans"
    assert base64.b64decode(taken["Page"]["raw"]["content"]) == _SMALL
