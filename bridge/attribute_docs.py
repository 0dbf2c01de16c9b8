"""
What the string below an attribute of a model says of it, for what is generated from the models.

Pydantic can put it into each field by itself, by reading and parsing the source of every model when that is imported:
at each start of each worker, which never looks at it. Here it is read when a schema or a table is made.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from typing import TYPE_CHECKING, Any

from pydantic.json_schema import GenerateJsonSchema

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic.json_schema import JsonSchemaValue
    from pydantic_core import core_schema


def attribute_docs(model: type[BaseModel]) -> dict[str, str]:
    """Return the docstring of each field that has one, by its name; those of the bases are inherited."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if hasattr(base, "model_fields") and base.__module__.startswith("bridge."):
            found |= _of_class(base)
    return {name: text for name, text in found.items() if name in model.model_fields}


def _of_class(model: type) -> dict[str, str]:
    [definition] = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    if not isinstance(definition, ast.ClassDef):
        return {}
    found = {}
    for attribute, below in zip(definition.body, definition.body[1:], strict=False):
        match attribute, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = inspect.cleandoc(text)
    return found


class DescribingSchema(GenerateJsonSchema):
    """Makes JSON Schemas in which each property is described by the docstring of its attribute."""

    def model_schema(self, schema: core_schema.ModelSchema) -> JsonSchemaValue:
        """Return the schema of a model, with the descriptions."""
        made = super().model_schema(schema)
        properties: dict[str, Any] = made.get("properties", {})
        fields = schema["cls"].model_fields
        for name, text in attribute_docs(schema["cls"]).items():
            key = fields[name].alias or name
            if key in properties:
                properties[key].setdefault("description", text)
        return made
