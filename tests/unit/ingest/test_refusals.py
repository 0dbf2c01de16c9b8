"""A queue that refuses holds up only mails of its routing keys, and gives the other queues few copies."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from bridge.domain.mail import ReadMail
from bridge.domain.refusals import COPIES_PER_HOUR
from bridge.errors import MailboxUnavailable, PublishRefused
from bridge.ingest.reader import IngestOptions
from bridge.ports.broker import Message
from bridge.telemetry.ingest_events import MailKept
from tests.support.memory.inbox import StoredMail
from tests.unit.ingest.doubles import a_mail
from tests.unit.ingest.test_reader import Bench

POLL_SECONDS = IngestOptions().poll_interval_seconds


class TwoQueues(Bench):
    """A healthy queue takes every mail; a second one, bound to the keys in `bound`, has room for `room` more."""

    def __init__(self, *mails: StoredMail, kind: Callable[[str], str] = lambda _: "mail") -> None:
        super().__init__(*mails, options=IngestOptions())
        self.healthy: list[str] = []
        self.room = 0
        self.bound = {"dispatch.mail", "dispatch.auto_reply"}
        self._kind = kind
        self.reader._large._compose = self._compose
        self.publisher.answer = self._answer

    async def _compose(self, mail: ReadMail) -> Sequence[Message]:
        message_id = mail.ref.message_id
        return [Message("mail.inbound", f"dispatch.{self._kind(message_id)}", b"{}", message_id, "mail.inbound.v1")]

    def _answer(self, message: Message) -> Exception | None:
        self.healthy.append(message.message_id)
        if message.routing_key not in self.bound:
            return None
        if self.room:
            self.room -= 1
            return None
        return PublishRefused()

    async def run_for(self, seconds: float, *, every: float = POLL_SECONDS) -> None:
        end = self.clock.seconds + seconds
        while self.clock.seconds < end:
            published = -1
            while published:  # as the reader does: after a pass that published something the next one follows at once
                try:
                    published = await self.once()
                except PublishRefused:
                    published = 0
            self.clock.seconds += every


async def test_a_mail_that_a_queue_refuses_stays_and_the_others_pass_in_the_same_pass() -> None:
    bench = TwoQueues(*(a_mail(n) for n in range(5)), kind=lambda one: "auto_reply" if one == "m0" else "mail")
    bench.bound = {"dispatch.auto_reply"}

    await bench.once()

    assert bench.left == ["m0"]
    assert bench.healthy == [f"m{n}" for n in range(5)]
    assert bench.told(MailKept) == [MailKept("dispatch", "m0", "publish_refused")]


async def test_a_refused_kind_does_not_slow_the_others_down() -> None:
    """One automatic reply in ten mails, as they come: each ordinary mail is gone after one pass."""
    bench = TwoQueues(kind=lambda one: "auto_reply" if int(one[1:]) % 10 == 0 else "mail")
    bench.bound = {"dispatch.auto_reply"}

    for number in range(40):
        bench.inbox.mails.append(a_mail(number))
        await bench.once()
        bench.clock.seconds += POLL_SECONDS

        assert [one for one in bench.left if int(one[1:]) % 10] == []


async def test_every_mail_reaches_the_healthy_queue_at_once_although_another_refuses() -> None:
    bench = TwoQueues(*(a_mail(n) for n in range(500)))

    await bench.run_for(30)

    assert set(bench.healthy) == {f"m{n}" for n in range(500)}


@pytest.mark.parametrize("count", [1, 3, 50])
async def test_a_healthy_queue_gets_few_copies_of_a_mail_that_another_queue_refuses(count: int) -> None:
    bench = TwoQueues(*(a_mail(n) for n in range(count)))

    for hour in (1, 2, 3):
        del bench.healthy[:]
        await bench.run_for(3_600)

        copies = Counter(bench.healthy)
        assert max(copies.values()) <= COPIES_PER_HOUR
        assert sum(copies.values()) <= count + 3_600 / 30 + 10, f"hour {hour}: one probe each half minute"
    assert len(bench.left) == count


async def test_a_lone_mail_has_few_copies_after_two_minutes_and_a_half() -> None:
    """The stretch in which a healthy queue had seven."""
    bench = TwoQueues(a_mail(0), a_mail(1))

    await bench.run_for(150)

    assert bench.healthy.count("m0") <= 2
    assert bench.healthy.count("m1") <= 2


async def test_the_mail_that_is_tried_is_not_always_the_same() -> None:
    bench = TwoQueues(*(a_mail(n) for n in range(20)))
    await bench.run_for(20)
    assert len(bench.healthy) == 20
    del bench.healthy[:]

    await bench.run_for(600)

    assert len(set(bench.healthy)) == len(bench.healthy) >= 15


async def test_all_pass_within_a_minute_once_the_queue_has_room() -> None:
    bench = TwoQueues(*(a_mail(n) for n in range(500)))
    await bench.run_for(600)
    assert len(bench.left) == 500

    bench.room = 10_000
    await bench.run_for(60)

    assert bench.left == []


async def test_a_queue_that_has_room_for_one_mail_at_a_time_causes_few_copies() -> None:
    """Each mail that passes lets two others try, not all of them."""
    bench = TwoQueues(*(a_mail(n) for n in range(200)))
    await bench.run_for(60)

    for _ in range(60):
        bench.room += 1
        await bench.run_for(60)

    copies = Counter(bench.healthy)
    assert len(bench.left) < 160
    assert max(copies.values()) <= COPIES_PER_HOUR
    assert sum(copies.values()) < 200 * 2.5


async def test_a_mail_that_cannot_be_fetched_meanwhile_counts_its_publishes_all_the_same() -> None:
    bench = TwoQueues(a_mail(0))
    await bench.run_for(40)
    bench.inbox.fails["fetch"] = MailboxUnavailable()
    for _ in range(5):
        with contextlib.suppress(MailboxUnavailable):
            await bench.once()
        bench.clock.seconds += 30
    bench.inbox.fails.clear()

    await bench.run_for(3_000)

    assert len(bench.healthy) <= COPIES_PER_HOUR


async def test_where_every_publish_is_refused_the_pass_ends_and_the_next_one_looks_further() -> None:
    bench = TwoQueues(*(a_mail(n) for n in range(1_000)))

    with pytest.raises(PublishRefused) as caught:
        await bench.once()
    looked_at = len(bench.healthy)
    wait = bench.reader._reading.fail(caught.value)
    bench.clock.seconds += wait
    with pytest.raises(PublishRefused):
        await bench.once()

    assert 10 <= looked_at < 100
    assert 4 * looked_at <= len(set(bench.healthy)) < 1_000
    state = bench.health.state(bench.reader.part)
    assert state is not None
    assert (state.status, state.code, wait > 0) == ("trouble", "publish_refused", True)


async def test_health_names_the_kind_of_mail_that_is_refused() -> None:
    bench = TwoQueues(*(a_mail(n) for n in range(5)), kind=lambda one: "auto_reply" if one == "m0" else "mail")
    bench.bound = {"dispatch.auto_reply"}

    published = await bench.once()
    bench.reader._report_pass(published)

    state = bench.health.state(bench.reader.part)
    assert state is not None
    assert (state.status, state.code) == ("trouble", "publish_refused")
    assert "dispatch.auto_reply" in state.detail
    assert "dispatch.mail" not in state.detail
    assert "bound" in state.hint


async def test_health_is_good_again_once_the_refused_mail_has_passed() -> None:
    bench = TwoQueues(a_mail(0))
    bench.reader._report_pass(await bench.once())
    bench.room = 1
    bench.clock.seconds += 61
    await bench.once()

    bench.reader._report_pass(await bench.once())

    state = bench.health.state(bench.reader.part)
    assert state is not None
    assert state.status == "ok"
