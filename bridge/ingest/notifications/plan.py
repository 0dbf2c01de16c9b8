"""
Which mailboxes share which stream, and what to do next: decided here, done elsewhere.

Exchange tells of many mailboxes on one connection as long as they lie on one of its servers. Nobody says which
do: an app that is limited to its mailboxes has no Autodiscover to ask. So mailboxes are put together by trial.
The answer to Subscribe may name another server, and the mailbox goes to the stream of that one; or the stream refuses
single subscriptions that it never told of, and their mailboxes try another stream.

Nothing here is needed for mail to arrive: a mailbox of which no stream tells is listed more often.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.domain.notices import Affinity, Notice, StreamRefused, StreamSilent, Subscribed
from bridge.errors import BridgeError, CredentialsRejected, MailboxUnavailable, OperatorError
from bridge.flow.waiting import wait_after
from bridge.ingest.notifications.state import Close, End, Group, Member, Open, Subscribe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bridge.ingest.notifications.state import Action, StreamLimits

CONNECTED, NOTIFIED = "connected", "notified"
"""Why a mailbox is to be listed: its stream began, and what came before may be untold; or the stream told of mail."""

_STARTING, _OK = "starting", "ok"


class StreamPlan:
    """
    The mailboxes that are to be told of, the streams, and what the world answered so far.

    Whoever drives it does each `Action` that `next` returns, and tells how it went.
    """

    def __init__(self, limits: StreamLimits, spread: Callable[[], float] = lambda: 0.0) -> None:
        self._limits = limits
        self._spread = spread
        self._members: dict[str, Member] = {}
        self._groups: dict[int, Group] = {}
        self._numbers = 0
        self._undone: list[Action] = []

    # What is wanted.

    def want(self, mailbox: str) -> None:
        """Have a mailbox told of."""
        self._members.setdefault(mailbox, Member(mailbox))

    def leave(self, mailbox: str) -> None:
        """Have a mailbox told of no more; its subscription is ended."""
        member = self._members.pop(mailbox, None)
        if member is not None:
            self._unsubscribe(member)
            self._take_out(member)

    # How it stands.

    def is_notified(self, mailbox: str) -> bool:
        """Whether a stream tells of a mailbox."""
        member = self._members.get(mailbox)
        return member is not None and member.live

    def mailboxes_on(self, stream: int) -> list[str]:
        """Return the mailboxes that a stream tells of."""
        group = self._group_of(stream)
        return [member.mailbox for member in self._of(group) if member.live] if group is not None else []

    @property
    def unnotified(self) -> dict[str, int]:
        """How many mailboxes no stream tells of, by the code of the reason."""
        codes: dict[str, int] = {}
        for member in self._members.values():
            if not member.live:
                codes[member.why] = codes.get(member.why, 0) + 1
        return codes

    @property
    def mailboxes(self) -> int:
        """How many mailboxes are wanted."""
        return len(self._members)

    @property
    def subscriptions(self) -> int:
        """How many subscriptions there are."""
        return sum(member.subscription is not None for member in self._members.values())

    @property
    def connections(self) -> int:
        """How many streams tell."""
        return sum(group.heard for group in self._groups.values())

    @property
    def settled(self) -> bool:
        """Whether all that is wanted is told of, so that nothing is to be done until the world speaks."""
        return not self._undone and all(member.live for member in self._members.values())

    # What the world says.

    def subscribed(self, ticket: int, mailbox: str, answer: Subscribed, now: float) -> None:
        """Take note of a subscription; one that nobody wants any more is ended."""
        member = self._holder_of(ticket)
        if member is None:
            self._undone.append(End(mailbox, answer.subscription, answer.affinity))
            return
        member.ticket, member.subscription = None, answer.subscription
        if answer.affinity is not None:
            self._lead(member, answer.affinity, now)
        if member.group is not None:
            group = self._groups[member.group]
            group.known, group.changed_at = True, now

    def unsubscribed(self, ticket: int, error: BridgeError, now: float) -> float:
        """Take note that a mailbox could not be subscribed to; return after how long it is tried again."""
        member = self._holder_of(ticket)
        if member is None:
            return 0.0
        member.ticket, member.why = None, error.code
        member.attempts += 1
        wait = self._wait(error, member.attempts)
        if member.attempts >= self._limits.tries and _is_refusal(error):
            wait = max(wait, self._limits.slowly_seconds)
        member.not_before = now + wait
        group = self._group(member)
        if isinstance(error, MailboxUnavailable) and group.stream is None:
            # Rather Exchange than the mailbox: the others need not find that out one by one.
            group.attempts += 1
            group.not_before = now + self._wait(error, group.attempts)
        if not group.known:
            self._take_out(member)  # others wait for this one to learn the server: the next one asks
        return wait

    def take_notice(self, stream: int, notice: Notice, now: float) -> list[tuple[str, str]]:
        """Take note of what a stream says; return the mailboxes that are to be listed, and why."""
        group = self._group_of(stream)
        if group is None:
            return []
        wakes = []
        members = [member for member in self._of(group) if member.subscription in group.notified]
        if not notice.lost and not group.heard:
            group.heard, group.refusals = True, 0
            for member in members:
                member.live = member.proved = True
                member.why, member.live_since = _OK, now
                wakes.append((member.mailbox, CONNECTED))
        wakes += [(member.mailbox, NOTIFIED) for member in members if member.subscription in notice.arrived]
        if notice.lost:
            self._lost(group, [member for member in members if member.subscription in notice.lost], members, now)
        return wakes

    def ended(self, stream: int, error: BridgeError | None, now: float) -> float:
        """Take note that a stream is over, in order or by an error; return after how long it is opened again."""
        group = self._group_of(stream)
        if group is None:
            return 0.0
        was_good, heard = self._is_good(group, now), group.heard
        self._forget_stream(group, error.code if error is not None else _STARTING, now)
        if error is None and was_good:
            return 0.0
        group.attempts += 1
        wait = self._wait(error or MailboxUnavailable(), group.attempts)
        if error is not None and not heard and (_is_refusal(error) or isinstance(error, StreamSilent)):
            wait = max(wait, self._refused(group, error))
        if self._may_be_gone(group) and not heard and isinstance(error, MailboxUnavailable):
            for member in self._of(group):
                self._unsubscribe(member)
            wait = self._wait(MailboxUnavailable(), 1)  # another server is asked, which has refused nothing yet
        group.not_before = now + wait
        return wait

    # What to do.

    def next(self, now: float) -> list[Action]:
        """Return what is to be done now."""
        actions, self._undone = self._undone, []
        for group in [group for group in self._groups.values() if not group.members]:
            if group.stream is not None:
                actions.append(Close(group.stream))
            del self._groups[group.number]
        actions += self._subscribes(now)
        for group in self._groups.values():
            asking = any(member.ticket is not None for member in self._of(group))
            ids = {member.subscription for member in self._of(group) if member.subscription is not None}
            settled = now - group.changed_at >= self._limits.settle_seconds
            rested = now - group.opened_at >= self._limits.rest_seconds * len(group.notified)
            if group.stream is not None and not ids <= group.notified and settled and rested:
                # Exchange leads a subscription to its newest connection; those of the old one hear of nothing anyway.
                actions.append(Close(group.stream))
                self._forget_stream(group, _STARTING, now)
            if group.stream is None and ids and now >= group.not_before and (not asking or settled):
                actions.append(self._open(group, now))
        return actions

    def _subscribes(self, now: float) -> Iterator[Action]:
        asking = sum(member.ticket is not None for member in self._members.values())
        for member in tuple(self._members.values()):
            if asking >= self._limits.subscribing:
                return
            if member.subscription is not None or member.ticket is not None or now < member.not_before:
                continue
            if member.group is None and not self._place(member, now):
                continue
            group = self._group(member)
            waits = group.stream is None and now < group.not_before
            if waits or (not group.known and any(other.ticket is not None for other in self._of(group))):
                continue
            member.ticket = self._number()
            asking += 1
            if member.attempts >= self._limits.tries - 1 or (group.stream is None and self._may_be_gone(group)):
                yield Subscribe(member.ticket, member.mailbox, member.mailbox, None)  # wherever it lies by now
            else:
                yield Subscribe(member.ticket, member.mailbox, group.lead_mailbox or group.members[0], group.affinity)

    def _open(self, group: Group, now: float) -> Open:
        members = [member for member in self._of(group) if member.subscription is not None]
        ids = tuple(str(member.subscription) for member in members)
        group.stream, group.notified = self._number(), frozenset(ids)
        group.opened_at, group.heard = now, False
        names = [member.mailbox for member in members]
        lead_mailbox = group.lead_mailbox
        if lead_mailbox is None or lead_mailbox not in names:
            lead_mailbox = next((member.mailbox for member in members if member.proved), names[0])
        group.lead_mailbox = lead_mailbox
        return Open(group.stream, lead_mailbox, ids, group.affinity)

    # Who goes where.

    def _place(self, member: Member, now: float) -> bool:
        """Put a mailbox into the first group with room that has not refused it, or into a new one."""
        group = next(self._open_to(member), None)
        if group is None and not self._may_have_another():
            self._postpone(member, now)
            return False
        self._put_in(member, group or self._new_group(None))
        return True

    def _lead(self, member: Member, where: Affinity, now: float) -> None:
        """Bring a mailbox whose subscription lies on a server into the group of that server."""
        group = self._group(member)
        if group.affinity is not None and group.affinity.server == where.server:
            group.affinity = where
            return
        there = next((g for g in self._open_to(member) if g.affinity and g.affinity.server == where.server), None)
        if there is None and all(other is member or other.subscription is None for other in self._of(group)):
            group.affinity = where
            return
        self._take_out(member)
        if there is not None or self._may_have_another():
            self._put_in(member, there or self._new_group(where))
            return
        self._unsubscribe(member)
        self._postpone(member, now)

    def _open_to(self, member: Member) -> Iterator[Group]:
        for group in tuple(self._groups.values()):
            has_room = len(group.members) < self._limits.subscriptions
            if has_room and group.number != member.group and group.number not in member.apart:
                yield group

    def _may_have_another(self) -> bool:
        return sum(bool(group.members) for group in self._groups.values()) < self._limits.connections

    def _new_group(self, where: Affinity | None) -> Group:
        group = Group(self._number(), affinity=where, known=where is not None)
        self._groups[group.number] = group
        return group

    def _put_in(self, member: Member, group: Group) -> None:
        member.group, member.proved = group.number, False
        group.members.append(member.mailbox)

    def _take_out(self, member: Member) -> None:
        if member.group is not None and (group := self._groups.get(member.group)) is not None:
            group.members.remove(member.mailbox)
            group.lead_mailbox = None if group.lead_mailbox == member.mailbox else group.lead_mailbox
        member.group, member.live = None, False

    def _postpone(self, member: Member, now: float) -> None:
        """Leave a mailbox to listing for a good while: there are as many connections as there may be."""
        member.why, member.not_before = StreamRefused.code, now + self._limits.slowly_seconds
        member.apart.clear()  # the next time, all are tried anew

    def _unsubscribe(self, member: Member) -> None:
        if member.subscription is not None:
            group = self._groups.get(member.group) if member.group is not None else None
            self._undone.append(End(member.mailbox, member.subscription, group.affinity if group else None))
            member.subscription = None

    # What went wrong.

    def _lost(self, group: Group, lost: Sequence[Member], all_members: Sequence[Member], now: float) -> None:
        everybody = len(lost) == len(all_members)
        unproved = everybody and bool(lost) and not any(member.proved for member in lost)
        for member in lost:
            if member.live and now - member.live_since >= self._limits.good_seconds:
                member.attempts = 0
            # "Not found" may mean that it lies on another server, and a mailbox may have twenty at most.
            self._unsubscribe(member)
            member.live, member.why = False, StreamRefused.code
            if not (member.proved or everybody) and len(group.members) > 1:
                member.apart.add(group.number)  # a trial and no failure: there are only so many groups to try
                self._take_out(member)
                continue
            if member.proved:
                member.apart.clear()  # it may have moved, to where it did not lie before
            wait = self._wait(MailboxUnavailable(), member.attempts) if member.attempts else 0.0
            if member.attempts > 2 * self._limits.tries:
                wait = max(wait, self._limits.slowly_seconds)
            member.not_before = now + wait
            member.attempts += 1
            member.proved = False
        if unproved and not group.heard:
            group.refusals += 1
            if group.refusals >= self._limits.tries - 1:
                self._split(group)
        if not group.heard and group.stream is not None:
            # Exchange tells nothing of the good ones beside bad ones; they are not left to that.
            self._undone.append(Close(group.stream))
            self._forget_stream(group, StreamRefused.code, now)

    def _refused(self, group: Group, error: BridgeError) -> float:
        """Return how long a stream is left alone that refuses; where many are on it, they part first."""
        group.refusals += 1
        # The mailbox in whose name it is opened may be the one that is refused.
        if group.lead_mailbox in group.members:
            group.lead_mailbox = group.members[(group.members.index(group.lead_mailbox) + 1) % len(group.members)]
        if group.refusals < self._limits.tries:
            return 0.0
        if isinstance(error, StreamRefused) and len(group.members) > 1 and self._may_have_another():
            self._split(group)
            return 0.0
        return self._limits.slowly_seconds

    def _split(self, group: Group) -> None:
        members = list(self._of(group))
        if len(members) < 2 or not self._may_have_another():
            return
        group.refusals = 0
        other = self._new_group(None)
        for member in members[(len(members) + 1) // 2 :]:
            self._unsubscribe(member)
            member.apart.add(group.number)
            self._take_out(member)
            self._put_in(member, other)

    def _wait(self, error: BridgeError, attempt: int) -> float:
        return wait_after(error, attempt=attempt, policy=self._limits.retry, spread=self._spread())

    # The books.

    def _group(self, member: Member) -> Group:
        if member.group is None:
            raise AssertionError("a mailbox that is asked for is in a group")
        return self._groups[member.group]

    def _is_good(self, group: Group, now: float) -> bool:
        return group.heard and now - group.opened_at >= self._limits.good_seconds

    def _may_be_gone(self, group: Group) -> bool:
        """Whether the server that a group is led to by its affinity has been in vain so often that others are tried."""
        return group.affinity is not None and group.attempts % self._limits.tries == self._limits.tries - 1

    def _forget_stream(self, group: Group, why: str, now: float) -> None:
        if self._is_good(group, now):
            group.attempts = 0
        for member in self._of(group):
            if member.subscription in group.notified:
                if member.live and now - member.live_since >= self._limits.good_seconds:
                    member.attempts = 0
                member.live, member.why = False, why
        group.stream, group.notified, group.heard = None, frozenset(), False

    def _of(self, group: Group) -> Iterator[Member]:
        return (self._members[mailbox] for mailbox in tuple(group.members))

    def _group_of(self, stream: int) -> Group | None:
        return next((group for group in self._groups.values() if group.stream == stream), None)

    def _holder_of(self, ticket: int) -> Member | None:
        return next((member for member in self._members.values() if member.ticket == ticket), None)

    def _number(self) -> int:
        self._numbers += 1
        return self._numbers


def _is_refusal(error: BridgeError) -> bool:
    """Whether streaming is refused; a refused login refuses every call, and streaming is well when reading is."""
    return isinstance(error, StreamRefused | OperatorError) and not isinstance(error, CredentialsRejected)
