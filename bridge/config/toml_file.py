"""A TOML file with the line of each value."""

from __future__ import annotations

import tomllib
from typing import TYPE_CHECKING

from bridge.config.problems import ConfigurationInvalid, Problem

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Key = tuple[str | int, ...]


def read_toml(path: Path) -> tuple[dict[str, object], dict[Key, int]]:
    """
    Return the file's content, and the line (from 1) on which each value begins.

    Raises:
        ConfigurationInvalid: The file cannot be read, or is no TOML.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise _unreadable(path, "does not exist", "give the right path with --config or BRIDGE_CONFIG") from None
    except IsADirectoryError:
        raise _unreadable(path, "is a directory", "name the file in it") from None
    except PermissionError:
        raise _unreadable(path, "may not be read", "give the user that runs the bridge the right to read it") from None
    except UnicodeDecodeError:
        raise _unreadable(path, "is not UTF-8 text", "save it as UTF-8") from None
    except OSError as error:
        raise _unreadable(path, f"cannot be read ({error.strerror})", "check the path") from None
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _unreadable(path, f"is no TOML: {error}", "mend the syntax; text values stand in quotes") from None
    except (ValueError, RecursionError):  # a number of thousands of digits, lists in lists in lists
        raise _unreadable(path, "holds a value that is too long or too deep", "mend the syntax") from None
    return content, dict(_lines(text))


def _unreadable(path: Path, what: str, fix: str) -> ConfigurationInvalid:
    return ConfigurationInvalid([Problem(f"the configuration file {path}", "", what, fix)])


def _lines(text: str) -> Iterator[tuple[Key, int]]:
    """Yield each value with its line: statement by statement, as many lines as make one that parses."""
    table: Key = ()
    counts: dict[Key, int] = {}
    pending, start = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        start = start if pending else number
        pending += line + "\n"
        try:
            statement = tomllib.loads(pending)
        except tomllib.TOMLDecodeError:
            continue  # a list or a text over several lines
        if pending.lstrip().startswith("["):
            table = _header(statement, counts)
            yield table, start
        else:
            for key in leaves(statement):
                yield table + key, start
        pending = ""


def _header(statement: dict[str, object], counts: dict[Key, int]) -> Key:
    """Return the full key of a [table] or [[list of tables]], with the index of the entry that is being filled."""
    key: Key = ()
    value: object = statement
    while isinstance(value, dict) and value:
        name, value = next(iter(value.items()))
        key += (name,)
        if isinstance(value, list):
            counts[key] = counts.get(key, -1) + 1
            value = {}
        if key in counts:
            key += (counts[key],)
    return key


def leaves(value: object, key: Key = ()) -> Iterator[Key]:
    """Yield the key of everything in a value: tables, their entries, and the tables in lists."""
    if key:
        yield key
    if isinstance(value, dict):
        for name, child in value.items():
            yield from leaves(child, (*key, name))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            if isinstance(child, dict):
                yield from leaves(child, (*key, index))
