"""
Whether a schema may follow a released one without breaking those who hold to the released one.

What the bridge writes (`breaks_readers`): a reader that was built on the old schema must be right about everything new.
So nothing may go, become optional, or hold values that were impossible before. New fields are fine: readers are told
to ignore what they do not know. A new value of a closed set (`enum`, `const`) breaks readers that list all cases; sets
that are meant to grow are no `enum` but name their values in `x-known-values`, and may only grow.

What others write (`breaks_writers`): a request that was right under the old schema must stay right. So no field may go
(unknown ones are refused), become required, or hold less than before.

Both are the same question, asked in opposite directions: is every value of one schema a value of the other? The
comparison knows the keywords that our models produce, and calls a change of any other one a break.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

Schema = dict[str, Any]

# They say nothing about which values are right.
_SILENT = frozenset((
    "$schema", "$id", "$defs", "title", "description", "examples", "default", "format", "contentEncoding",
    "contentMediaType", "x-known-values", "deprecated",
))  # fmt: skip
_COMPARED = frozenset((
    "$ref", "type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "const", "pattern",
    "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems",
))  # fmt: skip
# A changed meaning that a validator would not notice.
_MEANING = ("format", "contentEncoding")


def breaks_readers(old: Schema, new: Schema) -> list[str]:
    """Return what would break a reader of the old schema, one line each."""
    problems = list(_narrower(new, old, new, old, "", gone="was removed"))
    return problems + list(_lost(old, new, old, new, ""))


def breaks_writers(old: Schema, new: Schema) -> list[str]:
    """Return what would make a request wrong that was right under the old schema, one line each."""
    return list(_narrower(old, new, old, new, "", gone="is no longer taken"))


def _narrower(
    given: Schema, taken: Schema, given_root: Schema, taken_root: Schema, at: str, *, gone: str
) -> Iterator[str]:
    """Yield why some value of `given` is no value of `taken`."""
    given, taken = _resolved(given, given_root), _resolved(taken, taken_root)
    where = at or "the payload"
    unknown = {key for key in given.keys() | taken.keys() if key not in _SILENT | _COMPARED}
    for key in sorted(unknown):
        if given.get(key) != taken.get(key):
            yield f"{where}: `{key}` changed, which cannot be judged"
    if "anyOf" in given:
        for branch in given["anyOf"]:
            yield from _narrower(branch, taken, given_root, taken_root, at, gone=gone)
        return
    if "anyOf" in taken:
        attempts = [list(_narrower(given, branch, given_root, taken_root, at, gone=gone)) for branch in taken["anyOf"]]
        if all(attempts):
            yield from min(attempts, key=len)
        return
    yield from _scalar_rules(given, taken, where)
    if "items" in taken and given.get("type") == "array":
        yield from _narrower(given.get("items", {}), taken["items"], given_root, taken_root, f"{at}[]", gone=gone)
    yield from _object_rules(given, taken, given_root, taken_root, at, gone=gone)


def _scalar_rules(given: Schema, taken: Schema, where: str) -> Iterator[str]:
    integer_as_number = given.get("type") == "integer" and taken.get("type") == "number"
    if "type" in taken and given.get("type") != taken["type"] and not integer_as_number:
        yield f"{where}: type {taken['type']} does not take {given.get('type', 'any')}"
        return
    yield from _value_rules(given, taken, where)
    if "pattern" in taken and given.get("pattern") != taken["pattern"]:
        yield f"{where}: the pattern changed"
    for key in ("minimum", "minLength", "minItems"):
        if key in taken and given.get(key, float("-inf")) < taken[key]:
            yield f"{where}: {key} differs"
    for key in ("maximum", "maxLength", "maxItems"):
        if key in taken and given.get(key, float("inf")) > taken[key]:
            yield f"{where}: {key} differs"
    for key in _MEANING:
        if given.get(key) != taken.get(key):
            yield f"{where}: {key} changed"


def _value_rules(given: Schema, taken: Schema, where: str) -> Iterator[str]:
    allowed, values = _values(taken), _values(given)
    if allowed is None:
        return
    if values is None:
        yield f"{where}: a closed set of values became open, or the other way round"
        return
    for value in values:
        if value not in allowed:
            yield f"{where}: the value {value!r} is on one side only"


def _object_rules(
    given: Schema, taken: Schema, given_root: Schema, taken_root: Schema, at: str, *, gone: str
) -> Iterator[str]:
    given_properties, taken_properties = given.get("properties", {}), taken.get("properties", {})
    required = set(given.get("required", ()))
    for name in taken.get("required", ()):
        if name not in required:
            yield f"{at}.{name}: {'may be missing' if name in given_properties else 'is missing'} where it is needed"
    for name, schema in given_properties.items():
        if name in taken_properties:
            yield from _narrower(schema, taken_properties[name], given_root, taken_root, f"{at}.{name}", gone=gone)
        elif taken.get("additionalProperties") is False:
            yield f"{at}.{name}: {gone}"
    if taken.get("additionalProperties") is False and given.get("additionalProperties") is not False:
        yield f"{at or 'the payload'}: unknown fields are no longer taken"


def _lost(old: Schema, new: Schema, old_root: Schema, new_root: Schema, at: str) -> Iterator[str]:
    """Yield the fields and known values of `old` that `new` no longer has, required or not."""
    for before, after in _pairs(_resolved(old, old_root), _resolved(new, new_root), old_root, new_root):
        for name, schema in before.get("properties", {}).items():
            if name not in after.get("properties", {}):
                yield f"{at}.{name}: was removed"
            else:
                yield from _lost(schema, after["properties"][name], old_root, new_root, f"{at}.{name}")
        if "items" in before and "items" in after:
            yield from _lost(before["items"], after["items"], old_root, new_root, f"{at}[]")
        for value in before.get("x-known-values", ()):
            if value not in after.get("x-known-values", ()):
                yield f"{at}: the known value {value!r} was removed"


def _pairs(old: Schema, new: Schema, old_root: Schema, new_root: Schema) -> Iterator[tuple[Schema, Schema]]:
    """Yield the branches that correspond: the only one that is not null, on both sides."""
    yield old, new
    if "anyOf" in old or "anyOf" in new:
        for before in _branches(old, old_root):
            for after in _branches(new, new_root):
                if before.get("type") == after.get("type") == "object":
                    yield before, after


def _branches(schema: Schema, root: Schema) -> list[Schema]:
    return [_resolved(branch, root) for branch in schema.get("anyOf", [schema])]


def _values(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    values: list[Any] | None = schema.get("enum")
    return values


def _resolved(schema: Schema, root: Schema) -> Schema:
    """Follow `#/$defs/...`, keeping what stands beside the reference."""
    while "$ref" in schema:
        target: Schema = root["$defs"][schema["$ref"].removeprefix("#/$defs/")]
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema
