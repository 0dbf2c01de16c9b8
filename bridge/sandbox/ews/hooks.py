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
    from collections.abc import Callable, Mapping

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

    def __init__(self, status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.headers = dict(headers or {})
        self.body = body


@dataclass(frozen=True, slots=True)
class Caller:
    """
    Who calls, as proved by the request's credentials.

    An application (`app_id` set) owns no mailbox: it must name one by ExchangeImpersonation and X-AnchorMailbox. A
    user (`mailbox` set) opens the own one, and others by impersonation where `may_impersonate` says so.
    """

    name: str
    """For the calls' statistics; an application id or a user name."""
    mailbox: str | None = None
    """The user's own address; None for an application."""
    app_id: str | None = None
    may_impersonate: Callable[[str], bool] = field(default=lambda _address: False)
    """Answers for the address of an existing mailbox whether this caller may act as it."""


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
    """One EWS call that a fault rule may match. `mailbox` and `folder` are empty where the request names none."""

    operation: str
    mailbox: str
    folder: str
    """Distinguished name of the first folder that the request names, or of the first item's; else its display name."""
    items: int
    """How many items or ids the request names."""
    caller: str
    request: web.Request


class FaultedError(Exception):
    """Ends a call with this HTTP answer instead of Exchange's; `body` goes out as it is."""

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.body = body
        self.headers = dict(headers or {})


class ConnectionCutError(Exception):
    """Ends a call by closing the connection without an answer."""


class Faults(Protocol):
    """What goes wrong on purpose. All methods may wait, and may raise FaultedError or ConnectionCutError."""

    async def before(self, call: Call) -> None:
        """Run before the work: nothing has changed yet."""

    async def after(self, call: Call, status: int, body: bytes) -> bytes:
        """Run after the work is committed and before the answer is sent; returns the body to send."""

    def item_error(self, call: Call, number: int) -> tuple[str, str] | None:
        """
        Return (ResponseCode, MessageText) for the item of this number (from 0) instead of doing anything with it.

        Called on a worker thread for each item of a batch; None leaves the item alone.
        """


class NoFaults:
    """Nothing goes wrong."""

    async def before(self, call: Call) -> None:
        """Let the call through."""

    async def after(self, call: Call, status: int, body: bytes) -> bytes:  # noqa: ARG002 - the protocol's parameters
        """Return the answer as it is."""
        return body

    def item_error(self, call: Call, number: int) -> tuple[str, str] | None:  # noqa: ARG002 - the protocol's parameters
        """Leave every item alone."""
        return None
