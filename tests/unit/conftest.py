"""Fixtures of the unit tests."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


# Written out, so that they mean the same where no time zones are installed.
@pytest.fixture(params=["PST8PDT,M3.2.0,M11.1.0", "IST-5:30"], ids=["behind", "ahead"])
def local_zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The machine's time zone: behind UTC and with summer time, or ahead of it by hours and a half."""
    monkeypatch.setenv("TZ", str(request.param))
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()
