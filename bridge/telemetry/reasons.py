"""
Every code that can stand in `/health` or in what `bridge check` finds, in words, and what a person does about it.

The one table: whoever meets a condition, check or worker, says the same of it. `<client_id>` in a fix is filled in
where it is known.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from bridge.telemetry import reasons_of_access, reasons_of_blobs, reasons_of_broker
from bridge.telemetry.reason_entry import entry

if TYPE_CHECKING:
    from collections.abc import Mapping

_REASONS: dict[str, tuple[str, str]] = {
    "ok": ("works", ""),
    "starting": ("has not reported yet", ""),
    "standby": ("another worker has it; this one is ready to take over", ""),
    "nobody_works": entry(
        "another connection has the mailbox, and nobody works on it",
        "rabbitmqctl list_queues -p VHOST name owner_pid shows which connection holds its lease, and rabbitmqctl "
        "list_connections pid name user whose that is: end that worker or connection; of a broker node that hangs, "
        "restart the node; this worker takes over at once",
    ),
    "holder_unknown": entry(
        "another connection has the mailbox, and no worker is heard to work on it; nothing is seen to be left undone",
        "nothing, if it is a worker of an older release that is being replaced; otherwise bridge check tells whether "
        "workers may announce themselves; to find the connection: rabbitmqctl list_queues -p VHOST name owner_pid, "
        "then rabbitmqctl list_connections pid name user",
    ),
    "stalled": ("has shown no sign of life", "it hangs: look at the log for the last call, then restart the worker"),
    "stopping": ("is stopping", ""),
    # wait and try again
    "transient": ("failed for a reason that passes; it is tried again", ""),
    "mailbox_throttled": (
        "Exchange asks for fewer calls",
        "it resumes by itself; if it lasts, look who else uses the mailbox",
    ),
    "mailbox_unavailable": (
        "Exchange does not answer, or cannot at the moment",
        "check the network to the EWS host and Exchange's service health",
    ),
    "call_refused": ("Exchange refused a call for a reason that passes", ""),
    "stream_refused": (
        "Exchange refuses to send notifications; new mail is found by polling, some seconds later",
        "if a policy or a proxy forbids it on purpose, set ingest.streaming = false",
    ),
    "stream_silent": (
        "Exchange's notifications do not get through; new mail is found by polling, some seconds later",
        "look for a proxy that holds answers back until they are whole, or that ends idle connections",
    ),
    "stream_garbled": (
        "Exchange's notification stream sent something unreadable; new mail is found by polling, some seconds later",
        "look what stands between this machine and Exchange",
    ),
    "token_unavailable": (
        "Entra gives no token at the moment",
        "check the network to the Entra host and Entra's service health",
    ),
    "publish_refused": (
        "RabbitMQ refused a message: a queue that it is routed to has reached its limit, or has no leader",
        "look at the exchange's bindings: one of the queues bound for it is full; consume it, or raise its limit",
    ),
    "publish_unconfirmed": (
        "RabbitMQ does not confirm in time",
        "look whether the quorum queue has its majority of nodes",
    ),
    "publish_unroutable": (
        "no queue wants the mail, so it stays in the inbox",
        "bind a queue to mail.inbound, or run bridge topology apply",
    ),
    "send_outcome_unknown": (
        "Exchange did not answer a call that sends; the bridge looks whether the mail went out",
        "",
    ),
    # one message
    "message": ("one message can never be handled", ""),
    "mail_unreadable": (
        "a mail cannot be read, neither as MIME nor from its properties",
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
    "mailbox_full": (
        "the mailbox, or what it may send in a day, is used up",
        "make room in the mailbox, or wait until the window has passed",
    ),
    "sends_unanswered": (
        "the last calls to send had no usable answer: sending paused, one call is tried now and then",
        "find out what stands between the worker and Exchange; unknown requests in mail.dead may have been sent",
    ),
    "stale_key_accepted": (
        "Exchange sent a draft that was changed under its old change key: nothing else is sent from this mailbox",
        "send us a report with Exchange's version; until then nothing here keeps a mail from going out twice",
    ),
    "ledger_unsearchable": (
        "a search in the mailbox does not find what was just written: nothing is sent from this mailbox",
        "bridge check --send-test; look whether a rule, a retention policy or an add-on moves items of Bridge Sends",
    ),
    "sent_draft_stays": (
        "Exchange says that it sent a mail that still lies in Drafts: sending paused, one mail is tried now and then",
        "look with the Exchange administrator why a mail that was sent does not leave Drafts",
    ),
    "removal_impossible": (
        "mails are published but cannot be removed, so reading stopped",
        "give the app the right to move and delete in the mailbox",
    ),
    "parking_stopped": (
        "so many mails could not be read or carried that parking them stopped; they stay in the inbox, others pass",
        "see what they have in common (bridge parked list, the log); it goes on once they can be read, or in an hour",
    ),
    "published_too_often": (
        "a mail was published 10 times at once or 20 times in an hour, and is still there: it goes slowly, others pass",
        "find what brings it back (after_publish, a rule, a program) or why RabbitMQ did not confirm it (see the log)",
    ),
    "skipped": ("was not tried", ""),
    "configuration_doubtful": ("is probably a mistake", "bridge config show"),
    "proxied": ("is reached through the proxy of the environment", ""),
    "configuration": ("the configuration is wrong", "bridge config show"),
    "setting_missing": ("a setting that is needed is missing or empty", "give it in the file or the environment"),
    "setting_unknown": ("there is no setting of that name", "look at docs/configuration.md"),
    "setting_malformed": ("a setting has an invalid value", "look at docs/configuration.md"),
    "setting_quoted": ("a value includes quotation marks", "take the quotes off"),
    "setting_misplaced": ("two settings have the same value, so one of them is wrong", "copy each from its own place"),
    "setting_file_unusable": (
        "a file that a setting names cannot be read, or holds something else",
        "correct the file or the setting",
    ),
    "readable_by_everyone": ("every user of this machine may read a secret", "chmod o-r FILE"),
    "url_unencrypted": ("a URL is http://, over which secrets and mail would travel in the clear", "write https://"),
    "unexpected_error": ("an unexpected error: a bug", "report it with the log line; mail stays where it was"),
    "bridge_error": ("an error without a more exact name", "look at the log"),
}

_REASONS |= {
    **reasons_of_access.NETWORK,
    **reasons_of_access.ENTRA,
    **reasons_of_access.EXCHANGE,
    **reasons_of_broker.BROKER,
    **reasons_of_blobs.BLOBS,
}
_GENERAL = {**reasons_of_access.GENERAL, **reasons_of_broker.GENERAL, **reasons_of_blobs.GENERAL}

CODES = frozenset(_REASONS)


def words_for(code: str) -> str:
    """Return what the code means; a code that is not in the table says for itself what it can."""
    return _REASONS.get(code, (code.replace("_", " "), ""))[0]


def hint_for(code: str) -> str:
    """Return what to do about it; empty if nothing."""
    return _REASONS.get(code, ("", ""))[1]


def general_of(code: str) -> str:
    """Return the code that says the same less exactly, for readers that know only those; the code itself else."""
    return _GENERAL.get(code, code)


def count_known(codes: Mapping[str, int]) -> dict[str, int]:
    """Return counts by code with those that are not in the table as one: they were written by somebody else."""
    counts = Counter[str]()
    for code, count in codes.items():
        counts[code if code in CODES else "bridge_error"] += count
    return dict(counts)
