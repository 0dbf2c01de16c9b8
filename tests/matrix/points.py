"""
Points in a worker at which the test takes over; with one chosen, `main` is `bridge` with such points.

Nothing of this is in the product: the adapters' own methods are wrapped in this process alone. A point is a step and a
moment of it, such as `DeleteItem made`: the call took effect at the other side and its answer is not known here yet.
When the chosen point is reached for the first time the process says so on a socket and stands still until it is told
to go on, if ever. `MATRIX_POINT` names the point, `MATRIX_SOCKET` where to say it. With `MATRIX_OLD_BEFORE` the ledger
is swept every moment, of what is older than that; with `MATRIX_ONE_CALL_BYTES` a larger draft is made in parts.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

import requests

from bridge.adapters.blobs import files
from bridge.adapters.blobs.files import FileBlobs
from bridge.adapters.entra import http as entra
from bridge.adapters.ews.client import EwsClient
from bridge.adapters.ews.sender import EwsSender
from bridge.adapters.ews.transport import EwsHttpAdapter
from bridge.adapters.rabbitmq import lease
from bridge.adapters.rabbitmq.consumer import RabbitDelivery, _Consumption
from bridge.adapters.rabbitmq.publisher import RabbitPublisher
from bridge.cli.app import app
from bridge.cli.exits import run_guarded
from bridge.egress import sender
from bridge.egress.sweep import keep_sweeping
from bridge.errors import BlobStoreUnavailable, MailboxUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import timedelta

    from lxml import etree

    from bridge.adapters.blobs.threads import Deadline
    from bridge.adapters.ews.soap import ResponseMessage
    from bridge.adapters.ews.streamed import StreamedMime
    from bridge.adapters.rabbitmq.connection import Connection, OpenChannel
    from bridge.domain.blobs import BlobRef
    from bridge.egress.availability.pauses import Availability
    from bridge.egress.options import EgressOptions
    from bridge.ports.blobs import Content
    from bridge.ports.broker import Message, PublishReceipt
    from bridge.ports.outbox import SendingMailbox

_reached = threading.Lock()
_now = threading.local()
_SWEEP_SECONDS = 0.3


def point(step: str, moment: str) -> bool:
    """Stand still here, the first time, if this is the chosen point; return whether the answer is to be lost."""
    if f"{step} {moment}" != os.environ["MATRIX_POINT"] or not _reached.acquire(blocking=False):
        return False
    with socket.socket(socket.AF_UNIX) as line:
        line.connect(os.environ["MATRIX_SOCKET"])
        line.sendall(b"reached\n")
        return line.recv(16) == b"lose"


def _wrap_calls() -> None:
    exchange, send = EwsClient._exchange, EwsHttpAdapter._send

    def _exchange(
        self: EwsClient,
        address: str,
        payload: etree._Element,
        timeout_seconds: float | None,
        mime: StreamedMime | None = None,
    ) -> list[ResponseMessage]:
        _now.step = _step_of(payload) if mime is None else "GetItem streamed"
        point(_now.step, "before")
        answer = exchange(self, address, payload, timeout_seconds, mime)
        point(_now.step, "after")
        return answer

    def _send(self: EwsHttpAdapter, *arguments: Any) -> Any:  # noqa: ANN401
        response = send(self, *arguments)
        if point(getattr(_now, "step", ""), "made"):
            raise MailboxUnavailable("lost")
        return response

    EwsClient._exchange = _exchange  # type: ignore[method-assign]
    EwsHttpAdapter._send = _send  # type: ignore[method-assign,assignment]


def _step_of(payload: etree._Element) -> str:
    """Return the operation, and for items what it is done to: a draft, or an entry of the ledger."""
    operation = str(payload.tag).rpartition("}")[2]
    if operation == "FindItem" and any(str(one.tag).endswith("}IsLessThan") for one in payload.iter()):
        return "FindItem old"  # of the sweep
    if operation == "CreateItem" and any(one.text == "born" for one in payload.iter() if "Value" in str(one.tag)):
        return "CreateItem birth"  # once in the life of a ledger
    if operation == "GetItem" and not any(one.get("FieldURI") == "item:MimeContent" for one in payload.iter()):
        return "GetItem properties"
    distinguished = [str(one.get("Id")) for one in payload.iter() if str(one.tag).endswith("}DistinguishedFolderId")]
    if operation in {"FindItem", "CreateItem"}:
        return f"{operation} {distinguished[0] if distinguished else 'ledger'}"
    return operation


def _wrap_broker() -> None:
    publish, confirm = RabbitPublisher.publish, RabbitPublisher._on_confirm
    ack, arrive = RabbitDelivery.ack, _Consumption.on_message
    published: list[str] = []

    def _publish(self: RabbitPublisher, message: Message) -> asyncio.Future[PublishReceipt]:
        step = f"publish {message.amqp_exchange}"
        point(step, "before")
        future = publish(self, message)
        published.append(step)
        future.add_done_callback(lambda _: point(step, "after"))
        return future

    def _on_confirm(self: RabbitPublisher, method: Any) -> None:  # noqa: ANN401
        if not (published and point(published[-1], "made")):
            confirm(self, method)

    def _ack(self: RabbitDelivery) -> None:
        point("ack", "before")
        ack(self)
        asyncio.get_running_loop().call_later(0.05, point, "ack", "after")  # it is on the wire by then

    def _arrive(self: Any, *arguments: Any) -> None:  # noqa: ANN401
        point("deliver", "made")
        arrive(self, *arguments)

    RabbitPublisher.publish = _publish  # type: ignore[method-assign]
    RabbitPublisher._on_confirm = _on_confirm  # type: ignore[method-assign]
    RabbitDelivery.ack = _ack  # type: ignore[method-assign]
    _Consumption.on_message = _arrive  # type: ignore[method-assign,assignment]


def _wrap_tokens() -> None:
    send = entra._Adapter.send

    def _send(self: entra._Adapter, request: requests.PreparedRequest, *rest: Any, **more: Any) -> requests.Response:
        if not str(request.url).endswith("/token"):
            return send(self, request, *rest, **more)
        point("token", "before")
        response = send(self, request, *rest, **more)
        if point("token", "made"):
            raise requests.ConnectionError
        point("token", "after")
        return response

    entra._Adapter.send = _send  # type: ignore[method-assign]


def _wrap_leases() -> None:
    take = lease._exclusive_queue

    @contextlib.asynccontextmanager
    async def _take(connection: Connection, name: str) -> AsyncIterator[OpenChannel]:
        point("lease", "before")
        async with take(connection, name) as channel:
            point("lease", "after")
            yield channel

    lease._exclusive_queue = _take


def _wrap_blobs() -> None:
    write, read_back = FileBlobs._write, files._read_back

    def _write(self: FileBlobs, ref: BlobRef, content: Content, deadline: Deadline) -> None:
        point("write blob", "before")
        write(self, ref, content, deadline)
        if point("write blob", "made"):
            raise BlobStoreUnavailable("lost")
        point("write blob", "after")

    def _read_back(file: int, ref: BlobRef, deadline: Deadline) -> None:
        point("verify blob", "before")
        read_back(file, ref, deadline)
        point("verify blob", "after")

    FileBlobs._write = _write  # type: ignore[method-assign]
    files._read_back = _read_back


def _make_drafts_in_parts(one_call_bytes: int) -> None:
    """Let a draft be too large for one call that is not, so that a cell need not carry 48 MB."""
    EwsSender.largest_mime_bytes = property(lambda _: one_call_bytes)  # type: ignore[assignment]


def _sweep_often(old_before: datetime) -> None:
    """Let this worker sweep again and again, and call old what was stored before this moment."""
    keep, sweep = keep_sweeping, EwsSender.sweep

    async def _keep(mailbox: SendingMailbox, availability: Availability, options: EgressOptions, **rest: Any) -> None:
        await keep(mailbox, availability, replace(options, sweep_every_seconds=_SWEEP_SECONDS), **rest)

    async def _sweep(self: EwsSender, _: timedelta, *, limit: int) -> int:
        return await sweep(self, datetime.now(UTC) - old_before, limit=limit)

    sender.keep_sweeping = _keep  # type: ignore[attr-defined]
    EwsSender.sweep = _sweep  # type: ignore[method-assign,assignment]


def main() -> NoReturn:
    """Run the command line as `bridge` does."""
    if os.environ.get("MATRIX_OLD_BEFORE"):
        _sweep_often(datetime.fromisoformat(os.environ["MATRIX_OLD_BEFORE"]))
    if os.environ.get("MATRIX_ONE_CALL_BYTES"):
        _make_drafts_in_parts(int(os.environ["MATRIX_ONE_CALL_BYTES"]))
    if os.environ.get("MATRIX_POINT"):
        _wrap_calls()
        _wrap_broker()
        _wrap_tokens()
        _wrap_leases()
        _wrap_blobs()
    run_guarded(app)
