"""What kind of mail it is: what a consumer may want to route by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

if TYPE_CHECKING:
    from bridge.mime.parsed import KindInputs

Kind = Literal["mail", "auto_reply", "bounce", "receipt", "meeting", "protected"]
KINDS: tuple[Kind, ...] = get_args(Kind)

_BOUNCE_ACTIONS = frozenset(("failed", "delayed", ""))

# Calendar methods that ask or answer; PUBLISH only shows an appointment (RFC 5546, 1.4).
_MEETING_METHODS = frozenset(("request", "reply", "cancel", "counter", "declinecounter", "add", "refresh"))


def kind_of(inputs: KindInputs, item_class: str = "") -> Kind:
    """
    Return the kind, the first that applies: bounce, receipt, meeting, auto_reply, protected, mail.

    - `bounce`: not delivered, or not yet (`delayed`); RFC 3464, class REPORT.IPM.*.NDR, or told from the text.
    - `receipt`: delivered or read (RFC 3464 with other actions, RFC 8098), class REPORT.IPM.*.DR, .IPNRN, .IPNNRN.
    - `meeting`: a calendar part that asks, answers or cancels (RFC 5546), class IPM.Schedule.Meeting.*.
    - `auto_reply`: made by a machine in answer to a mail (RFC 3834), class IPM.Note.Rules.*Template.*. What a
      machine sends of its own accord is `mail`: requests of other systems come that way.
    - `protected`: cannot be read without a key (S/MIME that is opaque, PGP, rights management).
    """
    kind = _kind_of_class(item_class.lower())
    if kind in {"bounce", "receipt"}:
        return kind
    report = inputs.report
    if report is not None:
        if report.kind == "disposition":
            return "receipt"
        # One refused recipient among ten makes it a bounce.
        actions = {recipient.action for recipient in report.recipients} or {""}
        return "bounce" if actions & _BOUNCE_ACTIONS else "receipt"
    if kind is not None:
        return kind
    if inputs.calendar_method in _MEETING_METHODS:
        return "meeting"
    if inputs.auto_reply:
        return "auto_reply"
    return "protected" if inputs.protected else "mail"


def _kind_of_class(item_class: str) -> Kind | None:
    """Return what Exchange's message class says, if it says enough."""
    if item_class.startswith("report."):
        if item_class.endswith((".ndr", ".delayed")):
            return "bounce"
        if item_class.endswith((".dr", ".ipnrn", ".ipnnrn", ".expanded.dr", ".relayed.dr")):
            return "receipt"
    if item_class.startswith("ipm.schedule.meeting"):
        return "meeting"
    if item_class.startswith(("ipm.note.rules.oof", "ipm.note.rules.reply")):
        return "auto_reply"
    # IPM.Note.SMIME.MultipartSigned is clear-signed and readable.
    if item_class in {"ipm.note.smime", "ipm.note.secure", "ipm.note.rpmsg.microsoft.voicemail"}:
        return "protected"
    return None
