"""A publisher that answers as a test says, and a clock that nobody waits for."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta
from typing import TYPE_CHECKING

from bridge.domain.mail import MailRef
from bridge.errors import QueueTaken
from bridge.ports.broker import Message, PublishReceipt
from tests.support.clock import START
from tests.support.memory.inbox import StoredMail

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from bridge.domain.mail import ReadMail


class ScriptedPublisher:
    """Confirms at once unless told otherwise: an error for a message, or no answer until `confirm` is called."""

    largest_body_bytes = 1 << 24
    trouble: str | None = None

    def __init__(self) -> None:
        self.published: list[Message] = []
        self.answer: Callable[[Message], Exception | None] = lambda _: None
        self.withhold = False
        self.taken: set[str] = set()
        self.leases: dict[str, asyncio.Event] = {}
        self.outstanding: list[tuple[Message, asyncio.Future[PublishReceipt]]] = []

    async def wait_ready(self) -> None:
        return

    @contextlib.asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[asyncio.Event]:
        if name in self.taken:
            raise QueueTaken(name)
        self.leases[name] = asyncio.Event()
        try:
            yield self.leases[name]
        finally:
            del self.leases[name]

    def publish(self, message: Message) -> asyncio.Future[PublishReceipt]:
        self.published.append(message)
        future: asyncio.Future[PublishReceipt] = asyncio.get_running_loop().create_future()
        if self.withhold:
            self.outstanding.append((message, future))
        elif (error := self.answer(message)) is not None:
            future.set_exception(error)
        else:
            future.set_result(PublishReceipt(message.message_id))
        return future

    def confirm_all(self) -> None:
        """Answer what was withheld."""
        answered, self.outstanding = self.outstanding, []
        for message, future in answered:
            future.set_result(PublishReceipt(message.message_id))

    @property
    def ids(self) -> list[str]:
        return [message.message_id for message in self.published]


def a_mail(
    number: int, *, size: int = 100, folder: str = "inbox", mime: bytes | None = b"Subject: x\r\n\r\n"
) -> StoredMail:
    """Return mail number `number`, received that many seconds after the start."""
    at = START + timedelta(seconds=number)
    return StoredMail(MailRef(f"m{number}", f"item-{number}", at, size, "IPM.Note"), mime, folder)


async def compose(mail: ReadMail) -> Sequence[Message]:
    """Return a payload without looking at the mail."""
    return [Message("mail.inbound", "dispatch.mail", b"{}", mail.ref.message_id, "mail.inbound.v1")]
