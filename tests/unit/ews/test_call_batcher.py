"""Calls that several requests share."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.ews import call_batcher
from bridge.adapters.ews.call_batcher import BatchQueue, CallBatcher
from bridge.errors import (
    BridgeError,
    MailboxFull,
    MailboxThrottled,
    MailboxUnavailable,
    SendOutcomeUnknown,
    SendTooLate,
)
from tests.unit.egress.harness import eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

_MOST = call_batcher._MOST


class _Exchange:
    """Answers a call when it is told to, with what was asked."""

    def __init__(self, line: BatchQueue | None = None) -> None:
        self.calls: list[list[int]] = []
        self.answers: list[asyncio.Future[None]] = []
        self.refused: dict[int, BridgeError] = {}
        self.together: CallBatcher[int, int] = CallBatcher(self._call, line or BatchQueue())

    async def _call(self, questions: Sequence[int]) -> list[int | BridgeError]:
        self.calls.append(list(questions))
        self.answers.append(asyncio.get_running_loop().create_future())
        await self.answers[-1]
        return [self.refused.get(one, one) for one in questions]

    def ask(self, *questions: int, size: int = 0) -> list[asyncio.Task[int]]:
        return [asyncio.create_task(self.together.ask(str(one), one, size=size)) for one in questions]

    async def made(self, calls: int) -> None:
        await eventually(lambda: len(self.calls) == calls)

    def answer(self, call: int, error: BaseException | None = None) -> None:
        if error is None:
            self.answers[call].set_result(None)
        else:
            self.answers[call].set_exception(error)


async def _settled() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


async def test_a_lone_question_waits_for_nobody() -> None:
    exchange = _Exchange()

    [asked] = exchange.ask(1)
    await exchange.made(1)
    exchange.answer(0)

    assert await asked == 1


async def test_what_comes_while_calls_are_under_way_goes_out_with_the_next_one_in_its_order() -> None:
    exchange = _Exchange()
    first = exchange.ask(1)
    await exchange.made(1)
    second = exchange.ask(2)
    await exchange.made(2)
    rest = exchange.ask(*range(3, 6))
    await _settled()
    assert len(exchange.calls) == 2

    exchange.answer(0)
    await exchange.made(3)
    exchange.answer(1)
    exchange.answer(2)

    assert await asyncio.gather(*first, *second, *rest) == [1, 2, 3, 4, 5]
    assert exchange.calls == [[1], [2], [3, 4, 5]]


async def test_a_call_has_no_more_parts_and_bytes_than_are_good_for_it() -> None:
    exchange = _Exchange()
    large = call_batcher._LARGEST_BYTES // 2 + 1

    many = exchange.ask(*range(_MOST + 1))
    await exchange.made(2)
    assert [len(call) for call in exchange.calls] == [_MOST, 1]
    heavy = exchange.ask(100, 101, size=large)
    exchange.answer(0)
    exchange.answer(1)
    await exchange.made(4)
    exchange.answer(2)
    exchange.answer(3)

    await asyncio.gather(*many, *heavy)
    assert exchange.calls[2:] == [[100], [101]]


async def test_each_is_told_its_own_refusal() -> None:
    exchange = _Exchange()
    exchange.refused[2] = MailboxFull("ErrorQuotaExceeded")

    asked = exchange.ask(1, 2, 3)
    await exchange.made(1)
    exchange.answer(0)

    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert answers == [1, exchange.refused[2], 3]


async def test_after_a_call_that_failed_for_all_each_goes_alone_and_the_others_share_as_before() -> None:
    """One that spoils its call must not spoil it for the same others again and again, nor for those that come."""
    exchange = _Exchange()
    asked = exchange.ask(1, 2)
    await exchange.made(1)
    exchange.answer(0, MailboxUnavailable("ReadTimeout"))
    assert {type(one) for one in await asyncio.gather(*asked, return_exceptions=True)} == {MailboxUnavailable}

    again = exchange.ask(1, 3, 2, 4)
    await exchange.made(4)
    assert exchange.calls[1:] == [[3, 4], [1], [2]]
    for call in (1, 2, 3):
        exchange.answer(call)
    await asyncio.gather(*again)
    later = exchange.ask(1, 2)
    await exchange.made(5)
    exchange.answer(4)
    await asyncio.gather(*later)

    assert exchange.calls[4] == [1, 2]


async def test_who_fails_alone_too_stays_alone_until_that_is_long_ago(monkeypatch: pytest.MonkeyPatch) -> None:
    exchange = _Exchange()
    asked = exchange.ask(1, 2)
    await exchange.made(1)
    exchange.answer(0, SendOutcomeUnknown("refused together with others"))
    await asyncio.gather(*asked, return_exceptions=True)
    asked = exchange.ask(1)
    await exchange.made(2)
    exchange.answer(1, MailboxUnavailable("HTTP 500"))
    await asyncio.gather(*asked, return_exceptions=True)

    again = exchange.ask(1, 3)
    await exchange.made(4)
    assert exchange.calls[2:] == [[3], [1]]
    exchange.answer(2)
    exchange.answer(3, MailboxUnavailable("HTTP 500"))
    await asyncio.gather(*again, return_exceptions=True)
    later_on = time.monotonic() + call_batcher._APART_SECONDS
    monkeypatch.setattr(call_batcher, "time", SimpleNamespace(monotonic=lambda: later_on))
    later = exchange.ask(1, 3)
    await exchange.made(5)
    exchange.answer(4)

    assert await asyncio.gather(*later) == [1, 3]
    assert exchange.calls[4] == [1, 3]


async def test_those_that_go_alone_are_a_few_at_a_time_and_hold_up_none_of_the_others() -> None:
    exchange = _Exchange()
    suspects = range(call_batcher._AT_A_TIME_APART + 1)
    asked = exchange.ask(*suspects)
    await exchange.made(1)
    exchange.answer(0, MailboxUnavailable("ReadTimeout"))
    await asyncio.gather(*asked, return_exceptions=True)

    again = exchange.ask(*suspects)
    await exchange.made(1 + call_batcher._AT_A_TIME_APART)
    other = exchange.ask(100)
    await exchange.made(2 + call_batcher._AT_A_TIME_APART)
    assert exchange.calls[-1] == [100]
    for call in range(1, 2 + call_batcher._AT_A_TIME_APART):
        exchange.answer(call)
    await exchange.made(3 + call_batcher._AT_A_TIME_APART)
    exchange.answer(-1)

    assert await asyncio.gather(*again, *other) == [*suspects, 100]


async def test_calls_that_take_long_hold_up_others_for_a_moment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Connections that hang must not keep an urgent mail for as long as a call may take."""
    monkeypatch.setattr(call_batcher, "_LONG_SECONDS", 0.05)
    exchange = _Exchange()
    hang = []
    for number in range(call_batcher._AT_A_TIME):
        hang += exchange.ask(number)
        await exchange.made(number + 1)

    [urgent] = exchange.ask(100)
    await exchange.made(call_batcher._AT_A_TIME + 1)
    exchange.answer(-1)

    assert await urgent == 100
    assert not any(one.done() for one in hang)
    for number in range(call_batcher._AT_A_TIME):
        exchange.answer(number)
    await asyncio.gather(*hang)


