"""
Every error raised on purpose, sorted by what happens next.

`code` is short and fixed: the only text of an error that becomes a metric label, an event's code or a reason in
`/health`. Messages never carry content of a mail, an address, a token or a secret.

The class says what happens next, the code says why, as exactly as is known: an adapter that knows more than the class
does gives a code of its own out of the closed set of `bridge.telemetry.reasons`.
"""

from __future__ import annotations


class BridgeError(Exception):
    """An error with a meaning to the bridge. Anything else that is raised is a bug."""

    code: str = "bridge_error"

    def __init__(self, detail: str = "", *, code: str | None = None) -> None:
        if code is not None:
            self.code = code
        super().__init__(detail or self.code)
        self.detail = detail


# What happens next: wait, then try the same again.


class TransientError(BridgeError):
    """Nothing is wrong with the message: wait, then try the same one again."""

    code = "transient"

    def __init__(self, detail: str = "", *, retry_after_seconds: float | None = None, code: str | None = None) -> None:
        super().__init__(detail, code=code)
        self.retry_after_seconds = retry_after_seconds


class MailboxThrottled(TransientError):
    """Exchange asks for less; it often says for how long."""

    code = "mailbox_throttled"


class ThrottledInFront(MailboxThrottled):
    """Less is asked for by what answered in Exchange's place, perhaps: the call may have been made all the same."""


class MailboxUnavailable(TransientError):
    """Exchange did not answer, or said that it cannot at the moment. A call that changes something may have worked."""

    code = "mailbox_unavailable"


class CallRefused(TransientError):
    """Exchange refused one call before doing anything, for a reason that passes (a conflict, a stale change key)."""

    code = "call_refused"


class ItemChanged(CallRefused):
    """Exchange refused one call for the change key alone: the item is not as it was when that key was told."""


class SendTooLate(CallRefused):
    """The time in which a mail could be sent was over when its call was about to go out: it was not made."""


class TokenUnavailable(TransientError):
    """Entra gives no token at the moment."""

    code = "token_unavailable"


class BrokerUnavailable(TransientError):
    """No connection to the broker; whatever was unconfirmed may or may not be there."""

    code = "broker_unavailable"


class BrokerBlocked(TransientError):
    """The broker takes no publishes at the moment (memory or disk alarm)."""

    code = "broker_blocked"


class PublishRefused(TransientError):
    """The broker answered nack: it does not hold the message (a queue may)."""

    code = "publish_refused"


class PublishUnconfirmed(TransientError):
    """No confirm came in time. The broker may hold the message or not: publish again under the same id."""

    code = "publish_unconfirmed"


class PublishUnroutable(TransientError):
    """No queue wanted the message; the broker does not hold it."""

    code = "publish_unroutable"


class SendOutcomeUnknown(TransientError):
    """A call of the send protocol went out and no answer came: it may have worked. Look before doing anything else."""

    code = "send_outcome_unknown"


class BlobStoreUnavailable(TransientError):
    """The blob store does not answer, or not in time, or gave back other bytes than it was given."""

    code = "blob_store_unavailable"


# What happens next: this message is set aside with its reason, the next one is taken.


class MessageError(BridgeError):
    """This message can never succeed: park it with its reason and go on."""

    code = "message"


class MailUnreadable(MessageError):
    """Exchange can neither convert this mail nor give its properties."""

    code = "mail_unreadable"


class MessageTooLarge(MessageError):
    """The payload is larger than the broker carries."""

    code = "too_large_for_broker"


class TooLargeForTransport(MessageError):
    """Exchange does not take a mail of this size, in any number of calls."""

    code = "too_large_for_transport"


class RequestInvalid(MessageError):
    """A request breaks its schema or its rules; `field` says where, never with the value."""

    code = "invalid_request"

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}" if field else reason)
        self.field = field
        self.reason = reason


class SendRefused(MessageError):
    """Exchange will never send this mail; `exchange_code` is Exchange's own response code."""

    code = "refused_by_exchange"

    def __init__(self, exchange_code: str) -> None:
        super().__init__(exchange_code)
        self.exchange_code = exchange_code


