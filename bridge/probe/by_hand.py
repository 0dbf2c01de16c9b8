"""The guesses that only a person can check, and why; `docs/sandbox-guesses.md` has the way to do it."""

from __future__ import annotations

from typing import Final

_ADMIN: Final = "an administrator has to change the tenant for it, and back"
_OTHERS: Final = "mail would have to go to somebody else, and the probe sends to the mailbox itself alone"
_OTHER_MAILBOX: Final = "it takes the mailbox of somebody else, too"
_SMTP: Final = "the probe speaks EWS and Entra, not SMTP"
_SIGN_IN: Final = "a user of the tenant would have to give the probe the password"
_HARM: Final = "it would use up what the mailbox needs for its work"

BY_HAND: Final[dict[int, tuple[str, str]]] = {
    8: ("an overload of Entra is 429 AADSTS90055", "it cannot be brought about without harm"),
    9: ("an expired token is 2000002 token_expired", "a token has to grow two hours old first"),
    10: ("without consent the mailboxes that Exchange assigned are open", _ADMIN),
    14: ("an unknown recipient of an own domain makes one notification", _OTHERS),
    15: ("the bounce goes to the From address where that is a mailbox", _OTHERS),
    17: ("mail by SMTP is kept byte for byte, nothing added", _SMTP),
    18: ("an unknown recipient is refused at RCPT", _SMTP),
    31: ("a SendItem without an answer takes no effect minutes later", "it cannot be brought about without harm"),
    33: ("recipients of a day are counted when a mail is accepted", f"ten thousand recipients: {_HARM}"),
    34: ("a mail to more recipients than allowed is accepted and comes back", _ADMIN),
    36: ("a full mailbox refuses what is new with ErrorQuotaExceeded", _ADMIN),
    37: ("mail for a full mailbox is refused in the SMTP dialogue", _SMTP),
    38: ("the twenty-eighth connection is ErrorExceededConnectionCount", f"twenty-eight long calls at once: {_HARM}"),
    39: ("what a batch does not get to is the warning ErrorBatchProcessingStopped",
         "a thousand large mails are needed, which the probe does not make"),
    40: ("a mailbox that moves is ErrorMailboxMoveInProgress item by item", _ADMIN),
    41: ("a changed assignment arrives at one moment", _ADMIN),
    42: ("the policy's 403 has no body and comes after authentication", _ADMIN),
    55: ("lost subscriptions end streams with ErrorMissedNotificationEvents", _ADMIN),
    62: ("LastModifiedName of a mail from outside is the mailbox's owner", "a mail from outside has to come first"),
    72: ("events, attachments and addresses look to Exchange 2007's clients as to those of 2010",
         "the two differ in more places than one look settles"),
    74: ("a token with other roles or scopes is 403 without a body", _ADMIN),
    75: ("the token endpoint looks at user, password, sign-in, scope and consent in this order", _SIGN_IN),
    76: ("a refresh token lasts ninety days from its issue, and any number of uses", _SIGN_IN),
    77: ("a token of a user who is gone is 2000005 invalid_user", _ADMIN),
    78: ("a folder of others is not found without a right, and denied with too little", _ADMIN),
    79: ("a user who may impersonate nobody gets ErrorImpersonateUserDenied", _ADMIN),
    80: ("who is impersonated brings the own grants, also to an app", _ADMIN),
    81: ("an account without a mailbox opens nothing under its own name", _ADMIN),
    82: ("a token counts to the second", "a token has to outlive itself by minutes, after an hour of waiting"),
    83: ("a 503 says how long to wait in seconds, if at all", f"Exchange has to be made to refuse: {_HARM}"),
    84: ("an item that is busy says for how long, but not within another error",
         f"Exchange has to be made to refuse: {_HARM}"),
    90: ("a QueryString finds words where they begin, in subjects, bodies, people, categories and names of attachments",
         "the search index of a real Exchange takes its time to know of a new mail"),
    91: ("actions on mail of a conversation that is still to come are refused",
         "what Exchange would do with them goes on after the probe"),
    92: ("a search that takes too long is ErrorTimeoutExpired", "a mailbox of a million mails is needed"),
    104: ("an invitation that arrives is in its guest's calendar, an answer in the organizer's", _OTHERS),
    105: ("AcceptItem and its like answer the appointment and the request", _OTHERS),
    106: ("a meeting whose only attendee is its organizer cannot be cancelled",
          "what Exchange sends for it could not be told from other mail afterwards"),
    110: ("inbox rules act before a mail is told as arrived", "a rule acts on all mail of the mailbox"),
    111: ("delegates are kept apart from permissions", _OTHER_MAILBOX),
    112: ("others see when people are busy, never with what", _OTHER_MAILBOX),
    117: ("the headers of an answer name the servers that it went through",
          "which of them came from where is for people to see"),
    118: ("an id of a mailbox that is nowhere is ErrorNonExistentMailbox with its guid",
          "an id of another tenant is needed"),
    127: ("a stream goes on when its token expires", "a token has to expire, after an hour of waiting"),
    143: ("an assertion is taken again until it ends, five minutes late or early, however long it lives",
          "the app needs a certificate whose key the probe may use"),
    144: ("a certificate that has not begun is AADSTS1000502", _ADMIN),
    145: ("an app that is switched off is 400 unauthorized_client AADSTS7000112, and its tokens go on", _ADMIN),
    146: ("a federated token is matched by issuer, subject, audience, then by the issuer's keys of the moment", _ADMIN),
    147: ("a secret that is gone is AADSTS7000215, as one that never was", _ADMIN),
    148: ("an app of one cloud is refused in another: AADSTS900382 by secret, 700023 by assertion",
          "an app in another of Microsoft's clouds is needed"),
    149: ("the metadata service says in these words why there is no token", "a machine of Azure is needed"),
    150: ("Graph lists secrets that have ended, and refuses tokens in these words",
          "the app would need the right to read registrations"),
    152: ("a stream that is led to one back end knows no subscriptions of another", _OTHER_MAILBOX),
    158: ("a mail that was moved, or given a property, has the time of that as its LastModifiedTime",
          "a mail has to be a day old first"),
    159: ("a bounce that Exchange makes bears X-MS-Exchange-Organization-AuthAs: Internal", _OTHERS),
    162: ("the copy in Sent Items has a DateTimeReceived that is not earlier than the call that sent it",
          "a draft has to grow an hour old first"),
}  # fmt: skip
"""By number: what the sandbox assumes, and why the probe does not find out."""
