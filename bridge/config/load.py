"""From the file, the environment and the files of secrets to checked settings, knowing where each value came from."""

from __future__ import annotations

import difflib
import stat
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, Union

from pydantic import BaseModel, SecretStr, ValidationError

from bridge.config import rules
from bridge.config.environment import CONFIG_VARIABLE, read_environment
from bridge.config.problems import ConfigurationInvalid, Problem
from bridge.config.settings import Settings
from bridge.config.toml_file import read_toml

if TYPE_CHECKING:
    from bridge.config.toml_file import Key

S = TypeVar("S", bound=BaseModel)

NOT_YET = {
    "entra": {
        name: "is not available yet: this version signs in with a client secret only"
        for name in (
            "certificate_file", "certificate_password", "certificate_password_file", "private_key_file", "thumbprint",
            "federated_token_file", "managed_identity", "managed_identity_client_id", "client_secret_next_file",
            "client_secret_next", "client_secret_expires_at",
        )
    },
    "": {"blobs": "is not available yet: this version carries mail up to the broker's largest body"},
}  # fmt: skip
"""Keys of later versions; who sets one is told so, rather than that it is unknown."""

OTHER_NAMES = {
    "application_id": "client_id", "app_id": "client_id", "directory_id": "tenant_id", "secret": "client_secret",
    "client_secret_value": "client_secret", "email": "address", "email_address": "address", "name": "alias",
    "password": "client_secret", "host": "urls", "hostname": "urls", "certificate": "certificate_file",
}  # fmt: skip
"""What other products call these settings."""


@dataclass(frozen=True)
class Loaded(Generic[S]):
    """Checked settings, and where each value that was given came from."""

    settings: S
    origins: Mapping[str, str]
    """By key as `mailboxes[0].alias`: `file:line` or the variable. A key that is absent has its default."""
    warnings: tuple[Problem, ...] = ()
    path: Path | None = None


@dataclass
class _Given:
    """The values as given, before any check."""

    tree: dict[str, Any] = field(default_factory=dict)
    places: dict[Key, str] = field(default_factory=dict)
    from_file: set[Key] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def place(self, key: Key) -> str:
        """Return where the value came from, or the table that holds it."""
        while key:
            if key in self.places:
                return self.places[key]
            key = key[:-1]
        return ""

    def complain(self, key: Key, what: str, fix: str) -> None:
        """Note that something is wrong with the value of a key."""
        self.problems.append(Problem(dotted(key), self.place(key), what, fix))


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
    given = _Given()
    if path is not None:
        given.tree, lines = read_toml(path)
        given.places = {key: f"{path}:{line}" for key, line in lines.items()}
        given.from_file = set(lines)
    _put_environment_on_top(given, environ)
    _refuse_unknown(given, Settings, given.tree, ())
    tree = {name: value for name, value in given.tree.items() if name in model.model_fields}
    _resolve_files(given, model, tree, (), path.parent if path is not None else Path())
    settings = _validate(given, model, tree, given_anything=path is not None)
    if given.problems or settings is None:
        raise ConfigurationInvalid(_in_order(given.problems))
    if isinstance(settings, Settings):
        given.warnings += _doubts(settings, given)
    origins = {dotted(key): place for key, place in given.places.items()}
    return Loaded(settings, origins, tuple(given.warnings), path)


