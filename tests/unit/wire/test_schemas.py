"""The generated files fit the code, the examples fit the schemas, and no change breaks those who hold to a release."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from bridge.wire import compatibility, schemas, topology

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "schemas" / "examples").glob("*.json"))


def test_the_committed_files_fit_the_code_and_break_nobody() -> None:
    assert schemas.check(ROOT) == []


def test_drift_is_found_and_written_back(tmp_path: Path) -> None:
    written = schemas.write(tmp_path)
    schemas.release(tmp_path)
    assert schemas.check(tmp_path) == []

    written[0].write_text("{}", "utf-8")
    (tmp_path / "schemas" / "examples" / "mail.event.v1.sent.json").unlink()

    assert len(schemas.check(tmp_path)) == 2
    assert len(schemas.write(tmp_path)) == 2
    assert schemas.write(tmp_path) == []


@pytest.mark.parametrize("name", list(schemas.PAYLOADS))
def test_schemas_are_valid_2020_12_and_name_themselves(name: str) -> None:
    schema = schemas.schema(name)

    jsonschema_rs.meta.validate(schema)
    assert schema["$schema"].endswith("2020-12/schema")
    assert schema["$id"].endswith(f"{name}.schema.json")
    assert schema["title"] == name
    assert schema["description"]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_examples_are_valid_for_an_independent_validator(path: Path) -> None:
    name = ".".join(path.name.split(".")[:3])
    schema = json.loads((ROOT / "schemas" / schemas.schema_file(name)).read_text("utf-8"))

    jsonschema_rs.validator_for(schema, validate_formats=True).validate(json.loads(path.read_text("utf-8")))


def test_there_are_examples_of_each_payload() -> None:
    assert {".".join(path.name.split(".")[:3]) for path in EXAMPLES} == set(schemas.PAYLOADS)


def test_a_request_with_an_unknown_field_is_refused_by_the_schema_and_a_payload_with_one_is_not() -> None:
    for name in schemas.PAYLOADS:
        path = next(path for path in EXAMPLES if path.name.startswith(name))
        document = {**json.loads(path.read_text("utf-8")), "unknown": 1}

        valid = jsonschema_rs.is_valid(schemas.schema(name), document)

        assert valid == (name not in schemas.REQUESTS)


def test_every_reference_of_the_asyncapi_document_leads_somewhere() -> None:
    document = json.loads((ROOT / "schemas" / "asyncapi.json").read_text("utf-8"))

    def references(node: Any) -> list[str]:  # noqa: ANN401 - any JSON
        if isinstance(node, dict):
            own = [node["$ref"]] if "$ref" in node else []
            return own + [found for child in node.values() for found in references(child)]
        return [found for child in node for found in references(child)] if isinstance(node, list) else []

    for reference in references(document):
        if reference.startswith("#/"):
            target: Any = document
            for key in reference[2:].split("/"):
                target = target[key]
        else:
            assert (ROOT / "schemas" / reference).is_file()


def test_every_queue_has_its_channel_with_its_arguments() -> None:
    document = json.loads((ROOT / "schemas" / "asyncapi.json").read_text("utf-8"))
    described = {
        channel["bindings"]["amqp"]["queue"]["name"].replace("{mailbox}", "m"): channel["bindings"]["amqp"]["queue"]
        for channel in document["channels"].values()
        if channel["bindings"]["amqp"]["is"] == "queue"
    }

    declared = {queue.name: dict(queue.arguments) for queue in topology.topology(["m"]).queues}

    assert {name: queue["x-arguments"] for name, queue in described.items()} == declared


_OLD: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string", "maxLength": 10},
        "kind": {"enum": ["a", "b"], "type": "string"},
        "codes": {"type": "array", "items": {"type": "string"}, "x-known-values": ["x", "y"]},
        "part": {"anyOf": [{"$ref": "#/$defs/Part"}, {"type": "null"}]},
        "count": {"type": "integer", "minimum": 0},
    },
    "required": ["id", "kind", "codes", "part", "count"],
    "$defs": {"Part": {"type": "object", "properties": {"size": {"type": "integer"}}, "required": ["size"]}},
}


_OLD_REQUEST = {**_OLD, "additionalProperties": False}


def _changed(path: str, value: Any, old: dict[str, Any] = _OLD) -> dict[str, Any]:  # noqa: ANN401 - any JSON
    """Return the old schema with one place changed, or taken out where the value is None."""
    schema = copy.deepcopy(old)
    *way, last = path.split("/")
    node: Any = schema
    for key in way:
        node = node[key]
    if value is None:
        del node[last]
    else:
        node[last] = value
    return schema


_WITHOUT_COUNT = ["id", "kind", "codes", "part"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("properties/count", None),
        ("required", _WITHOUT_COUNT),
        ("properties/count/type", "number"),
        ("properties/count/type", "string"),
        ("properties/count/minimum", -1),
        ("properties/count/minimum", None),
        ("properties/count", {"anyOf": [{"type": "integer", "minimum": 0}, {"type": "null"}]}),
        ("properties/id/maxLength", 11),
        ("properties/id/format", "date"),
        ("properties/kind/enum", ["a", "b", "c"]),
        ("properties/kind", {"type": "string"}),
        ("properties/codes/x-known-values", ["x"]),
        ("properties/codes/items", {"type": "integer"}),
        ("$defs/Part/properties/size", None),
        ("$defs/Part/required", []),
        ("properties/id/not", {"const": "x"}),
    ],
)
def test_what_breaks_a_reader_is_found(path: str, value: Any) -> None:  # noqa: ANN401 - any JSON
    assert compatibility.breaks_readers(_OLD, _changed(path, value))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("properties/extra", {"type": "string"}),
        ("description", "other words"),
        ("properties/id/description", "other words"),
        ("properties/id/maxLength", 9),
        ("properties/count/minimum", 1),
        ("properties/kind/enum", ["a"]),
        ("properties/codes/x-known-values", ["x", "y", "z"]),
        ("properties/part", {"$ref": "#/$defs/Part"}),
        ("$defs/Part/properties/more", {"type": "string"}),
    ],
)
def test_what_readers_were_told_to_expect_is_no_break(path: str, value: Any) -> None:  # noqa: ANN401 - any JSON
    assert compatibility.breaks_readers(_OLD, _changed(path, value)) == []


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("properties/count", None),
        ("properties/id/maxLength", 9),
        ("properties/id/pattern", "^a"),
        ("properties/kind/enum", ["a"]),
        ("properties/part", {"$ref": "#/$defs/Part"}),
        ("properties/count/maximum", 5),
        ("$defs/Part/additionalProperties", False),
        ("$defs/Part/required", ["size", "more"]),
    ],
)
def test_what_breaks_a_writer_is_found(path: str, value: Any) -> None:  # noqa: ANN401 - any JSON
    assert compatibility.breaks_writers(_OLD_REQUEST, _changed(path, value, _OLD_REQUEST))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("properties/extra", {"type": "string"}),
        ("required", _WITHOUT_COUNT),
        ("properties/id/maxLength", 11),
        ("properties/kind/enum", ["a", "b", "c"]),
        ("properties/kind", {"type": "string"}),
        ("properties/count/type", "number"),
        ("properties/count", {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
    ],
)
def test_asking_less_of_a_writer_is_no_break(path: str, value: Any) -> None:  # noqa: ANN401 - any JSON
    assert compatibility.breaks_writers(_OLD_REQUEST, _changed(path, value, _OLD_REQUEST)) == []
