"""The SMTP port through which any mail program puts mail into the sandbox's mailboxes."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from aiosmtpd.smtp import SMTP, Envelope, Session, syntax

from bridge.sandbox.bounces import UNKNOWN, Failure, bounce
from bridge.sandbox.clock import EXCHANGE
from bridge.sandbox.groups import is_group, with_members
from bridge.sandbox.mailflow import refusal
from bridge.sandbox.settings import HOST
from bridge.sandbox.store import SubmittedMail
from bridge.sandbox.store.structure import parse
from bridge.sandbox.tenant import domain_of
from bridge.sandbox.trace import received, within

if TYPE_CHECKING:
    from bridge.sandbox.calls import CallLog
    from bridge.sandbox.ews.behaviour import ServerBehaviour
    from bridge.sandbox.store import Store
    from bridge.sandbox.tenant import Tenant

_SIZE_LIMIT_BYTES: Final = 150 * 1024 * 1024
_COMMAND_LIMIT_BYTES: Final = 64 * 1024
_LOG = logging.getLogger(__name__)


class _Session(SMTP):
    """
    One connection. A line may be as long as a mail: what arrives is the sender's business, and kept as it came.

    Lines of commands may not: one without an end is thrown away as it comes, and refused when its end has come.
    """

    line_length_limit = _COMMAND_LIMIT_BYTES

    @syntax("DATA")
    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802 - the library's name
        """Read a mail, with the limit for its lines for so long."""
        self._limit_lines(_SIZE_LIMIT_BYTES + 2)
        try:
            await super().smtp_DATA(arg)
        except Exception:
            # The library leaves the mail open, and would refuse the next one of this connection as a nested MAIL.
            self.envelope = self._create_envelope()
            raise
        finally:
            self._limit_lines(_COMMAND_LIMIT_BYTES)

    def _limit_lines(self, limit: int) -> None:
        self.line_length_limit = limit
        # A stream takes its limit when it is made, and there is no other way to change it. It goes on reading from
        # the network, which it had stopped at the old limit, when it is next asked for a line.
        setattr(self._reader, "_limit", limit)  # noqa: B010 - unknown to its types


class SmtpServer:
    """
    Takes mail for the tenant's mailboxes, byte for byte after dot-unstuffing, with one `Received` field before it.

    The answer 250 is given when the mail is in the store for all its recipients, or on its way for good. A recipient
    that does not exist is refused at RCPT, as Exchange does; mail to a group reaches its members. A mail that no
    mailbox takes (full, or smaller than the mail) is refused with 55x after its data; where some take it, a sender of
    ours hears of the others by a notification.
    """

    def __init__(
        self, store: Store, tenant: Tenant, log: CallLog, *, server: str, behaviour: ServerBehaviour | None = None
    ) -> None:
        """Put mail into `store`, within the mailboxes' limits; `server` is the name that the greeting gives."""
        self._behaviour = behaviour
        self._store = store
        self._tenant = tenant
        self._log = log
        self._server = server
        # The library logs what is said and sent; nothing of that belongs in a log.
        logging.getLogger("mail.log").setLevel(logging.CRITICAL)

    def session(self) -> asyncio.BaseProtocol:
        """Return the protocol of a new connection."""
        protocol: asyncio.BaseProtocol = _Session(
            self,
            hostname=self._server,
            ident="Sandbox ESMTP",
            data_size_limit=_SIZE_LIMIT_BYTES,
            enable_SMTPUTF8=True,
            loop=asyncio.get_running_loop(),
        )
        return protocol

    async def handle_EHLO(  # noqa: N802 - the library's name
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Offer pipelining too: commands that come together are read one by one in any case."""
        session.host_name = hostname
        return [*responses[:-1], "250-PIPELINING", "250-ENHANCEDSTATUSCODES", responses[-1]]

    async def handle_RCPT(  # noqa: N802 - the library's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Accept a recipient that has a mailbox, or is a group."""
        user = self._tenant.user(address)
        if user is not None:
            if user.address not in envelope.rcpt_tos:
                envelope.rcpt_tos.append(user.address)
            return "250 2.1.5 Recipient OK"
        if self._behaviour is not None and is_group(self._behaviour.book, address):
            envelope.rcpt_tos.append(address)
            return "250 2.1.5 Recipient OK"
        if domain_of(address) in self._tenant.domains():
            return "550 5.1.1 User unknown"
        return "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain"

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802 - likewise
        """Answer 250 when the mail is kept for every recipient."""
        content = envelope.original_content or b""
        peer = session.peer[0] if session.peer else HOST
        trace = received(client=session.host_name or "", address=peer, server=self._server, at=EXCHANGE.now())
        with self._log.begin("smtp") as call:
            refused = await asyncio.to_thread(
                self._deliver, list(envelope.rcpt_tos), content, envelope.mail_from or "", trace
            )
            if refused is not None:
                call.end(failed=True)
                return f"{refused.code} {refused.status} {refused.reason}"
        return "250 2.6.0 Queued mail for delivery"

    async def handle_exception(self, error: Exception) -> str:
        """Answer a failure of our own so that the sender tries again."""
        _LOG.error("SMTP delivery failed: %s", type(error).__name__)
        return "451 4.3.0 Temporary failure"

    def _deliver(self, recipients: list[str], content: bytes, sender: str, trace: bytes) -> Failure | None:
        """Deliver to all that take the mail; answers why nobody does."""
        reached = self._reached(recipients)
        failures = {whom: refusal(self._behaviour, whom, len(content)) if there else UNKNOWN for whom, there in reached}
        failed = {recipient: failure for recipient, failure in failures.items() if failure is not None}
        taking = [recipient for recipient in failures if recipient not in failed]
        if failed and not taking:
            return next(iter(failed.values()))
        mime = trace + content
        if len(failures) == 1:
            self._put(taking[0], mime)
            return None
        bounces = self._bounces(failed, mime, sender)
        # All or none: the sender repeats the whole mail when it sees no 250.
        with self._store.writing():
            for recipient in taking:
                self._put(recipient, mime)
            for notification in bounces:
                self._store.deliver(sender, notification)
        return None

    def _put(self, recipient: str, mime: bytes) -> None:
        if self._behaviour is None:
            self._store.deliver(recipient, mime)
        else:
            self._behaviour.deliver(recipient, self._behaviour.from_outside(recipient, mime))

    def _reached(self, recipients: list[str]) -> list[tuple[str, bool]]:
        """Return whom a mail reaches, groups by their members, and who has a mailbox; those outside are let go."""
        if self._behaviour is None:
            return [(recipient, True) for recipient in recipients]
        everybody = with_members(self._behaviour.book, recipients)
        found = [(one, self._tenant.user(one)) for one in everybody]
        ours = self._tenant.domains()
        return [
            (one if user is None else user.address, user is not None)
            for one, user in found
            if user is not None or domain_of(one) in ours
        ]

    def _bounces(self, failed: dict[str, Failure], mime: bytes, sender: str) -> list[bytes]:
        if not failed or self._tenant.user(sender) is None:
            return []
        now = EXCHANGE.now()
        mail = SubmittedMail(0, sender, parse(mime).header("Message-ID") or "", sender, tuple(failed), now, mime)
        trace = within(self._server, now)
        return [
            trace
            + bounce(
                mail, [whom for whom, why in failed.items() if why == failure], failure, server=self._server, at=now
            )
            for failure in dict.fromkeys(failed.values())
        ]


async def listen(server: SmtpServer, socket: Any) -> asyncio.Server:  # noqa: ANN401 - a socket that is bound
    """Serve SMTP on a bound socket."""
    return await asyncio.get_running_loop().create_server(server.session, sock=socket)
