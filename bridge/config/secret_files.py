"""Files that values name: secrets are read, certificates looked at, each with a plain word when that fails."""

from __future__ import annotations

import stat
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.config.given import Given, dotted
from bridge.config.problems import Problem
from bridge.config.shape import section_of

if TYPE_CHECKING:
    from pydantic import BaseModel

    from bridge.config.toml_file import Key


def read_files(given: Given, model: type[BaseModel], tree: dict[str, Any], base: Path, at: Key = ()) -> None:
    """Make paths absolute (relative ones start at the configuration file), and read what `<key>_file` names."""
    for name, info in model.model_fields.items():
        key, value = (*at, name), tree.get(name)
        inner = section_of(info.annotation)
        if inner is not None:
            for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if isinstance(child, dict):
                    read_files(given, inner, child, base, key if index is None else (*key, index))
        elif isinstance(value, str) and name.endswith("_file"):
            if not value.strip():
                del tree[name]
                continue
            path = Path(value.strip())
            tree[name] = path = path if key not in given.from_file else base / path
            _read_file(given, model, tree, key, path)


def _read_file(given: Given, model: type[BaseModel], tree: dict[str, Any], key: Key, path: Path) -> None:
    secret = str(key[-1]).removesuffix("_file")
    if secret in model.model_fields and tree.get(secret) not in (None, ""):
        given.complain(key, f"is given beside {secret}", "keep one of the two")
        return
    try:
        text = path.read_text("utf-8-sig")
        mode = path.stat().st_mode
    except (OSError, UnicodeDecodeError) as error:
        given.complain(key, f"names {path}, {_why(error)}", "mend the path, or the file")
        return
    if not text.strip():
        given.complain(key, f"names {path}, which is empty", "put the value into it")
    elif secret not in model.model_fields:
        if "-----BEGIN CERTIFICATE-----" not in text:
            given.complain(key, f"names {path}, which holds no PEM certificate", "convert it to PEM")
    else:
        several = typing.get_origin(model.model_fields[secret].annotation) is tuple
        tree[secret] = text.split() if several else text.strip()
        given.places[*key[:-1], secret] = f"{path}, named by {given.place(key)}"
        if mode & stat.S_IROTH:
            what = f"names {path}, which every user of this machine may read"
            given.warnings.append(Problem(dotted(key), given.place(key), what, f"chmod o-r {path}"))


def _why(error: OSError | UnicodeDecodeError) -> str:
    match error:
        case FileNotFoundError():
            return "which does not exist"
        case PermissionError():
            return "which this user may not read"
        case IsADirectoryError():
            return "which is a directory"
        case OSError():
            return f"which cannot be read ({error.strerror})"
        case _:
            return "which is not text"
