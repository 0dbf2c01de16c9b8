"""The configuration that environment variables give: BRIDGE_<SECTION>__<KEY>, BRIDGE_MAILBOXES__<number>__<KEY>."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING

from bridge.config.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from bridge.config.toml_file import Key

PREFIX = "BRIDGE_"
CONFIG_VARIABLE = "BRIDGE_CONFIG"


def read_environment(
    environ: Mapping[str, str], sections: Collection[str]
) -> tuple[dict[Key, object], dict[Key, str], list[Problem]]:
    """
    Return the values by key, the variable that gave each, and what is wrong.

    A whole section, or the list of mailboxes, may be given as JSON; single keys win over it. A BRIDGE_ variable that
    names no section and has no double underscore is somebody else's (Kubernetes sets BRIDGE_PORT and the like for a
    service called bridge), unless it looks like a slip of the pen.
    """
    values: dict[Key, object] = {}
    names: dict[Key, str] = {}
    problems: list[Problem] = []
    for variable in sorted(environ, key=lambda name: (name.count("__"), name)):
        if not variable.upper().startswith(PREFIX) or variable == CONFIG_VARIABLE:
            continue
        key: Key = tuple(int(p) if p.isdigit() else p for p in variable[len(PREFIX) :].lower().split("__"))
        if key[0] not in sections:
            problems += _stranger(variable, str(key[0]), sections, nested=len(key) > 1)
        elif len(key) == 1:
            _take_json(variable, str(key[0]), environ[variable], values, names, problems)
        else:
            values[key], names[key] = environ[variable], variable
    return values, names, problems


def _stranger(variable: str, section: str, sections: Collection[str], *, nested: bool) -> list[Problem]:
    near = difflib.get_close_matches(section, sections, 1, 0.6 if nested else 0.8)
    if not near and not nested:
        return []
    meant = f"did you mean {PREFIX}{near[0].upper()}?" if near else f"sections are {', '.join(sorted(sections))}"
    return [Problem("", variable, f"there is no section {section}", meant)]


def _take_json(
    variable: str, section: str, text: str, values: dict[Key, object], names: dict[Key, str], problems: list[Problem]
) -> None:
    expected: type = list if section == "mailboxes" else dict
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, expected):
        kind = "list" if expected is list else "object"
        single = "BRIDGE_MAILBOXES__0__ALIAS" if expected is list else f"{variable}__<KEY>"
        problems.append(Problem(section, variable, f"is no JSON {kind}", f"write JSON, or set {single} and so on"))
        return
    values[section,], names[section,] = value, variable
