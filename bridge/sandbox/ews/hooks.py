"""
What the EWS service needs from the shell around it: who calls, what goes wrong on purpose, who carries the mail away.

    service = EwsService(store, authenticator=..., mail_flow=..., faults=..., record_dir=None)
    app.router.add_route("*", "/{path:.*}", service.handle)     # aiohttp; it answers 404 for other paths itself
    await service.close()
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from aiohttp import web

    from bridge.sandbox.store import SubmittedMail

    MailFlow = Callable[[SubmittedMail], None]
    """
    Carries an accepted mail to its recipients and settles it with `Store.settle`, at once or later.

    Called on a worker thread after the transaction that accepted the mail was committed, before the answer is
    sent. What it raises is logged and does not change the answer: the mail is still in `Store.pending()`.
    """


class RefusedError(Exception):
    """An authenticator's no, as a whole HTTP answer: 401 with its challenges, 403 with `X-EWS-Policy-Reason`."""

    def __init__(self, status: int, headers: Sequence[tuple[str, str]] = (), body: bytes = b"") -> None:
        """Hold the answer; a header may be named several times."""
        super().__init__(f"HTTP {status}")
        self.status = status
        self.headers = tuple(headers)
        self.body = body


class Caller(Protocol):
    """
    Who calls, as proved by the request's credentials.

    An application must name a mailbox by ExchangeImpersonation and X-AnchorMailbox. A user opens the own one, others as
    `Grants` say, and acts as somebody else by impersonation.
    """

    @property
    def must_impersonate(self) -> bool:
        """Return whether the caller has no mailbox of its own: an application."""

    @property
    def mailbox(self) -> str | None:
        """The address of the caller's own mailbox; None for an application."""

    def may_open(self, address: str) -> bool:
        """Return whether the whole mailbox of this address, which exists, is open to the caller under the own name."""

    def may_impersonate(self, address: str) -> bool:
        """Return whether the caller may act as the owner of this address, which exists."""


class Grants(Protocol):
    """What owners of mailboxes, and administrators, allow others; it counts for who is impersonated too."""

    def opens(self, account: str, address: str) -> bool:
        """Return whether the owner of `account` may open the whole mailbox of `address`."""

    def level(self, account: str, address: str, folder: Sequence[str]) -> str:
        """Return the permission level of `account` on a folder of `address`, given the folder's names and ids."""

    def sends(self, account: str, address: str, *, on_behalf: bool) -> bool:
        """Return whether mail of `account` may say that it is from `address`; `on_behalf`, if it says by whom, too."""


class NoGrants:
    """Nobody is allowed anything in mailboxes of others."""

    def opens(self, account: str, address: str) -> bool:  # noqa: ARG002 - the protocol's parameters
        """Refuse."""
        return False

    def level(self, account: str, address: str, folder: Sequence[str]) -> str:  # noqa: ARG002 - likewise
        """Grant nothing."""
        return "None"

    def sends(self, account: str, address: str, *, on_behalf: bool) -> bool:  # noqa: ARG002 - likewise
        """Refuse."""
        return False


class Authenticator(Protocol):
    """Proves who calls."""

    async def __call__(self, request: web.Request) -> Caller:
        """
        Return the caller of a request; it may read headers and the connection, never the body.

        Raises:
            RefusedError: No or bad credentials (401 with WWW-Authenticate), or a policy's 403.
        """


@dataclass(frozen=True, slots=True)
class Call:
    """One EWS call, as far as its request says: what a fault rule may match."""

    operation: str
    mailbox: str | None = None
    folders: frozenset[str] = frozenset()
    """Ids and distinguished names of the folders that the call names, and of those that hold the items it names."""


@dataclass(frozen=True, slots=True)
class ItemError:
    """What one item of a batch answers, in place of work or after it; `values` go into its MessageXml as t:Value."""

    code: str
    text: str
    values: Mapping[str, str] = field(default_factory=dict)
    done: bool = False
    """Whether the work is done all the same, and only its answer is this."""


@dataclass(frozen=True, slots=True)
class StreamFault:
    """What goes wrong within a stream: a kind of `bridge.sandbox.faults.kinds`, once `after` messages were told."""

    kind: str
    after: int = 0


class Strikes(Protocol):
    """What goes wrong with one call."""

    def stream(self) -> Sequence[StreamFault]:
        """Return what goes wrong within the stream that the call is answered by."""

    async def before(self, request: web.Request) -> web.StreamResponse | None:
        """Strike before the work; an answer means that there is no work."""

    def item(self, number: int) -> ItemError | None:
        """Return what the item of that number (from 1, in the request's order) answers; called on a worker thread."""

    @property
    def strikes_after(self) -> bool:
        """Return whether `after` would do anything: a stream that is struck so ends with its first message."""

    async def after(self, request: web.Request, answer: web.Response) -> web.StreamResponse:
        """Strike after the work is committed; returns the answer to send."""


class Faults(Protocol):
    """What goes wrong on purpose."""

    def begin(self, call: Call) -> Strikes:
        """Decide what strikes a call that begins now."""


class NoFaults:
    """Nothing goes wrong."""

    def begin(self, call: Call) -> Strikes:  # noqa: ARG002 - the protocol's parameter
        """Let every call pass."""
        return _NoStrikes()


class _NoStrikes:
    strikes_after = False

    def stream(self) -> Sequence[StreamFault]:
        return ()

    async def before(self, request: web.Request) -> None:
        pass

    def item(self, number: int) -> None:
        pass

    async def after(self, request: web.Request, answer: web.Response) -> web.StreamResponse:  # noqa: ARG002 - likewise
        return answer
