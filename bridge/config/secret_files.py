"""Files that values name: secrets are read, certificates looked at, each with a plain word when that fails."""

from __future__ import annotations

import stat
import typing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bridge.config.given import Given, dotted
from bridge.config.problems import Problem
from bridge.config.shape import named_sections_of, section_of

if TYPE_CHECKING:
    from pydantic import BaseModel

    from bridge.config.toml_file import Key

_DER_SEQUENCE = b"\x30"
"""How a PFX file begins."""


def read_files(given: Given, model: type[BaseModel], tree: dict[str, Any], base: Path, at: Key = ()) -> None:
    """Make paths absolute (relative ones start at the configuration file), and read what `<key>_file` names."""
    for name, info in model.model_fields.items():
        key, value = (*at, name), tree.get(name)
        inner = section_of(info.annotation)
        if inner is not None:
            for index, child in enumerate(value) if isinstance(value, list) else [(None, value)]:
                if isinstance(child, dict):
                    read_files(given, inner, child, base, key if index is None else (*key, index))
            continue
        if isinstance(value, str) and name.endswith("_file"):
            if not value.strip():
                del tree[name]
                continue
            path = Path(value.strip())
            tree[name] = path = path if key not in given.from_file else base / path
            _read_file(given, model, tree, key, path)
    named = named_sections_of(model)
    if named is None:
        return
    for name, child in tree.items():
        if isinstance(child, dict) and name not in model.model_fields:
            read_files(given, named, child, base, (*at, name))


def _read_file(given: Given, model: type[BaseModel], tree: dict[str, Any], key: Key, path: Path) -> None:
    secret = str(key[-1]).removesuffix("_file")
    if secret in model.model_fields and tree.get(secret) not in (None, ""):
        given.complain(key, f"is given beside {secret}", "keep one of the two")
        return
    try:
        content = path.read_bytes()
        text = content.decode("utf-8-sig", errors="strict" if secret in model.model_fields else "replace")
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        if not (isinstance(error, FileNotFoundError) and _may_come_later(key)):
            given.complain(key, f"names {path}, {_why(error)}", "mend the path, or the file", "setting_file_unusable")
        return
    if not text.strip():
        if not _may_come_later(key):
            given.complain(key, f"names {path}, which is empty", "put the value into it", "setting_file_unusable")
        return
    if secret in model.model_fields:
        several = typing.get_origin(model.model_fields[secret].annotation) is tuple
        tree[secret] = text.split() if several else text.strip()
        given.places[*key[:-1], secret] = f"{path}, named by {given.place(key)}"
    elif (wrong := _wrong_content(str(key[-1]), content)) is not None:
        given.complain(key, f"names {path}, which {wrong[0]}", wrong[1], "setting_file_unusable")
        return
    if mode & stat.S_IROTH and (secret in model.model_fields or _holds_key(content)):
        what = f"names {path}, which every user of this machine may read"
        given.warnings.append(Problem(dotted(key), given.place(key), what, f"chmod o-r {path}", "readable_by_everyone"))


def _may_come_later(key: Key) -> bool:
    """A second credential is put beside the first when there is one; its file is watched from the start."""
    return "_next_" in str(key[-1])


def _wrong_content(name: str, content: bytes) -> tuple[str, str] | None:
    """Return what is wrong with the content of a file that is no secret, and the fix; None where it can be right."""
    if name.endswith("key_file"):
        fix = "give the private key as PEM"
        return None if b"PRIVATE KEY-----" in content else ("holds no PEM private key", fix)
    if name.endswith("token_file"):
        fix = "give the file that holds the token (a JWT)"
        return None if content.strip().count(b".") == 2 else ("holds no token", fix)
    if b"-----BEGIN CERTIFICATE-----" in content:
        return None
    if name.startswith("certificate"):
        what = "is neither PEM with a certificate nor PFX"
        return None if content[:1] == _DER_SEQUENCE else (what, "export the certificate with its key as PEM or PFX")
    return "holds no PEM certificate", "convert it to PEM"


def _holds_key(content: bytes) -> bool:
    return b"PRIVATE KEY-----" in content or content[:1] == _DER_SEQUENCE


def _why(error: OSError | ValueError) -> str:
    match error:
        case FileNotFoundError():
            return "which does not exist"
        case PermissionError():
            return "which this user may not read"
        case IsADirectoryError():
            return "which is a directory"
        case OSError():
            return f"which cannot be read ({error.strerror})"
        case UnicodeDecodeError():
            return "which is not text"
        case _:
            return "which is no path"
