"""From the file, the environment and the files of secrets to checked settings, knowing where each value came from."""

from __future__ import annotations

import itertools
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from bridge.config.doubts import doubts
from bridge.config.environment import CONFIG_VARIABLE, read_environment
from bridge.config.given import Given, dotted, variable_of
from bridge.config.problems import ConfigurationInvalid, Problem
from bridge.config.secret_files import read_files
from bridge.config.settings import ClientSettings, Settings
from bridge.config.shape import named_sections_of, section_of
from bridge.config.toml_file import leaves, read_toml
from bridge.config.unknown_keys import refuse_unknown
from bridge.config.workload_identity import fill_from_kubernetes

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.config.toml_file import Key

S = TypeVar("S", bound=BaseModel)


@dataclass(frozen=True)
class Loaded(Generic[S]):
    """Checked settings, and where each value that was given came from."""

    settings: S
    origins: Mapping[str, str]
    """By key as `mailboxes[0].alias`: `file:line` or the variable. A key that is absent has its default."""
    warnings: tuple[Problem, ...] = ()
    path: Path | None = None


@typing.overload
def load(path: Path | None, environ: Mapping[str, str]) -> Loaded[Settings]: ...
@typing.overload
def load(path: Path | None, environ: Mapping[str, str], model: type[S]) -> Loaded[S]: ...
def load(path: Path | None, environ: Mapping[str, str], model: type[BaseModel] = Settings) -> Loaded[Any]:
    """
    Return the settings from the file (`path`, or what BRIDGE_CONFIG names) with the environment on top.

    `model` may be a smaller one with some of the sections (`ClientSettings`); the others are then not looked at, but
    unknown keys are refused everywhere.

    Raises:
        ConfigurationInvalid: With every problem found.
    """
    if path is None and environ.get(CONFIG_VARIABLE, "").strip():
        path = Path(environ[CONFIG_VARIABLE].strip())
    given = Given()
    if path is not None:
        given.tree, lines = read_toml(path)
        given.places = {key: f"{path}:{line}" for key, line in lines.items()}
        given.from_file = set(lines)
    _put_environment_on_top(given, environ)
    fill_from_kubernetes(given, environ)
    refuse_unknown(given, Settings, given.tree)
    left_out = model.leaves_out(given.tree) if issubclass(model, ClientSettings) else ()
    tree = {name: value for name, value in given.tree.items() if name in model.model_fields and name not in left_out}
    read_files(given, model, tree, path.parent if path is not None else Path())
    settings = _validate(given, model, tree, has_file=path is not None)
    if given.problems or settings is None:
        raise ConfigurationInvalid(_in_order(given.problems))
    if isinstance(settings, Settings):
        given.warnings += doubts(settings, given, path)
    origins = {dotted(key): place for key, place in given.places.items()}
    return Loaded(settings, origins, tuple(given.warnings), path)


def _put_environment_on_top(given: Given, environ: Mapping[str, str]) -> None:
    values, variables, problems = read_environment(environ, set(Settings.model_fields))
    given.problems += problems
    for key, value in values.items():
        table = _table(given.tree, key)
        if table is None:
            fix = "number the mailboxes from 0, without a gap"
            given.problems.append(Problem(dotted(key), variables[key], "has no place there", fix))
            continue
        table[str(key[-1])] = value
        for old in [k for k in given.places if k[: len(key)] == key]:
            del given.places[old]
            given.from_file.discard(old)
        _forget_other_form(given, table, key)
        given.places |= dict.fromkeys(leaves(value, key), variables[key])


def _table(tree: dict[str, Any], key: Key) -> dict[str, Any] | None:
    """Return the table that holds the key, made where it is missing; None where the file has something else there."""
    here: object = tree
    for part, following in itertools.pairwise(key):
        if isinstance(here, dict) and isinstance(part, str):
            here = here.setdefault(part, [] if isinstance(following, int) else {})
        elif isinstance(here, list) and isinstance(part, int) and part <= len(here):
            if part == len(here):
                here.append({})
            here = here[part]
        else:
            return None
    return here if isinstance(here, dict) and isinstance(key[-1], str) else None


def _forget_other_form(given: Given, here: dict[str, Any], key: Key) -> None:
    """A secret from the environment replaces one from the file, whichever of its two forms either has."""
    name = str(key[-1])
    other = name.removesuffix("_file") if name.endswith("_file") else name + "_file"
    other_key = (*key[:-1], other)
    if other in here and other_key in given.from_file:
        del here[other]
        given.places.pop(other_key, None)


def _validate(given: Given, model: type[S], tree: dict[str, Any], *, has_file: bool) -> S | None:
    complained = {problem.key for problem in given.problems}
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        told = _told(error, model)
        # Who gives the mailboxes by variables means to do without a file.
        without = not has_file and "mailboxes" not in given.tree
        if without and any(code == "setting_missing" for _, _, code in told.values()):
            what = "no configuration file was given" + (", and the variables are not enough" if given.tree else "")
            given.problems.append(Problem("", "", what, "--config FILE or BRIDGE_CONFIG"))
            if not given.tree:
                return None
        for key, (what, fix, code) in told.items():
            # A secret whose file could not be read is missing as well; one complaint is enough.
            if not {dotted(key), dotted(key) + "_file"} & complained:
                given.complain(key, what, fix, code)
        return None


def _told(error: ValidationError, model: type[BaseModel]) -> dict[Key, tuple[str, str, str]]:
    """Return what is wrong, the fix and the code, by key; never with a value in it."""
    told: dict[Key, tuple[str, str, str]] = {}
    expected: dict[Key, list[str]] = {}
    for detail in error.errors(include_url=False, include_input=False):
        key: Key = tuple(p for p in detail["loc"] if not (isinstance(p, str) and _is_type_tag(p)))
        if detail["type"] == "bridge":
            for inner, what, fix, code in detail["ctx"]["problems"]:
                parts = tuple(int(p) if p.isdigit() else p for p in inner.split(".") if p)
                told[key + parts] = (what, fix, code)
        elif (known := _known(detail["type"], key)) is not None:
            told[key] = known
        elif detail["type"] != "extra_forbidden":  # told already, with the nearest name
            message = detail["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
            expected.setdefault(key, []).append(message.partition(", unable to parse")[0])
    for key, messages in expected.items():
        # A union names what each of its branches wants.
        told[key] = (f"is wrong, it should be {' or '.join(messages)}", _default(key, model), "setting_malformed")
    # Of a list pydantic counts only the entries that are right: empty is told where no entry has a complaint.
    return {
        key: words
        for key, words in told.items()
        if words != _EMPTY or not any(other != key and other[: len(key)] == key for other in told)
    }


_EMPTY = ("is empty", "give at least one", "setting_missing")


def _known(kind: str, key: Key) -> tuple[str, str, str] | None:
    """Return plain words for what pydantic words for programmers."""
    if kind == "missing" and key == ("rabbitmq",):
        return "is missing", "add the table [rabbitmq] with urls, or set BRIDGE_RABBITMQ__URLS", "setting_missing"
    if kind == "missing":
        return "is missing", f"set it in the file, or as {variable_of(key)}", "setting_missing"
    if kind == "too_short":
        return _EMPTY
    if kind in {"model_type", "model_attributes_type"}:
        return "is no table", f"write it as [{dotted(key)}], with its keys below", "setting_malformed"
    if kind == "tuple_type" and key == ("mailboxes",):
        fix = "write [[mailboxes]], with double brackets, before each mailbox"
        return "is no list of tables", fix, "setting_malformed"
    return None


def _is_type_tag(part: str) -> bool:
    """Pydantic names the branch of a union in an error's location."""
    return part.startswith(("literal[", "constrained-", "function-")) or part in {"int", "float", "str", "bool"}


def _default(key: Key, model: type[BaseModel]) -> str:
    current: type[BaseModel] | None = model
    info = None
    for part in (p for p in key if isinstance(p, str)):
        info = current.model_fields.get(part) if current is not None else None
        if info is None and current is not None:
            current = named_sections_of(current)
            continue
        current = section_of(info.annotation) if info is not None else None
    if info is None or not isinstance(info.default, str | int | float):
        return "mend the value"
    return f"mend the value, or leave it out for the default ({info.default})"


def _in_order(problems: list[Problem]) -> list[Problem]:
    """By place in the file, each once; the order in which a person would mend them."""

    def order(problem: Problem) -> tuple[str, int]:
        if not problem.key:
            return "", 0  # the configuration as a whole comes first
        path, _, line = problem.place.rpartition(":")
        return (path, int(line)) if line.isdigit() else (problem.place or "~", 0)

    return sorted(dict.fromkeys(problems), key=order)
