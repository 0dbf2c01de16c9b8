"""All steps on one mailbox, one after the other, and the cleaning, which comes whatever happened."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bridge.errors import BridgeError
from bridge.probe import (
    steps_assertions,
    steps_associated,
    steps_bodies,
    steps_burst,
    steps_calls,
    steps_clients,
    steps_entra,
    steps_flow,
    steps_forms,
    steps_items,
    steps_mailbox,
    steps_notifications,
    steps_parts,
    steps_personal,
    steps_refusals,
    steps_searches,
    steps_sizes,
    steps_sync,
    steps_together,
    steps_versions,
)
from bridge.probe.by_hand import BY_HAND
from bridge.probe.context import ProbeContext
from bridge.probe.errors import NotCheckable
from bridge.probe.fixture import ProbeFixture
from bridge.probe.guesses import STEPS, Needs, Step
from bridge.probe.report import Report, Result, State
from bridge.probe.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from bridge.probe.token_endpoint import TokenEndpoint
    from bridge.probe.wire import Target

MODULES: Final = (
    steps_entra,
    steps_calls,
    steps_sync,
    steps_notifications,
    steps_items,
    steps_flow,
    steps_burst,
    steps_versions,
    steps_searches,
    steps_sizes,
    steps_clients,
    steps_personal,
    steps_refusals,
    steps_forms,
    steps_associated,
    steps_bodies,
    steps_assertions,
    steps_parts,
    steps_together,
    steps_mailbox,
)
"""Importing them has put their steps on the list."""


@dataclass(frozen=True)
class Wanted:
    """What the person asked for."""

    write: bool = False
    thorough: bool = False
    guesses: Collection[int] = ()
    """These alone; all if there are none."""

    @property
    def mode(self) -> str:
        """The name of what is allowed."""
        kinds = (["writing"] if self.write else ["reading only"]) + (["thorough"] if self.thorough else [])
        return ", ".join(kinds)


def numbers() -> list[int]:
    """Return the numbers of all guesses that are known here."""
    return sorted({*STEPS, *BY_HAND})


def probe(
    target: Target,
    entra: TokenEndpoint | None,
    *,
    alias: str,
    wanted: Wanted,
    announce: Callable[[str], None],
    told: Callable[[Result], None],
) -> Report:
    """
    Return what all wanted steps found; each is told as it ends.

    The probe's folder and mails are removed in the end, also after an interruption, which the report then tells.
    """
    wire = Wire(target)
    ground = ProbeFixture(wire, announce)
    results: list[Result] = []
    interrupted = False
    left: list[str] = []
    probing = ProbeContext(wire, ground, entra, wanted.thorough)
    try:
        try:
            for number in numbers():
                if not wanted.guesses or number in wanted.guesses:
                    result = _result(number, probing, wanted)
                    results.append(result)
                    told(result)
        except KeyboardInterrupt:
            interrupted = True
            announce("interrupted; cleans up first, a second Ctrl-C leaves things where they are")
        finally:
            left = _clean(ground)
            for one in left:
                announce(f"could not remove {one}; look for what is named {ground.name}")
    finally:
        wire.close()
    signed_in = "app" if target.tokens is not None else "name and password"
    return Report(alias, signed_in, wire.server_version, wanted.mode, results, left, interrupted)


def _clean(ground: ProbeFixture) -> list[str]:
    try:
        return ground.clean()
    except KeyboardInterrupt:
        return ["whatever of the folder and the mails was there: cleaning up was interrupted"]
    except BridgeError as error:
        return [f"whatever of the folder and the mails was there ({error.code})"]


def _result(number: int, probing: ProbeContext, wanted: Wanted) -> Result:
    if number in BY_HAND:
        assumes, why = BY_HAND[number]
        return Result(number, assumes, "by hand", State.NOT_CHECKABLE, f"by hand: {why}")
    step = STEPS[number]
    why = _left_out(step, probing, wanted)
    if why:
        return Result(number, step.assumes, step.needs.value, State.NOT_CHECKABLE, why)
    if step.needs is not Needs.READ:
        probing.ground.announce(f"writing: guess {number}, in the probe's own folder: {step.assumes}")
    try:
        seen = step.look(probing)
    except NotCheckable as error:
        return Result(number, step.assumes, step.needs.value, State.NOT_CHECKABLE, str(error))
    except BridgeError as error:
        return Result(
            number, step.assumes, step.needs.value, State.NOT_CHECKABLE, f"no call was possible ({error.code})"
        )
    return Result(number, step.assumes, step.needs.value, State.SAME if seen.same else State.DIFFERS, seen.what)


def _left_out(step: Step, probing: ProbeContext, wanted: Wanted) -> str:
    signed_in = "oauth" if probing.wire.target.tokens is not None else "password"
    if step.sign_in not in {None, signed_in}:
        return "it makes sense with another way to sign in only"
    if step.needs is not Needs.READ and not wanted.write:
        return "left out: it writes, which --write allows"
    if step.needs is Needs.THOROUGH and not wanted.thorough:
        return "left out: it takes a minute or moves many megabytes, which --thorough allows"
    return ""
