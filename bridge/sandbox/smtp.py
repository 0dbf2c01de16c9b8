"""The SMTP port through which any mail program puts mail into the sandbox's mailboxes."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, Final

from aiosmtpd.smtp import SMTP, Envelope, Session

from bridge.sandbox.tenant import domain_of

if TYPE_CHECKING:
    from bridge.sandbox.calls import CallLog
    from bridge.sandbox.store import Store
    from bridge.sandbox.tenant import Tenant

_SIZE_LIMIT_BYTES: Final = 150 * 1024 * 1024
_LOG = logging.getLogger(__name__)


class _Session(SMTP):
    """One connection. A line may be as long as a mail: what arrives is the sender's business, and kept as it came."""

    line_length_limit = _SIZE_LIMIT_BYTES + 2


class SmtpServer:
    """
    Takes mail for the tenant's mailboxes, byte for byte after dot-unstuffing.

    The answer 250 is given when the mail is in the store for all its recipients; a recipient that does not exist is
    refused at RCPT, as Exchange does.
    """

    def __init__(self, store: Store, tenant: Tenant, log: CallLog, *, server: str) -> None:
        """Put mail into `store`; `server` is the name that the greeting gives."""
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
        """Accept a recipient that has a mailbox."""
        user = self._tenant.user(address)
        if user is not None:
            if user.address not in envelope.rcpt_tos:
                envelope.rcpt_tos.append(user.address)
            return "250 2.1.5 Recipient OK"
        if domain_of(address) in self._tenant.domains():
            return "550 5.1.1 User unknown"
        return "550 5.7.54 SMTP; Unable to relay recipient in non-accepted domain"

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - likewise
        """Answer 250 when the mail is kept for every recipient."""
        with self._log.begin("smtp"):
            await asyncio.to_thread(self._deliver, list(envelope.rcpt_tos), envelope.original_content or b"")
        return "250 2.6.0 Queued mail for delivery"

    async def handle_exception(self, error: Exception) -> str:
        """Answer a failure of our own so that the sender tries again."""
        _LOG.error("SMTP delivery failed: %s", type(error).__name__)
        return "451 4.3.0 Temporary failure"

    def _deliver(self, recipients: list[str], mime: bytes) -> None:
        if len(recipients) == 1:
            self._store.deliver(recipients[0], mime)
            return
        # All or none: the sender repeats the whole mail when it sees no 250.
        with self._store.writing():
            for recipient in recipients:
                self._store.deliver(recipient, mime)


async def listen(server: SmtpServer, socket: Any) -> asyncio.Server:  # noqa: ANN401 - a socket that is bound
    """Serve SMTP on a bound socket."""
    return await asyncio.get_running_loop().create_server(server.session, sock=socket)
