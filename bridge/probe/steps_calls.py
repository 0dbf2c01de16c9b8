"""Guesses about calls as such: who may call, what is refused, cookies. They read nothing of the mailbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.adapters.ews.folder_ids import distinguished, folder_ids
from bridge.adapters.ews.soap import element
from bridge.probe.guesses import Needs, Seen, step

if TYPE_CHECKING:
    from lxml import etree

    from bridge.probe.context import ProbeContext

_TOO_MANY_BYTES = 65 << 20
_OVERRIDE = "X-BackEndOverrideCookie"


def _harmless() -> etree._Element:
    """Return a call that only asks for the id of a folder."""
    shape = element("m:FolderShape", element("t:BaseShape", text="IdOnly"))
    return element("m:GetFolder", shape, folder_ids("m:FolderIds", distinguished("inbox")))


@step(11, "401 without a token has no body and offers Bearer alone", sign_in="oauth")
def no_token(probe: ProbeContext) -> Seen:
    answer = probe.wire.call(_harmless(), signed=False)
    schemes = _schemes(answer.challenges)
    same = answer.status == 401 and schemes == ["Bearer"] and not answer.content
    return Seen(same, f"{answer.status}, body {'empty' if not answer.content else 'there'}, offers {schemes}")


@step(12, "401 on-premises offers NTLM and Basic, not Negotiate", sign_in="password")
def on_premises(probe: ProbeContext) -> Seen:
    answer = probe.wire.call(_harmless(), signed=False)
    schemes = _schemes(answer.challenges)
    return Seen(answer.status == 401 and sorted(schemes) == ["Basic", "NTLM"], f"{answer.status}, offers {schemes}")


def _schemes(challenges: tuple[str, ...]) -> list[str]:
    known = {"basic": "Basic", "bearer": "Bearer", "ntlm": "NTLM", "negotiate": "Negotiate"}
    return [known.get(one.split()[0].lower(), "another") if one.split() else "another" for one in challenges]


@step(19, "an app-only call without impersonation, or without X-AnchorMailbox, is refused", sign_in="oauth")
def headers_left_out(probe: ProbeContext) -> Seen:
    nobody = probe.wire.call(_harmless(), impersonate=False).code
    unanchored = probe.wire.call(_harmless(), anchor=False).code
    same = nobody != "NoError" and unanchored != "NoError"
    return Seen(same, f"without impersonation: {nobody}; without the anchor: {unanchored}")


@step(20, "an unknown operation is the fault ErrorInvalidRequest; with --thorough, too: 65 MB are HTTP 413")
def unknown_operation(probe: ProbeContext) -> Seen:
    answer = probe.wire.call(element("m:BridgeProbe"))
    told = f"HTTP {answer.status} {answer.code}"
    if not probe.thorough:
        return Seen(answer.code == "ErrorInvalidRequest", told)
    large = probe.wire.post(b" " * _TOO_MANY_BYTES).status
    return Seen(answer.code == "ErrorInvalidRequest" and large == 413, f"{told}; 65 MB: HTTP {large}")


@step(43, "X-BackEndOverrideCookie comes only when X-PreferServerAffinity is sent")
def affinity(probe: ProbeContext) -> Seen:
    without = _OVERRIDE in probe.wire.call(_harmless()).headers.get("Set-Cookie", "")
    preferred = probe.wire.call(_harmless(), headers={"X-PreferServerAffinity": "true"})
    asked = _OVERRIDE in preferred.headers.get("Set-Cookie", "")
    words = {True: "set", False: "not set"}
    return Seen(asked and not without, f"without the header: {words[without]}; with it: {words[asked]}")


@step(66, "ExpandDL of a mailbox is ErrorNameResolutionNoMailbox; a folder into itself ErrorMoveCopyFailed",
      needs=Needs.WRITE)  # fmt: skip
def groups_and_circles(probe: ProbeContext) -> Seen:
    mailbox = element("m:Mailbox", element("t:EmailAddress", text=probe.wire.target.address))
    expanded = probe.code(element("m:ExpandDL", mailbox))
    folder = probe.ground.subfolder()
    into = folder_ids("m:ToFolderId", folder)
    moved = probe.code(element("m:MoveFolder", into, folder_ids("m:FolderIds", folder)))
    same = expanded == "ErrorNameResolutionNoMailbox" and moved == "ErrorMoveCopyFailed"
    return Seen(same, f"ExpandDL: {expanded}; MoveFolder: {moved}")
