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
    ours = {_key(name): name for name in environ if name.startswith(PREFIX) and name != CONFIG_VARIABLE}
    for key, variable in sorted(ours.items(), key=lambda item: (len(item[0]), *map(_by_number, item[0]))):
        if key[0] not in sections:
            problems += _stranger(variable, str(key[0]), sections, nested=len(key) > 1)
        elif len(key) == 1:
            value = _json(environ[variable], list if key[0] == "mailboxes" else dict)
            if value is None:
                single = f"{variable}__0__ALIAS" if key[0] == "mailboxes" else f"{variable}__<KEY>"
                kind = "list" if key[0] == "mailboxes" else "object"
                problems.append(
                    Problem(str(key[0]), variable, f"is no JSON {kind}", f"write JSON, or set {single} ...")
                )
            else:
                values[key], names[key] = value, variable
        else:
            values[key], names[key] = environ[variable], variable
    return values, names, problems


def _key(variable: str) -> Key:
    return tuple(int(p) if p.isdecimal() else p for p in variable.removeprefix(PREFIX).lower().split("__"))


def _by_number(part: str | int) -> tuple[int, str]:
    return (part, "") if isinstance(part, int) else (-1, part)


def _stranger(variable: str, section: str, sections: Collection[str], *, nested: bool) -> list[Problem]:
    near = difflib.get_close_matches(section, sections, 1, 0.6 if nested else 0.8)
    if not near and not nested:
        return []
    meant = f"did you mean {PREFIX}{near[0].upper()}?" if near else f"sections are {', '.join(sorted(sections))}"
    return [Problem("", variable, f"there is no section {section}", meant)]


def _json(text: str, expected: type) -> object | None:
    try:
        value: object = json.loads(text)
    except ValueError:
        return None
    return value if isinstance(value, expected) else None
