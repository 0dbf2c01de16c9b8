"""The ways on which the send protocol breaks with a rule left out, gone again by the real code on the sandbox."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from bridge.adapters.ews.sender import EwsSender
from bridge.domain import send_protocol as protocol
from bridge.domain.outbound_records import Stamp
from bridge.domain.send_protocol import Outcome, Progress, Step
from bridge.wire.outbound_v1 import Address, OutboundRequest
from tests.integration.egress.staged import Stage
from tests.model.schedule import schedule
from tests.model.send_model import OUTBOX, VARIANTS, Bounds, Rules, Search
from tests.support.ews import ews_client
from tests.support.sandbox import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.egress.conclusion import Ended
    from tests.model.schedule import Event

_ADDRESS = "dispatch@example.org"
# A ledger that a person destroys has tests of its own, and so has an Exchange that is broken.
_LEFT_OUT = [
    name
    for name, (rules, fault) in VARIANTS.items()
    if fault is not None and not rules.ledger_is_destroyed and not rules.draft_stays
]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    directory = tmp_path_factory.mktemp("staged") / "sandbox"
    with SandboxProcess(directory, mailboxes=[_ADDRESS, "crew@example.org"]) as running:
        yield running


@pytest.fixture(scope="module")
def sender(sandbox: SandboxProcess) -> Iterator[EwsSender]:
    with ews_client(sandbox, connections=4, call_timeout_seconds=20) as client:
        yield EwsSender(client, _ADDRESS)


@pytest.fixture(scope="module")
def ways() -> dict[str, tuple[list[Event], bool]]:
    """For each rule the way to the first fault without it, and whether a mail lies in Outbox at its end."""
    found = {}
    for name in _LEFT_OUT:
        rules, fault = VARIANTS[name]
        search = Search(rules, Bounds())
        verdict = search.run(trace=True)
        assert verdict.fault == fault
        found[name] = (list(schedule(search, verdict.path)), OUTBOX in verdict.path[-1][0].items)
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", _LEFT_OUT)
async def test_the_real_code_is_safe_where_the_protocol_without_a_rule_is_not(
    name: str, sandbox: SandboxProcess, sender: EwsSender, ways: dict[str, tuple[list[Event], bool]]
) -> None:
    assert await _fault(sandbox, sender, *ways[name], Rules()) is None


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", _LEFT_OUT)
async def test_the_real_code_without_a_rule_breaks_as_the_search_says(
    name: str,
    sandbox: SandboxProcess,
    sender: EwsSender,
    ways: dict[str, tuple[list[Event], bool]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without this the test above would prove little: the way that is gone must be the dangerous one."""
    rules, fault = VARIANTS[name]
    _leave_out(rules, monkeypatch)

    assert await _fault(sandbox, sender, *ways[name], rules) == fault


async def _fault(
    sandbox: SandboxProcess, sender: EwsSender, events: list[Event], stays_in_outbox: bool, rules: Rules
) -> str | None:
    """Go the way with a new request, and judge as the search does."""
    # Otherwise a mail that was sent is nowhere to be seen, for as long as the test lasts.
    sandbox.admin("/settings", method="PUT", body={"sends_per_minute": None, "sent_copy_delay_seconds": 3600})
    if stays_in_outbox:
        await _use_the_rate_up(sandbox, sender)
    await sender.prepare()
    request = OutboundRequest(
        request_id=uuid.uuid4().hex,
        to=(Address(address="crew@example.org"),),
        text="x",
        expires_at=datetime.now(UTC) + timedelta(hours=1),
    )
    stage = Stage(sender, request, rules, stays_in_outbox)
    await stage.play(events)
    # At the end of the way, and when everything that was left has come to its end.
    if fault := _judged(sandbox, request, stage.told):
        return fault
    await stage.finish()
    return _judged(sandbox, request, stage.told)


async def _use_the_rate_up(sandbox: SandboxProcess, sender: EwsSender) -> None:
    sandbox.admin("/settings", method="PUT", body={"sends_per_minute": 1, "throttled_mail_waits_in": "outbox"})
    stamp = Stamp(uuid.uuid4().hex, uuid.uuid4().hex, "d")
    await sender.send(await sender.create_draft(b"To: crew@example.org\r\n\r\nx\r\n", stamp))


def _judged(sandbox: SandboxProcess, request: OutboundRequest, told: list[Ended]) -> str | None:
    sends = sum(send["request_id"] == request.request_id for send in sandbox.sends())
    events = {one.event for one in told}
    if sends > 1:
        return "sent twice"
    if events & {"failed", "expired"} and sends:
        return "reported ended, was sent"
    if events & {"sent", "unknown"} and not sends:
        return "reported sent or unknown, was not sent"
    return None


def _leave_out(rules: Rules, patch: pytest.MonkeyPatch) -> None:
    """Take a rule out of the real protocol; those about calls are left out by the staged mailbox."""
    if not rules.ledger:
        patch.setattr(protocol, "wants_sent_items", lambda _: True)
    if not rules.look_before_send:
        patch.setattr(protocol, "created", lambda own: Progress(Step.ENTER, own=own, begun=True))
    if not rules.look_twice:
        patch.setattr(protocol, "_missing", _unknown_at_once)
    if not rules.entry_confirmed:
        patch.setattr(protocol, "not_entered", protocol.entered)
    if not rules.look_before_end:
        begin = protocol.begin
        patch.setattr(protocol, "begin", lambda **given: _ended() if given["expired"] else begin(**given))
    if not rules.discard_only_unbegun:
        looked = protocol.looked
        patch.setattr(
            protocol, "looked", lambda progress, *seen, **given: _discards(looked(progress, *seen, **given), progress)
        )


def _ended() -> Progress[Any]:
    return Progress(Step.REPORT, outcome=Outcome.ENDED)


def _unknown_at_once(progress: Progress[Any], missing: frozenset[Any], *, patience_over: bool) -> Progress[Any]:
    return replace(progress, step=Step.REPORT, outcome=Outcome.UNKNOWN) if patience_over else Progress(Step.DEFER)


def _discards(decided: Progress[Any], progress: Progress[Any]) -> Progress[Any]:
    if decided.step is Step.REPORT and progress.own is not None:
        return Progress(Step.DISCARD, own=progress.own, outcome=decided.outcome)
    return decided
