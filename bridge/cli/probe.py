"""`bridge probe-exchange`: whose mailbox may be probed, and how the report is told."""

from __future__ import annotations

import contextlib
import json
import signal
from typing import TYPE_CHECKING, Final

from bridge.adapters.entra.factory import entra_app, secret_reader
from bridge.adapters.ews.folder_ids import distinguished, folder_ids
from bridge.adapters.ews.soap import T, element
from bridge.bootstrap.exchange import entra_tokens
from bridge.cli.exits import Exit, answer, say
from bridge.config.settings import ExchangeSettings, MailboxSettings
from bridge.probe import private
from bridge.probe.errors import NotCheckable
from bridge.probe.report import State
from bridge.probe.run import Wanted, numbers, probe
from bridge.probe.token_endpoint import TokenEndpoint
from bridge.probe.wire import Target, Wire

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.probe.report import Report, Result

MOST_MAILS: Final = 100
"""A test mailbox has no more in its inbox."""
UNCONFIGURED: Final = "not configured"


def probe_exchange(
    settings: ExchangeSettings,
    mailbox: str | None,
    *,
    write: bool,
    thorough: bool,
    guesses: Sequence[int],
    sure: bool,
    as_json: bool,
) -> int:
    """Probe a mailbox, tell each finding as it comes, and return the exit code."""
    chosen = _choose(settings, mailbox)
    if chosen is None:
        return Exit.USAGE
    unknown = sorted(set(guesses) - set(numbers()))
    if unknown:
        say(f"there is no guess {unknown[0]}; they are listed in docs/sandbox-guesses.md")
        return Exit.USAGE
    target = _target(settings, chosen)
    try:
        waiting = _mails_in_inbox(target)
    except NotCheckable as error:
        say(f"mailbox {chosen.alias}: cannot be opened ({error}); bridge check says more")
        return Exit.OUTSIDE
    if waiting > MOST_MAILS and not sure:
        say(f"mailbox {chosen.alias}: {waiting} mails in the inbox, so it is no test mailbox; --yes probes it anyway")
        return Exit.USAGE
    entra, app = None, settings.app(chosen)
    if app is not None and (app.client_secret is not None or app.client_secret_file is not None):
        entra = TokenEndpoint(entra_app(app), secret_reader(app))

    def told(result: Result) -> None:
        (say if as_json else answer)(result.as_line())

    # They clean up as Ctrl-C does.
    before = {number: signal.signal(number, signal.default_int_handler) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        report = probe(
            target,
            entra,
            alias=chosen.alias,
            wanted=Wanted(write, thorough, frozenset(guesses)),
            announce=_say_if_heard,
            told=told,
        )
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if entra is not None:
            entra.close()
    return _print_report(report, as_json=as_json)


def _say_if_heard(text: str) -> None:
    """Say something that must not keep the cleaning from going on where the terminal has gone away."""
    with contextlib.suppress(OSError):
        say(text)


def _print_report(report: Report, *, as_json: bool) -> int:
    if as_json:
        answer(json.dumps(report.as_fields(), indent=2))
    else:
        answer(report.summary())
    if report.interrupted:
        return Exit.INTERRUPTED
    return Exit.NO if report.count(State.DIFFERS) or report.left else Exit.OK


def _choose(settings: ExchangeSettings, name: str | None) -> MailboxSettings | None:
    """Return the mailbox that is meant: one of the configuration by its alias, any other by its address."""
    if name is None:
        say("name the mailbox to probe: a test mailbox by its address, or one of the configuration by its alias")
        return None
    found = settings.mailbox(name)
    if found is not None:
        say(f"mailbox {found.alias} is one that the workers use: stop them first, or they take the probe's mails")
        return found
    if "@" not in name:
        aliases = ", ".join(one.alias for one in settings.mailboxes) or "which has none"
        say(f"there is no mailbox of that alias in the configuration ({aliases}), and it is no address")
        return None
    same = next((one for one in settings.mailboxes if one.address.lower() == name.lower()), None)
    if same is not None:
        say(f"that is the mailbox {same.alias} of the configuration, which workers use: if it is meant, name its alias")
        return None
    if settings.ews.auth != "oauth":
        say("a mailbox that signs in with a password has to be in the configuration; name its alias")
        return None
    chosen = MailboxSettings(alias=UNCONFIGURED.replace(" ", "-"), address=name)
    if settings.app(chosen) is None:
        say("[entra] itself is no app: put the mailbox into the configuration, with its app, and name its alias")
        return None
    return chosen


def _target(settings: ExchangeSettings, mailbox: MailboxSettings) -> Target:
    app = settings.app(mailbox)
    password = mailbox.password.get_secret_value() if mailbox.password is not None else ""
    return Target(
        url=settings.ews_url(mailbox),
        address=mailbox.address,
        ca_file=str(settings.ews.ca_file) if settings.ews.ca_file else None,
        timeout_seconds=settings.ews.call_timeout_seconds,
        tokens=entra_tokens(app) if app is not None else None,
        login=None if app is not None else (settings.ews.auth, mailbox.username or "", password),
    )


def _mails_in_inbox(target: Target) -> int:
    wire = Wire(target)
    try:
        shape = element(
            "m:FolderShape",
            element("t:BaseShape", text="IdOnly"),
            element("t:AdditionalProperties", element("t:FieldURI", FieldURI="folder:TotalCount")),
        )
        found = wire.call(element("m:GetFolder", shape, folder_ids("m:FolderIds", distinguished("inbox"))))
        count = private.number(found.tree.findtext(f".//{T}TotalCount") if found.tree is not None else None)
        if found.code != "NoError" or not count.isdecimal():
            raise NotCheckable(found.code)
        return int(count)
    finally:
        wire.close()
