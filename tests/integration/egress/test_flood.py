"""Real workers against an Exchange that sends each time it is asked, does not say so, and leaves the draft."""

from __future__ import annotations

import json
import re
import time
import urllib.error
import urllib.request
from typing import Any

import pytest

from tests.integration.egress.conftest import Site, until
from tests.integration.egress.test_kills import gather

_MOST_CALLS = 3


def _break(site: Site) -> None:
    site.sandbox.admin("/settings", method="PUT", body={"sends_per_minute": None, "sent_draft_stays": True})
    site.sandbox.faults({"match": {"operation": "SendItem"}, "fault": {"kind": "gateway_error", "status": 502}})


def health_codes(site: Site) -> set[str]:
    """What `/health` of any worker says of the mailbox."""
    found = set()
    for address in re.findall(r"http://127\.0\.0\.1:\d+", (site.directory / "worker.log").read_text()):
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5) as answer:  # noqa: S310 - of the test's own
                body = answer.read()
        except urllib.error.HTTPError as error:
            body = error.read()
        except OSError:
            continue
        found |= {part["code"] for part in json.loads(body)["parts"] if part["part"] == "mailbox:dispatch:egress"}
    return found


@pytest.fixture
def broken(site: Site) -> Site:
    _break(site)
    return site


@pytest.mark.timeout(300)
def test_a_mail_goes_out_three_times_at_most_where_exchange_sends_and_does_not_say_so(broken: Site) -> None:
    """Two workers, one of them killed: the limit is counted in the mailbox."""
    events: list[dict[str, Any]] = []
    broken.request(["r-1"])
    first = broken.start()
    until(lambda: broken.sent()["r-1"] >= 1, "the first call")
    broken.kill(first)
    broken.start()
    broken.start()

    until(gather(broken, events, 1), "its end", seconds=240)

    assert 1 <= broken.sent()["r-1"] <= _MOST_CALLS
    assert [(event["event"], event["code"]) for event in events] == [("outbound.unknown", "outcome_unknown")]
    assert broken.depth("mail.dead") == 1


@pytest.mark.timeout(300)
def test_a_mailbox_whose_sends_have_no_answers_says_so_within_a_minute_and_heals_by_itself(broken: Site) -> None:
    request_ids = [f"r-{number}" for number in range(4)]
    broken.request(request_ids)
    broken.start()
    until(lambda: bool(broken.sent()), "the first call")
    began = time.monotonic()

    until(lambda: "sends_unanswered" in health_codes(broken), "the pause to be told")

    assert time.monotonic() - began < 60
    broken.sandbox.admin("/settings", method="PUT", body={"sent_draft_stays": False})
    broken.sandbox.faults()
    broken.request(["later"])
    until(lambda: broken.sent()["later"] == 1, "a mail after it is mended", seconds=150)
    until(lambda: health_codes(broken) == {"ok"}, "health to say so")
    assert max(broken.sent().values()) <= _MOST_CALLS
