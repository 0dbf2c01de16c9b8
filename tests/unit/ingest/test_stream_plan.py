"""Mailboxes share as few streams as Exchange permits, whatever it answers, and nothing is asked without end."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bridge.domain.notices import Affinity, Notice, StreamGarbled, StreamRefused, StreamSilent, Subscribed
from bridge.errors import (
    BridgeError,
    CredentialsRejected,
    EwsBlocked,
    MailboxAccessDenied,
    MailboxThrottled,
    MailboxUnavailable,
)
from bridge.ingest.notifications.plan import CONNECTED, NOTIFIED, StreamPlan
from bridge.ingest.notifications.state import Action, Close, End, Open, StreamLimits, Subscribe


@dataclass
class World:
    """An Exchange of several servers, as a plan meets it; what it does wrong is set from outside."""

    plan: StreamPlan
    servers: int = 1
    hints: bool = True
    """Whether it says where subscriptions lie."""
    per_stream: int = 200
    moved: Counter[str] = field(default_factory=Counter)
    now: float = 0.0
    refuses: BridgeError | None = None
    """What every stream is answered."""
    denies: dict[str, BridgeError] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    """Servers that answer nothing any more, to whom requests are led by their affinity all the same."""
    forgetful: bool = False
    """It knows no subscription that it made, as behind a proxy that spreads requests over its servers."""
    silence: BridgeError = field(default_factory=lambda: MailboxUnavailable("HTTP 502"))
    """What a stream is told of a server that is gone."""
    subscriptions: dict[str, str] = field(default_factory=dict)
    streams: dict[int, tuple[str, ...]] = field(default_factory=dict)
    done: list[Action] = field(default_factory=list)
    wakes: list[tuple[str, str]] = field(default_factory=list)
    _made: int = 0

    def server(self, mailbox: str) -> str:
        return f"s{(int(mailbox[1:]) + self.moved[mailbox]) % self.servers}"

    def step(self, seconds: float = 0.25) -> None:
        """Do what the plan wants, and let time pass."""
        for action in self.plan.next(self.now):
            self.done.append(action)
            self._do(action)
        self.now += seconds

    def run(self, seconds: float, *, each: float = 0.25) -> None:
        until = self.now + seconds
        while self.now < until:
            self.step(each)

    def _do(self, action: Action) -> None:
        match action:
            case Subscribe(ticket=ticket, mailbox=mailbox) if mailbox in self.denies:
                self.plan.unsubscribed(ticket, self.denies[mailbox], self.now)
            case Subscribe(ticket=ticket, affinity=Affinity(server=server)) if server in self.gone:
                self.plan.unsubscribed(ticket, MailboxUnavailable("HTTP 502"), self.now)
            case Subscribe(ticket=ticket, mailbox=mailbox, affinity=asked):
                self._made += 1
                made = f"sub-{self._made}"
                self.subscriptions[made] = mailbox
                right = self.server(mailbox)
                told = self.hints and (asked is None or asked.server != right)
                self.plan.subscribed(
                    ticket, mailbox, Subscribed(made, Affinity(right, right) if told else None), self.now
                )
            case End(mailbox=mailbox, subscription=subscription):
                assert self.subscriptions.pop(subscription, mailbox) == mailbox
            case Open(stream=stream, lead_mailbox=lead_mailbox, subscriptions=ids, affinity=where):
                self._open(stream, where.server if where else self.server(lead_mailbox), ids)
            case Close(stream=stream):
                self.streams.pop(stream, None)

    def _open(self, stream: int, led_to: str, ids: tuple[str, ...]) -> None:
        if led_to in self.gone:
            self.plan.ended(stream, self.silence, self.now)
            return
        if self.refuses is not None or len(ids) > self.per_stream:
            self.plan.ended(stream, self.refuses or StreamRefused("ErrorExceededSubscriptionCount"), self.now)
            return
        bad = {one for one in ids if one not in self.subscriptions or self.server(self.subscriptions[one]) != led_to}
        bad = set(ids) if self.forgetful else bad
        self.streams[stream] = ids
        self.wakes += self.plan.take_notice(stream, Notice(lost=frozenset(bad), closed=bool(bad)), self.now)
        if bad:
            self.streams.pop(stream, None)
            self.plan.ended(stream, None, self.now)

    def end(self, error: BridgeError | None = None) -> None:
        """End every stream."""
        for stream in list(self.streams):
            del self.streams[stream]
            self.plan.ended(stream, error, self.now)

    def lose_all(self) -> None:
        """Forget every subscription, as a restart does."""
        self.subscriptions.clear()
        self.end(MailboxUnavailable("reset"))

    def move(self, mailbox: str) -> None:
        """Bring a mailbox to another server: its subscription is lost, and the streams hear of it."""
        self.moved[mailbox] += 1
        lost = {one for one, owner in self.subscriptions.items() if owner == mailbox}
        for one in lost:
            del self.subscriptions[one]
        for stream in list(self.streams):
            self.wakes += self.plan.take_notice(stream, Notice(lost=frozenset(lost)), self.now)

    def notified(self, mailboxes: list[str]) -> bool:
        return all(self.plan.is_notified(mailbox) for mailbox in mailboxes)

    def count(self, kind: type) -> int:
        return sum(isinstance(action, kind) for action in self.done)


def _world(count: int, limits: StreamLimits | None = None, **options: object) -> tuple[World, list[str]]:
    chance = random.Random(1)
    world = World(StreamPlan(limits or StreamLimits(), chance.random), **options)  # type: ignore[arg-type]
    names = [f"m{number}" for number in range(count)]
    for name in names:
        world.plan.want(name)
    return world, names


@pytest.mark.parametrize("hints", [True, False])
def test_two_hundred_mailboxes_of_one_server_share_one_stream(hints: bool) -> None:
    world, names = _world(200, hints=hints)

    world.run(60)

    assert world.notified(names)
    assert (world.plan.connections, world.plan.subscriptions) == (1, 200)
    assert world.count(Subscribe) == 200
    assert world.plan.settled


@pytest.mark.parametrize("hints", [True, False])
def test_mailboxes_of_four_servers_share_four_streams(hints: bool) -> None:
    world, names = _world(40, servers=4, hints=hints)

    world.run(120)

    assert world.notified(names)
    assert world.plan.connections == 4
    assert {world.server(world.subscriptions[ids[0]]) for ids in world.streams.values()} == {"s0", "s1", "s2", "s3"}


def test_more_than_a_stream_takes_go_on_another() -> None:
    world, names = _world(450)

    world.run(200)

    assert world.notified(names)
    assert sorted(map(len, world.streams.values())) == [50, 200, 200]


def test_a_stream_that_is_too_large_for_exchange_is_parted_until_it_fits() -> None:
    world, names = _world(100, per_stream=30)

    world.run(400)

    assert world.notified(names)
    assert max(map(len, world.streams.values())) <= 30


def test_mailboxes_beyond_the_last_connection_are_left_to_listing() -> None:
    world, names = _world(30, StreamLimits(subscriptions=10, connections=2))

    world.run(60)

    assert sum(map(world.plan.is_notified, names)) == 20
    assert world.plan.unnotified == {"stream_refused": 10}
    for name in names[:10]:
        world.plan.leave(name)
    world.run(1_300)
    assert world.notified(names[10:])


def test_servers_beyond_the_last_connection_are_left_to_listing() -> None:
    world, names = _world(40, StreamLimits(connections=3), servers=8)

    world.run(60)

    assert sum(map(world.plan.is_notified, names)) == 15
    assert len(world.subscriptions) == 15


def test_a_mailbox_is_listed_when_its_stream_begins_and_when_it_tells() -> None:
    world, names = _world(3)
    world.run(10)
    assert sorted(world.wakes) == [(name, CONNECTED) for name in names]

    [(stream, ids)] = world.streams.items()
    assert world.plan.take_notice(stream, Notice(), world.now) == []
    mine = next(one for one in ids if world.subscriptions[one] == "m1")
    assert world.plan.take_notice(stream, Notice(arrived=frozenset({mine, "other"})), world.now) == [("m1", NOTIFIED)]


def test_a_stream_that_ends_in_order_is_opened_at_once_and_all_are_listed_again() -> None:
    world, names = _world(3)
    world.run(60)
    world.wakes.clear()

    world.end()
    assert not any(map(world.plan.is_notified, names))
    world.step()

    assert world.notified(names)
    assert sorted(world.wakes) == [(name, CONNECTED) for name in names]
    assert world.count(Subscribe) == 3


@pytest.mark.parametrize("error", [None, MailboxUnavailable("reset"), StreamGarbled(), StreamSilent()])
def test_streams_that_end_over_and_over_are_opened_more_and_more_slowly(error: BridgeError | None) -> None:
    world, _ = _world(5)
    world.run(2)
    world.done.clear()

    for _ in range(3_600):
        world.step(1)
        world.end(error)

    assert 40 <= world.count(Open) <= 70
    assert world.count(Subscribe) == 0


def test_a_restart_of_exchange_loses_no_place() -> None:
    world, names = _world(50, servers=2)
    world.run(60)
    before = world.plan.connections

    world.lose_all()
    world.run(60)

    assert world.notified(names)
    assert world.plan.connections == before == 2


@pytest.mark.parametrize("hints", [True, False])
def test_a_mailbox_that_moves_is_told_of_where_it_has_gone(hints: bool) -> None:
    world, names = _world(20, servers=2, hints=hints)
    world.run(60)

    world.move("m3")
    world.run(60)

    assert world.notified(names)
    assert world.plan.connections == 2


@pytest.mark.parametrize("silence", [MailboxUnavailable("HTTP 502"), StreamSilent()])
@pytest.mark.parametrize("forgotten", [True, False])
def test_a_server_that_is_gone_is_not_asked_for_ever(silence: BridgeError, forgotten: bool) -> None:
    world, names = _world(20, servers=2, silence=silence)
    world.run(60)

    world.gone = {"s0"}
    for name in names[::2]:
        world.moved[name] += 1
        if forgotten:
            world.move(name)
            world.moved[name] += 1
    world.end(MailboxUnavailable("reset"))
    world.run(120)

    assert world.notified(names)


def test_one_mailbox_whose_server_is_told_wrongly_finds_its_own() -> None:
    world, names = _world(20, servers=2)
    world.run(60)
    mover = names[0]
    world.denies[mover] = MailboxUnavailable("ErrorMailboxStoreUnavailable")
    world.move(mover)
    world.run(10)

    asked = [action for action in world.done if isinstance(action, Subscribe) and action.mailbox == mover]

    assert (asked[-1].lead_mailbox, asked[-1].affinity) == (mover, None)
    del world.denies[mover]
    world.run(120)
    assert world.notified(names)


def test_a_mailbox_that_was_told_of_for_long_is_subscribed_to_at_once_whatever_was_before() -> None:
    world, names = _world(1, denies={"m0": MailboxUnavailable("ErrorMailboxStoreUnavailable")})
    world.run(200)
    world.denies.clear()
    world.run(600)
    assert world.notified(names)

    world.lose_all()
    world.run(6)

    assert world.notified(names)


def test_a_mailbox_that_comes_and_goes_does_not_have_two_hundred_listed_all_the_time() -> None:
    world, names = _world(200)
    world.run(60)
    world.wakes.clear()

    for _ in range(60):
        world.plan.leave("m7")
        world.plan.want("m7")
        world.run(5)

    assert len(world.wakes) <= 300 * 10 + 200
    world.run(30)
    assert world.notified(names)


def test_one_mailbox_that_is_denied_does_not_hold_up_the_others_and_is_asked_for_slowly() -> None:
    world, names = _world(10, denies={"m0": MailboxAccessDenied("HTTP 403"), "m4": EwsBlocked()})

    world.run(3_600, each=1)

    assert world.notified([name for name in names if name not in {"m0", "m4"}])
    assert world.plan.unnotified == {"mailbox_access_denied": 1, "ews_blocked": 1}
    assert world.count(Subscribe) <= 8 + 2 * 10


def test_a_mailbox_that_is_sick_for_long_holds_up_no_stream() -> None:
    world, names = _world(10, denies={"m0": MailboxUnavailable("ErrorMailboxStoreUnavailable")})

    world.run(300, each=1)

    assert world.notified(names[1:])


@pytest.mark.parametrize("error", [StreamRefused("ErrorInvalidOperation"), StreamSilent(), EwsBlocked()])
def test_where_streams_are_refused_they_are_tried_slowly_and_come_back(error: BridgeError) -> None:
    world, names = _world(4, StreamLimits(connections=1), refuses=error)

    world.run(3_600, each=1)

    assert world.plan.unnotified == {error.code: 4}
    assert world.count(Open) <= 10
    world.refuses = None
    world.run(700, each=1)
    assert world.notified(names)


@pytest.mark.parametrize("where", ["stream", "subscription"])
def test_after_a_refused_login_streams_come_back_within_a_minute_as_reading_does(where: str) -> None:
    error = CredentialsRejected("HTTP 401", code="token_expired")
    denied = {f"m{number}": error for number in range(4)} if where == "subscription" else {}
    world, names = _world(4, refuses=error if where == "stream" else None, denies=denied)
    world.run(600, each=1)
    assert world.plan.unnotified

    world.refuses, world.denies = None, {}
    world.run(62, each=1)
    assert world.notified(names)
    assert world.count(Open) + world.count(Subscribe) <= 4 * 25


def test_where_subscriptions_are_never_known_they_are_made_slowly_and_come_back() -> None:
    world, names = _world(20, forgetful=True)

    world.run(3_600, each=1)

    assert world.plan.unnotified == {"stream_refused": 20}
    assert world.count(Subscribe) <= 20 * 16
    world.forgetful = False
    world.run(700, each=1)
    assert world.notified(names)


def test_a_throttled_stream_waits_as_long_as_it_is_told() -> None:
    world, names = _world(4, refuses=MailboxThrottled("HTTP 503", retry_after_seconds=120))
    world.run(10)
    assert world.count(Open) == 1
    world.refuses = None

    world.run(100)
    assert world.count(Open) == 1
    world.run(40)
    assert world.notified(names)


def test_a_newcomer_joins_the_open_stream_and_a_leaver_costs_no_new_one() -> None:
    world, names = _world(10)
    world.run(30)
    world.plan.want("m10")
    world.run(10)
    assert world.notified([*names, "m10"])
    assert world.plan.connections == 1
    opened = world.count(Open)

    world.plan.leave("m3")
    world.run(10)

    assert "m3" not in world.subscriptions.values()
    assert world.count(Open) == opened
    assert not world.plan.is_notified("m3")


def test_a_stream_that_has_said_nothing_is_none_yet() -> None:
    plan = StreamPlan(StreamLimits())
    plan.want("m0")
    [asked] = plan.next(0.0)
    assert isinstance(asked, Subscribe)
    plan.subscribed(asked.ticket, "m0", Subscribed("one"), 1.0)
    [opened] = plan.next(5.0)
    assert isinstance(opened, Open)

    assert plan.connections == 0
    plan.take_notice(opened.stream, Notice(), 6.0)
    assert plan.connections == 1


def test_the_last_one_closes_the_stream() -> None:
    world, names = _world(2)
    world.run(10)

    for name in names:
        world.plan.leave(name)
    world.step()

    assert world.streams == {}
    assert world.subscriptions == {}
    assert world.plan.settled


def test_a_subscription_that_comes_when_its_mailbox_has_left_is_ended() -> None:
    plan = StreamPlan(StreamLimits())
    plan.want("m0")
    [asked] = plan.next(0.0)
    assert isinstance(asked, Subscribe)
    plan.leave("m0")
    plan.want("m0")

    plan.subscribed(asked.ticket, "m0", Subscribed("late"), 1.0)

    actions = plan.next(1.0)
    assert End("m0", "late", None) in actions
    assert [type(action) for action in actions] == [End, Subscribe]


@given(
    st.integers(1, 5),
    st.booleans(),
    st.lists(
        st.one_of(
            st.tuples(st.just("run"), st.integers(1, 30)),
            st.tuples(st.just("want"), st.integers(0, 19)),
            st.tuples(st.just("leave"), st.integers(0, 19)),
            st.tuples(st.just("move"), st.integers(0, 19)),
            st.tuples(st.just("end"), st.integers(0, 3)),
            st.tuples(st.just("lose"), st.just(0)),
            st.tuples(st.just("refuse"), st.integers(0, 2)),
        ),
        max_size=30,
    ),
)
@example(servers=4, hints=False, happenings=[("refuse", 1), ("run", 1)])
@settings(max_examples=60, deadline=None)
def test_whatever_happens_no_subscription_is_on_two_streams_and_all_are_told_of_in_the_end(
    servers: int, hints: bool, happenings: list[tuple[str, int]]
) -> None:
    limits = StreamLimits(subscriptions=4, connections=12, slowly_seconds=30)
    world, _ = _world(6, limits, servers=servers, hints=hints)
    wanted = {f"m{number}" for number in range(6)}
    for what, number in happenings:
        match what:
            case "run":
                world.run(number, each=0.5)
            case "want":
                world.plan.want(f"m{number}")
                wanted.add(f"m{number}")
            case "leave":
                world.plan.leave(f"m{number}")
                wanted.discard(f"m{number}")
            case "move":
                world.move(f"m{number}")
            case "end":
                world.end([None, MailboxUnavailable(), StreamGarbled(), EwsBlocked()][number])
            case "lose":
                world.lose_all()
            case "refuse":
                world.refuses = [None, StreamRefused(), StreamSilent()][number]
        world.step()
        on_streams = Counter(one for ids in world.streams.values() for one in ids if one in world.subscriptions)
        assert all(count == 1 for count in on_streams.values())
        assert all(len(ids) <= limits.subscriptions for ids in world.streams.values())
        assert len(world.streams) <= limits.connections

    world.refuses = None
    world.run(400, each=0.5)

    assert world.notified(sorted(wanted))
    assert sorted(world.subscriptions.values()) == sorted(wanted)
    assert world.plan.connections == len(world.streams)
