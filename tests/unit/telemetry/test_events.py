"""Every event can be counted and logged, and has no private field."""

from __future__ import annotations

import collections.abc
import importlib
import inspect
import pkgutil
import re
import types
import typing
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, Literal

import pytest

import bridge.telemetry
from bridge.telemetry.events import Event
from bridge.telemetry.logging import PRIVATE_FIELDS
from bridge.telemetry.metrics import Metrics


def every_event() -> list[type[Event]]:
    found = []
    for module in pkgutil.iter_modules(bridge.telemetry.__path__):
        if module.name.endswith("_events"):
            loaded = importlib.import_module(f"bridge.telemetry.{module.name}")
            classes = [
                one for _, one in inspect.getmembers(loaded, inspect.isclass) if one.__module__ == loaded.__name__
            ]
            found += [one for one in classes if issubclass(one, Event)]
    return found


EVENTS = every_event()


def example(annotation: Any) -> object:  # noqa: ANN401 - types of every kind
    simple = {str: "dispatch.mail", int: 3, float: 0.5, bool: True, datetime: datetime(2026, 1, 1, tzinfo=UTC)}
    if annotation in simple:
        return simple[annotation]
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Literal:
        return arguments[0]
    if origin in {typing.Union, types.UnionType}:
        return example(next(argument for argument in arguments if argument is not type(None)))
    if origin is collections.abc.Mapping:
        return {example(arguments[0]): example(arguments[1])}
    if origin is not None and issubclass(origin, typing.Iterable):
        return (example(arguments[0]),)
    raise NotImplementedError(annotation)


def an(event: type[Event]) -> Event:
    module = importlib.import_module(event.__module__)
    names = vars(typing) | vars(collections.abc) | vars(module) | {"datetime": datetime}
    hints = typing.get_type_hints(event, names)
    return event(**{field.name: example(hints[field.name]) for field in fields(event)})


def test_there_are_events() -> None:
    assert len(EVENTS) > 5


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_an_event_can_be_counted(event: type[Event]) -> None:
    an(event).record(Metrics())


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: event.name)
def test_an_event_has_a_name_a_level_and_no_private_field(event: type[Event]) -> None:
    assert re.fullmatch(r"[a-z]+\.[a-z_]+", event.name)
    assert event.level in {"debug", "info", "warning", "error"}
    assert not {field.name for field in fields(event)} & PRIVATE_FIELDS
    assert not {field.name for field in fields(event)} & {"event", "level", "at"}, "these are the line's own"


def test_names_are_told_once() -> None:
    assert len({event.name for event in EVENTS}) == len(EVENTS)
