"""Which fields of a section are sections themselves, and which hold secrets."""

from __future__ import annotations

import types
import typing
from typing import Union

from pydantic import BaseModel, SecretStr


def section_of(annotation: object) -> type[BaseModel] | None:
    """Return the section that a field holds, one or a list of them; None for a plain value."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in {tuple, Union, types.UnionType}:
        return next((found for arg in typing.get_args(annotation) if (found := section_of(arg))), None)
    return None


def named_sections_of(model: type[BaseModel]) -> type[BaseModel] | None:
    """Return the section that tables of free names below this one are, None where there may be none."""
    named = getattr(model, "named_sections", None)
    return named if isinstance(named, type) and issubclass(named, BaseModel) else None


def holds_secret(annotation: object) -> bool:
    """Return whether the field's type has a `SecretStr` in it."""
    return annotation is SecretStr or any(holds_secret(arg) for arg in typing.get_args(annotation))