def dotted(key: Key) -> str:
    """Return a key as people write it: `mailboxes[0].alias`."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _put_environment_on_top(given: _Given, environ: Mapping[str, str]) -> None:
    values, variables, problems = read_environment(environ, set(Settings.model_fields) | set(NOT_YET[""]))
    given.problems += problems
    for key, value in values.items():
        here: Any = given.tree
        for depth, part in enumerate(key[:-1]):
            here = _child(here, part, [] if isinstance(key[depth + 1], int) else {})
            if here is None:
                break
        if here is None or not _set(here, key[-1], value):
            where = "a list: number its entries from 0 without gaps" if isinstance(here, list) else "no such place"
            given.problems.append(Problem(dotted(key), variables[key], "cannot be set there", where))
            continue
        for old in [k for k in given.places if k[: len(key)] == key]:
            del given.places[old]
            given.from_file.discard(old)
        _forget_other_form(given, here, key)
        given.places[key] = variables[key]


def _child(here: Any, part: str | int, empty: Any) -> Any:
    if isinstance(here, dict) and isinstance(part, str):
        return here.setdefault(part, empty)
    if isinstance(here, list) and isinstance(part, int):
        if part == len(here):
            here.append({})
        return here[part] if part < len(here) else None
    return None


def _set(here: Any, part: str | int, value: object) -> bool:
    if isinstance(here, dict) and isinstance(part, str):
        here[part] = value
        return True
    return False


def _forget_other_form(given: _Given, here: dict[str, Any], key: Key) -> None:
    """A secret from the environment replaces one from the file, whichever of its two forms either has."""
    name = str(key[-1])
    other = name.removesuffix("_file") if name.endswith("_file") else name + "_file"
    other_key = (*key[:-1], other)
    if other in here and other_key in given.from_file:
        del here[other]
        given.places.pop(other_key, None)


def _refuse_unknown(given: _Given, model: type[BaseModel], tree: Mapping[str, Any], at: Key) -> None:
    for name, value in tree.items():
        key = (*at, name)
        info = model.model_fields.get(name)
        if info is None:
            given.complain(key, *_unknown(name, model, at))
            continue
        inner = section_of(info.annotation)
        if inner is None:
            continue
        for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
            if isinstance(child, Mapping):
                _refuse_unknown(given, inner, child, key if index is None else (*key, index))


def _unknown(name: str, model: type[BaseModel], at: Key) -> tuple[str, str]:
    section = str(at[0]) if at else ""
    if name in NOT_YET.get(section, {}):
        return NOT_YET[section][name], "remove it"
    if name == "password" and section in {"entra", "ews"}:
        text = "has no place beside OAuth, where the password stays blank: the app signs in with entra.client_secret"
        return text, "remove it"
    known = list(model.model_fields)
    near = difflib.get_close_matches(name, known, 1, 0.7) or [o for o in [OTHER_NAMES.get(name, "")] if o in known]
    if near:
        return "is unknown", f"did you mean {near[0]}?"
    elsewhere = {field_name: path for path, field_name in _all_fields(Settings)}
    far = difflib.get_close_matches(name, elsewhere, 1, 0.8)
    if far:
        return "is unknown here", f"did you mean {elsewhere[far[0]]}?"
    near = difflib.get_close_matches(name, known, 1, 0.0) or known[:1]
    return "is unknown", f"the nearest is {near[0]}; known here: {', '.join(known)}"


def _all_fields(model: type[BaseModel], at: str = "") -> Iterator[tuple[str, str]]:
    for name, info in model.model_fields.items():
        path = f"{at}.{name}" if at else name
        yield path, name
        inner = section_of(info.annotation)
        if inner is not None:
            yield from _all_fields(inner, path)


def section_of(annotation: Any) -> type[BaseModel] | None:
    """Return the section that a field holds, one or a list of them; None for a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in {tuple, Union, types.UnionType}:
        return next((found for arg in typing.get_args(annotation) if (found := section_of(arg))), None)
    return None


def holds_secret(annotation: Any) -> bool:
    """Tell whether the field's type has a `SecretStr` in it."""
    return annotation is SecretStr or any(holds_secret(arg) for arg in typing.get_args(annotation))


def _resolve_files(given: _Given, model: type[BaseModel], tree: dict[str, Any], at: Key, base: Path) -> None:
    """Make paths absolute (relative ones start at the configuration file), and read what `<key>_file` names."""
    for name, info in model.model_fields.items():
        key, value = (*at, name), tree.get(name)
        inner = section_of(info.annotation)
        if inner is not None:
            for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if isinstance(child, dict):
                    _resolve_files(given, inner, child, key if index is None else (*key, index), base)
        elif isinstance(value, str) and name.endswith("_file"):
            if not value.strip():
                del tree[name]
                continue
            path = Path(value.strip())
            tree[name] = path = path if key not in given.from_file else base / path
            _read_file(given, model, tree, key, path)