async def test_no_more_calls_hang_than_leave_connections_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_batcher, "_LONG_SECONDS", 0.001)
    line = BatchQueue()
    one, other = _Exchange(line), _Exchange(line)
    asked = []
    for number in range(call_batcher._MOST_LONG):
        asked += one.ask(number)
        await one.made(number + 1)
    await eventually(lambda: len(line.long) == call_batcher._MOST_LONG)
    for number in range(call_batcher._AT_A_TIME):
        asked += other.ask(number)
        await other.made(number + 1)

    [last] = other.ask(100)
    await asyncio.sleep(0.05)
    assert len(other.calls) == call_batcher._AT_A_TIME
    one.answer(0)
    await other.made(call_batcher._AT_A_TIME + 1)
    other.answer(-1)

    assert await last == 100
    for call in range(1, call_batcher._MOST_LONG):
        one.answer(call)
    for call in range(call_batcher._AT_A_TIME):
        other.answer(call)
    await asyncio.gather(*asked)
    await eventually(lambda: not line.long)


@pytest.mark.parametrize("error", [MailboxFull("ErrorQuotaExceeded"), SendTooLate()])
async def test_trouble_that_is_nobodys_fault_does_not_part_them(error: BridgeError) -> None:
    exchange = _Exchange()
    asked = exchange.ask(1, 2)
    await exchange.made(1)
    exchange.answer(0, error)
    await asyncio.gather(*asked, return_exceptions=True)

    again = exchange.ask(1, 2)
    await exchange.made(2)
    exchange.answer(1)
    await asyncio.gather(*again)

    assert exchange.calls[1] == [1, 2]