class BlobMissing(MessageError):
    """There is no blob where a request says."""

    code = "blob_missing"


class BlobChanged(MessageError):
    """A blob has another size or other bytes than a request says."""

    code = "blob_changed"


class BlobRefused(MessageError):
    """A request names something that is no blob of the configured store."""

    code = "blob_refused"


# What happens next: the mailbox (or the worker) pauses, says so, and tries again slowly.


class OperatorError(BridgeError):
    """No mail of this mailbox can pass until a person acts: pause it, say so, try again slowly."""

    code = "operator"

    def __init__(self, detail: str = "", *, code: str | None = None, retry_after_seconds: float | None = None) -> None:
        super().__init__(detail, code=code)
        self.retry_after_seconds = retry_after_seconds
        """Where to try again costs nobody anything: after how long, if that is sooner."""


class CredentialsRejected(OperatorError):
    """Entra or Exchange does not accept the app's credentials."""

    code = "credentials_rejected"


class CallNotPossible(OperatorError):
    """Exchange refuses a call of the bridge for good: the server cannot do it, or the bridge asks wrongly."""

    code = "ews_call_refused"


class EwsBlocked(OperatorError):
    """EWS is switched off for the tenant, the app or the mailbox (403 with X-EWS-Policy-Reason)."""

    code = "ews_blocked"


class MailboxNotFound(OperatorError):
    """Exchange knows no such mailbox."""

    code = "mailbox_not_found"


class MailboxAccessDenied(OperatorError):
    """The app may not open this mailbox, or may not do this in it."""

    code = "mailbox_access_denied"


class MailboxNotProved(OperatorError):
    """The server does not show that what it opens is the mailbox of the configured address."""

    code = "mailbox_not_proved"


class MailboxConfiguredTwice(OperatorError):
    """Two configured mailboxes are one and the same: this one is left alone."""

    code = "mailbox_configured_twice"


class MailboxFull(OperatorError):
    """The mailbox or its send quota is used up."""

    code = "mailbox_full"


class FolderNotFound(OperatorError):
    """A configured folder does not exist in the mailbox."""

    code = "folder_not_found"


class SendsUnanswered(OperatorError):
    """Several calls to send, one after the other, had no usable answer: nobody knows which mails went out."""

    code = "sends_unanswered"


class FoldersConflict(OperatorError):
    """A configured folder is one that mails are moved to, that no mail arrives in, or that is named twice."""

    code = "folders_conflict"


class StaleKeyAccepted(OperatorError):
    """Exchange sent a draft with a change key from before it was changed: no draft can be kept from being sent."""

    code = "stale_key_accepted"


class LedgerUnsearchable(OperatorError):
    """A search does not find what was just written in the mailbox: nothing there tells what was sent before."""

    code = "ledger_unsearchable"


class SentDraftStays(OperatorError):
    """Exchange says that it sent a draft, and the draft lies in Drafts as if it had not been sent."""

    code = "sent_draft_stays"


class RemovalImpossible(OperatorError):
    """Mails are published but cannot be removed: reading more would repeat them for ever."""

    code = "removal_impossible"


class ParkingStopped(OperatorError):
    """More mails than the limit were about to be parked within the limit's time: rather a bug or a sick server."""

    code = "parking_stopped"


class PublishedTooOften(OperatorError):
    """A mail was published again and again: whatever brings it back, it stays where it is for now."""

    code = "published_too_often"


class TopologyMissing(OperatorError):
    """An amqp_exchange or queue is missing or differs; `bridge topology apply` makes it."""

    code = "topology_missing"


class BrokerAccessRefused(OperatorError):
    """The broker refuses the login, the virtual host or a right."""

    code = "broker_access_refused"


class QueueTaken(OperatorError):
    """Another consumer holds the queue exclusively."""

    code = "queue_taken"


class BlobStoreUnusable(OperatorError):
    """The blob store is full, read-only, closed to the bridge, or not there."""

    code = "blob_store_unusable"


class ConfigurationError(OperatorError):
    """The configuration is wrong: which key, where it came from, and what to do."""

    code = "configuration"