def _read_file(given: _Given, model: type[BaseModel], tree: dict[str, Any], key: Key, path: Path) -> None:
    secret = str(key[-1]).removesuffix("_file")
    is_secret = secret in model.model_fields
    if is_secret and tree.get(secret) not in (None, ""):
        given.complain(key, f"is given beside {secret}", "keep one of the two")
        return
    try:
        text = path.read_text("utf-8-sig")
        mode = path.stat().st_mode
    except FileNotFoundError:
        given.complain(key, f"names {path}, which does not exist", "create the file, or mend the path")
    except PermissionError:
        given.complain(
            key, f"names {path}, which this user may not read", "give the user that runs the bridge the right"
        )
    except UnicodeDecodeError:
        given.complain(key, f"names {path}, which is not text", "the file must hold plain text")
    except OSError as error:
        given.complain(key, f"names {path}, which cannot be read ({error.strerror})", "mend the path")
    else:
        if not text.strip():
            given.complain(key, f"names {path}, which is empty", "put the value into it")
        elif not is_secret:
            if "-----BEGIN CERTIFICATE-----" not in text:
                given.complain(key, f"names {path}, which holds no PEM certificate", "convert it to PEM")
        else:
            multiple = typing.get_origin(model.model_fields[secret].annotation) is tuple
            tree[secret] = [line.strip() for line in text.splitlines() if line.strip()] if multiple else text.strip()
            given.places[*key[:-1], secret] = f"{path}, named by {given.place(key)}"
            if mode & (stat.S_IRWXO & ~stat.S_IXOTH):
                text = f"names {path}, which every user of this machine may read"
                given.warnings.append(Problem(dotted(key), given.place(key), text, f"chmod 600 {path}"))


def _validate(given: _Given, model: type[S], tree: dict[str, Any], *, given_anything: bool) -> S | None:
    complained = {problem.key for problem in given.problems}
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        for detail in error.errors(include_url=False, include_input=False):
            for key, what, fix in _told(detail, model):
                # A secret whose file could not be read is missing as well; one complaint is enough.
                if {dotted(key), dotted(key) + "_file"} & complained or detail["type"] == "extra_forbidden":
                    continue
                given.complain(key, what, fix)
        if not given_anything and given.problems:
            given.problems.append(Problem("", "", "no configuration file was given", "--config FILE or BRIDGE_CONFIG"))
        return None


def _told(detail: Any, model: type[BaseModel]) -> Iterator[tuple[Key, str, str]]:
    key: Key = tuple(detail["loc"])
    context = detail.get("ctx", {})
    if detail["type"] == "bridge":
        for inner, what, fix in context["problems"]:
            parts = tuple(int(p) if p.isdigit() else p for p in inner.split(".") if p)
            yield key + parts, what, fix
    elif detail["type"] == "missing":
        yield key, "is missing", f"set it in the file, or as {variable_of(key)}"
    else:
        key = tuple(part for part in key if not (isinstance(part, str) and _is_type_tag(part)))
        message = str(detail["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")
        yield (
            key,
            f"is wrong: it should be {message}" if "should be" in detail["msg"] else f"is wrong: {message}",
            _default(key, model),
        )


def _is_type_tag(part: str) -> bool:
    """Pydantic names the branch of a union in an error's location."""
    return part.startswith(("literal[", "constrained-", "function-")) or part in {"int", "float", "str", "bool"}


def _default(key: Key, model: type[BaseModel]) -> str:
    current: type[BaseModel] | None = model
    info = None
    for part in (p for p in key if isinstance(p, str)):
        info = current.model_fields.get(part) if current is not None else None
        current = section_of(info.annotation) if info is not None else None
    if info is None or info.is_required() or info.default is None or isinstance(info.default, BaseModel):
        return "mend the value"
    return f"mend the value, or leave it out for the default ({info.default})"


def variable_of(key: Key) -> str:
    """Return the environment variable that sets a key."""
    return "BRIDGE_" + "__".join(str(part).upper() for part in key)


def _in_order(problems: list[Problem]) -> list[Problem]:
    """By place in the file, each once; the order in which a person would mend them."""

    def order(problem: Problem) -> tuple[str, int]:
        path, _, line = problem.place.rpartition(":")
        return (path, int(line)) if line.isdigit() else (problem.place or "~", 0)

    return sorted(dict.fromkeys(problems), key=order)


def _doubts(settings: Settings, given: _Given) -> Iterator[Problem]:
    """What may be right, but rarely is."""
    entra = settings.entra
    if entra is not None and entra.client_secret is not None and rules.is_guid(entra.client_secret.get_secret_value()):
        key: Key = ("entra", "client_secret")
        text = "has the form of an id: Entra shows a secret's ID beside its value, and only the value works"
        yield Problem(
            dotted(key), given.place(key), text, "copy the Value; Entra shows it once, when the secret is made"
        )