@pytest.mark.parametrize("as_a_whole", [True, False])
async def test_once_exchange_asks_for_quiet_nobody_who_waits_for_a_call_of_any_kind_makes_it(as_a_whole: bool) -> None:
    line = BatchQueue()
    sends, looks = _Exchange(line), _Exchange(line)
    busy = MailboxThrottled("ErrorServerBusy", retry_after_seconds=60)
    asked = []
    for exchange in (sends, looks):
        for number in range(call_batcher._AT_A_TIME):
            asked += exchange.ask(number)
            await exchange.made(number + 1)
    waiting = [*sends.ask(8), *looks.ask(9)]
    await _settled()

    if as_a_whole:
        sends.answer(0, busy)
    else:
        sends.refused[0] = busy
        sends.answer(0)
    told = await asyncio.gather(*waiting, return_exceptions=True)
    for call in range(call_batcher._AT_A_TIME):
        looks.answer(call)
        if call:
            sends.answer(call)

    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert told == [busy, busy]
    assert answers == [busy, *range(1, call_batcher._AT_A_TIME), *range(call_batcher._AT_A_TIME)]
    assert len(sends.calls) == len(looks.calls) == call_batcher._AT_A_TIME


async def test_who_gives_up_before_the_call_is_not_in_it_and_after_that_disturbs_nobody() -> None:
    exchange = _Exchange()
    first, gone = exchange.ask(1, 2)
    await exchange.made(1)
    [second] = exchange.ask(3)
    await exchange.made(2)
    early, kept = exchange.ask(4, 5)
    await _settled()

    gone.cancel()
    early.cancel()
    exchange.answer(0)
    await exchange.made(3)
    exchange.answer(1)
    exchange.answer(2)

    assert list(await asyncio.gather(first, second, kept)) == [1, 3, 5]
    assert exchange.calls == [[1, 2], [3], [5]]


async def test_a_bug_in_a_call_is_raised_where_each_asked_and_each_goes_alone_then() -> None:
    """What one request holds may be what cannot even be written."""
    exchange = _Exchange()
    asked = exchange.ask(1, 2)
    await exchange.made(1)
    exchange.answer(0, ZeroDivisionError())
    answers = await asyncio.gather(*asked, return_exceptions=True)

    again = exchange.ask(1, 2)
    await exchange.made(3)
    exchange.answer(1, ZeroDivisionError())
    exchange.answer(2)
    alone = await asyncio.gather(*again, return_exceptions=True)

    assert {type(one) for one in answers} == {ZeroDivisionError}
    assert exchange.calls[1:] == [[1], [2]]
    assert [type(alone[0]), alone[1]] == [ZeroDivisionError, 2]


async def test_fewer_answers_than_questions_leave_nobody_waiting() -> None:
    async def call(questions: Sequence[int]) -> list[int | BridgeError]:
        return list(questions[1:])

    shared: CallBatcher[int, int] = CallBatcher(call, BatchQueue())
    asked = [asyncio.create_task(shared.ask(str(one), one)) for one in (1, 2)]

    told = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 5)

    assert ValueError in {type(one) for one in told}
