"""Every code that can stand in `/health`, in words, and what a person does about it."""

from __future__ import annotations

_REASONS: dict[str, tuple[str, str]] = {
    "ok": ("works", ""),
    "starting": ("has not reported yet", ""),
    "standby": ("another worker has it; this one is ready to take over", ""),
    "stalled": ("has shown no sign of life", "it hangs: look at the log for the last call, then restart the worker"),
    "stopping": ("is stopping", ""),
    # wait and try again
    "transient": ("meets trouble that passes", ""),
    "mailbox_throttled": (
        "Exchange asks for fewer calls",
        "it resumes by itself; if it lasts, look who else uses the mailbox",
    ),
    "mailbox_unavailable": (
        "Exchange does not answer, or cannot at the moment",
        "check the network to the EWS host and Exchange's service health",
    ),
    "call_refused": ("Exchange refused a call for a reason that passes", ""),
    "token_unavailable": (
        "Entra gives no token at the moment",
        "check the network to the Entra host and Entra's service health",
    ),
    "broker_unavailable": (
        "there is no connection to RabbitMQ",
        "check that the broker runs, its address, and the network",
    ),
    "broker_blocked": (
        "RabbitMQ takes no publishes (memory or disk alarm)",
        "free memory or disk on the broker: rabbitmqctl status",
    ),
    "publish_refused": ("RabbitMQ refused a message", "look at the queue's length limit and at the broker's log"),
    "publish_unconfirmed": (
        "RabbitMQ does not confirm in time",
        "look whether the quorum queue has its majority of nodes",
    ),
    "publish_unroutable": (
        "no queue wants the mail, so it stays in the inbox",
        "bind a queue to mail.inbound, or run bridge topology apply",
    ),
    "send_outcome_unknown": ("a call of a send got no answer; it is looked for", ""),
    # one message
    "message": ("one message can never succeed", ""),
    "mail_unreadable": (
        "a mail can be read neither as MIME nor by its properties",
        "look at it in the mailbox, folder Bridge Parked; then bridge parked retry",
    ),
    "too_large_for_broker": (
        "a mail is larger than RabbitMQ carries",
        "raise max_message_size there and rabbitmq.largest_body_bytes here, then bridge parked retry",
    ),
    "invalid_request": ("a request breaks its schema or rules", "look at mail.dead for the field and the reason"),
    "refused_by_exchange": ("Exchange will never send a request's mail", "look at mail.dead for Exchange's code"),
    # a person acts
    "operator": ("a person has to act", "look at the log"),
    "credentials_rejected": (
        "the app's credentials are not accepted",
        "check tenant_id, client_id and the secret's value and expiry in Entra; then bridge check",
    ),
    "ews_blocked": (
        "EWS is switched off for the tenant, the app or the mailbox",
        "Exchange administrator: EWSEnabled, EwsAllowedAppIDs and the mailbox's EwsEnabled",
    ),
    "mailbox_not_found": ("Exchange knows no such mailbox", "check the mailbox's address"),
    "mailbox_access_denied": (
        "the app may not open this mailbox, or not do this in it",
        "grant the app its role for this mailbox; a change takes up to two hours",
    ),
    "mailbox_full": (
        "the mailbox, or what it may send in a day, is used up",
        "make room in the mailbox, or wait until the window has passed",
    ),
    "folder_not_found": ("a configured folder does not exist", "create it, or mend folders and after_publish"),
    "removal_impossible": (
        "mails are published but cannot be removed, so reading stopped",
        "give the app the right to move and delete in the mailbox",
    ),
    "parking_stopped": (
        "so many mails could not be read or carried that parking them stopped; they stay in the inbox, others pass",
        "see what they have in common (bridge parked list, the log); it goes on once they can be read, or in an hour",
    ),
    "topology_missing": ("an exchange or queue is missing on RabbitMQ, or differs", "bridge topology apply"),
    "broker_access_refused": (
        "RabbitMQ refuses the login, the virtual host or a right",
        "check the user, its password and its permissions",
    ),
    "queue_taken": (
        "another worker has this queue or mailbox",
        "nothing, as long as that worker works: this one takes over when it ends",
    ),
    "configuration": ("the configuration is wrong", "bridge config show"),
    "unexpected_error": ("an error that nobody foresaw: a bug", "report it with the log line; mail stays where it was"),
    "bridge_error": ("an error without a more exact name", "look at the log"),
}

CODES = frozenset(_REASONS)


def words_for(code: str) -> str:
    """Return what the code means; a code that is not in the table says for itself what it can."""
    return _REASONS.get(code, (code.replace("_", " "), ""))[0]


def hint_for(code: str) -> str:
    """Return what to do about it; empty if nothing."""
    return _REASONS.get(code, ("", ""))[1]
