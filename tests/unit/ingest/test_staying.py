"""Mails that stay make no other mail dearer, and nothing in the folder is passed over for long."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from bridge.domain.mail import Listing
from bridge.errors import PublishUnroutable
from bridge.ingest.reader import IngestOptions
from tests.unit.ingest.doubles import a_mail
from tests.unit.ingest.test_reader import Bench

_STAYING = 400
_PAGE = 100
_PAGES = _STAYING // _PAGE


def _bench(*, keep_seconds: float = 30.0, folders: tuple[str, ...] = ("inbox",)) -> Bench:
    """A mailbox of many mails that no queue wants, each known to stay."""
    options = IngestOptions(page_count=_PAGE, keep_seconds=keep_seconds, folders=folders)
    return Bench(*(a_mail(n) for n in range(_STAYING)), options=options)


async def _until_known(bench: Bench, routing_key: str = "dispatch.auto_reply", *, due_seconds: float = 1_000.0) -> None:
    """Let the reader know of all mails that no queue takes their routing key, and list them once."""
    known = {mail.ref.message_id for mail in bench.inbox.mails}
    bench.publisher.answer = lambda message: PublishUnroutable() if message.message_id in known else None
    for mail in bench.inbox.mails:
        bench.reader._known.deferrals.defer(
            mail.ref, "publish_unroutable", at_most_seconds=due_seconds, unroutable_key=routing_key
        )
    await bench.once()
    assert bench.publisher.ids == []
    bench.inbox.listings.clear()


def _ids(bench: Bench) -> list[str]:
    """Return the new mails that were published: those that stay are tried now and then."""
    return [one for one in bench.publisher.ids if len(one) == len("m1000")]


async def test_a_mail_behind_many_that_stay_costs_one_listing() -> None:
    bench = _bench()
    await _until_known(bench)

    for number in range(3):
        bench.inbox.mails.append(a_mail(1_000 + number))
        assert await bench.once() == 1

    assert bench.inbox.listings == [_STAYING - 1] * 3
    assert _ids(bench) == ["m1000", "m1001", "m1002"]
    assert len(bench.left) == _STAYING


async def test_those_behind_keep_their_order_and_those_that_stay_are_counted() -> None:
    bench = _bench()
    await _until_known(bench)
    bench.inbox.mails += [a_mail(1_000 + number) for number in range(250)]

    assert await bench.once() == 250
    await bench.once()
    bench.reader._report_pass(0)

    assert _ids(bench) == [f"m{1_000 + number}" for number in range(250)]
    state = bench.health.state(bench.reader.part)
    assert state is not None
    assert (state.code, state.detail.split()[0]) == ("publish_unroutable", str(_STAYING))


@pytest.mark.parametrize("how", ["put back", "moved away", "both"])
async def test_what_people_do_among_the_mails_that_stay_is_found(how: str) -> None:
    """At once where it shows, otherwise with the next listing of the whole folder."""
    bench = _bench()
    await _until_known(bench)
    if how != "put back":
        del bench.inbox.mails[7]
    if how != "moved away":  # an older mail that is put back is listed among the others
        put_back = a_mail(2_000)
        put_back.ref = replace(put_back.ref, received_at=bench.inbox.mails[2].ref.received_at)
        bench.inbox.mails.insert(3, put_back)

    published = await bench.once()
    if how == "both":
        assert published == 0
        bench.clock.seconds += 31
        published = await bench.once()

    assert published == (0 if how == "moved away" else 1)
    assert "m2000" not in bench.left


async def test_the_whole_folder_is_listed_after_a_while() -> None:
    bench = _bench(keep_seconds=30.0)
    await _until_known(bench)

    bench.clock.seconds += 29
    await bench.once()
    assert bench.inbox.listings == [_STAYING - 1]
    bench.clock.seconds += 2
    await bench.once()

    assert bench.inbox.listings[1:] == [_PAGE * number for number in range(_PAGES)]


async def test_where_listing_takes_long_it_takes_a_tenth_of_the_time() -> None:
    bench = _bench()
    listed = bench.inbox.list_waiting

    async def slow(folder: str, *, limit: int, offset: int = 0) -> Listing:
        bench.clock.seconds += 5.0
        return await listed(folder, limit=limit, offset=offset)

    bench.inbox.list_waiting = slow  # type: ignore[method-assign]
    await _until_known(bench)

    bench.clock.seconds += 5.0 * _PAGES * 10 - 10.0
    await bench.once()
    assert bench.inbox.listings == [_STAYING - 1]
    bench.clock.seconds += 10.0
    await bench.once()
    assert len(bench.inbox.listings) > _PAGES


@pytest.mark.parametrize("folders", [("inbox",), ("junkemail", "inbox")])
async def test_all_that_stay_pass_at_once_when_a_queue_wants_them(folders: tuple[str, ...]) -> None:
    """Whichever folder they lie in."""
    bench = _bench(folders=folders)
    await _until_known(bench, "dispatch.mail", due_seconds=1.0)
    bench.publisher.answer = lambda _: None
    bench.clock.seconds += 2
    bench.inbox.mails.append(a_mail(1_000, folder=folders[0]))

    await bench.once()
    await bench.once()

    assert bench.left == []


async def test_a_mail_that_is_tried_again_within_seconds_is_not_passed_over() -> None:
    bench = _bench()
    bad = a_mail(1_000)
    bench.inbox.unreadable = {bad.ref.item_id}
    await _until_known(bench)
    bench.inbox.mails += [bad, a_mail(1_001)]

    for _ in range(3):
        await bench.once()
        bench.clock.seconds += 2.1

    assert bench.inbox.parked == {"m1000": "mail_unreadable"}
    assert _ids(bench) == ["m1001"]


async def test_a_mail_that_comes_while_the_whole_folder_is_listed_does_not_wait_for_the_end() -> None:
    bench = _bench()
    await _until_known(bench)
    listed, new = bench.inbox.list_waiting, a_mail(1_000)

    async def told(folder: str, *, limit: int, offset: int = 0) -> Listing:
        page = await listed(folder, limit=limit, offset=offset)
        if offset == 0:
            bench.inbox.mails.append(new)
            bench.reader._woken("notified")
        elif offset == 2 * _PAGE:
            assert _ids(bench) == ["m1000"]
        return page

    bench.inbox.list_waiting = told  # type: ignore[method-assign]
    bench.clock.seconds += 31

    published = await bench.once()

    assert published == 1
    assert bench.inbox.listings[:3] == [0, _STAYING - 1, _PAGE]
    assert bench.reader.wake.is_set()


async def test_few_mails_that_stay_are_listed_each_time() -> None:
    bench = Bench(*(a_mail(n) for n in range(5)))
    await _until_known(bench)
    for _ in range(3):
        await bench.once()

    assert bench.inbox.listings == [0] * 3


async def test_another_owner_lists_all() -> None:
    """What was known of the folder is no more when the mailbox comes back."""
    bench = _bench()
    await _until_known(bench)
    running = asyncio.create_task(bench.reader.run(bench.stop))
    while not bench.inbox.listings:
        await asyncio.sleep(0)
    bench.stop.set()
    await running

    assert bench.inbox.listings[0] == 0
