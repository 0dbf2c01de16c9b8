"""The kinds of fault: when in a call each strikes, what it wants to know. A new kind is a line here and an effect."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.faults.errors import FaultRuleError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_REQUIRED: Final = object()


class Stage(Enum):
    """Where in a call a fault strikes."""

    BEFORE = "before the work: nothing changed"
    ITEM = "instead of the work on single items: those did not change"
    AFTER = "after the work and before its answer: everything changed"
    STREAM = "within an answer of GetStreamingEvents that has begun"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value that a kind takes."""

    check: Callable[[Any], bool]
    wanted: str
    default: Any = _REQUIRED

    @property
    def required(self) -> bool:
        """Tell whether a rule must give the value."""
        return self.default is _REQUIRED


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault."""

    stage: Stage
    meaning: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


def _is_number(value: Any) -> bool:  # noqa: ANN401 - a value out of JSON
    return isinstance(value, int | float) and not isinstance(value, bool)


def _seconds(default: Any = _REQUIRED) -> Parameter:  # noqa: ANN401 - a number or the mark of none
    return Parameter(lambda value: _is_number(value) and 0 <= value <= 86_400, "a number from 0 to 86400", default)


def _whole(lowest: int, highest: int, default: Any = _REQUIRED) -> Parameter:  # noqa: ANN401 - likewise
    def check(value: Any) -> bool:  # noqa: ANN401 - a value out of JSON
        return (
            value is None if value is default and default is None else type(value) is int and lowest <= value <= highest
        )

    return Parameter(check, f"a whole number from {lowest} to {highest}", default)


def _code(default: Any = _REQUIRED) -> Parameter:  # noqa: ANN401 - likewise
    def check(value: Any) -> bool:  # noqa: ANN401 - a value out of JSON
        return isinstance(value, str) and value.isascii() and value.isalnum() and value.startswith("Error")

    return Parameter(check, "a response code such as ErrorItemCorrupt", default)


def _told() -> Parameter:
    return _whole(0, 1_000_000, 0)


_FRACTION = Parameter(lambda value: _is_number(value) and 0 <= value < 1, "a number from 0 to below 1", 0.5)

KINDS: Final[Mapping[str, Kind]] = {
    "latency": Kind(Stage.BEFORE, "the call waits, then goes on as usual", {"seconds": _seconds()}),
    "unavailable": Kind(
        Stage.BEFORE,
        "throttling, first face: an HTTP status (503, or 429 and 5xx of Entra) with an optional Retry-After",
        {"status": _whole(400, 599, 503), "retry_after_seconds": _whole(0, 86_400, None)},
    ),
    "server_busy": Kind(
        Stage.BEFORE,
        "throttling, second face: HTTP 500 with a SOAP fault ErrorServerBusy and BackOffMilliseconds",
        {"back_off_milliseconds": _whole(0, 86_400_000, 10_000)},
    ),
    "item_server_busy": Kind(
        Stage.ITEM, "throttling, third face: ErrorInternalServerError for an item, ErrorServerBusy within"
    ),
    "item_error": Kind(Stage.ITEM, "an item of the call fails with a response code", {"code": _code()}),
    "soap_fault": Kind(Stage.BEFORE, "HTTP 500 with a SOAP fault of a response code", {"code": _code()}),
    "http_error": Kind(
        Stage.BEFORE,
        "an HTTP status with an HTML page, as a gateway sends it",
        {"status": _whole(400, 599, 502)},
    ),
    "blocked_by_policy": Kind(Stage.BEFORE, "HTTP 403 with X-EWS-Policy-Reason: the app is not on the tenant's list"),
    "cut_before": Kind(Stage.BEFORE, "the connection is reset; nothing was done"),
    "stall_before": Kind(
        Stage.BEFORE, "no answer for so long, then a reset; nothing was done", {"seconds": _seconds(3600)}
    ),
    "cut_after": Kind(Stage.AFTER, "the connection is reset; the work was done"),
    "stall_after": Kind(
        Stage.AFTER, "no answer for so long, then a reset; the work was done", {"seconds": _seconds(3600)}
    ),
    "late_answer": Kind(Stage.AFTER, "the work was done at once, the answer comes later", {"seconds": _seconds()}),
    "truncated": Kind(Stage.AFTER, "HTTP 200, complete for HTTP, but its XML ends in the middle", {"keep": _FRACTION}),
    "cut_within": Kind(Stage.AFTER, "the connection is closed in the middle of the answer", {"keep": _FRACTION}),
    "malformed": Kind(Stage.AFTER, "HTTP 200 whose XML is not well-formed"),
    "empty": Kind(Stage.AFTER, "HTTP 200 without a body"),
    "html_page": Kind(Stage.AFTER, "HTTP 200 with an HTML page, as a captive proxy sends it"),
    "stream_silent": Kind(
        Stage.STREAM, "a stream says nothing more once so many messages with events were told", {"after": _told()}
    ),
    "stream_missed": Kind(
        Stage.STREAM, "a stream leaves out the messages with events after the first so many", {"after": _told()}
    ),
    "stream_repeated": Kind(
        Stage.STREAM, "a stream tells each message with events twice after so many", {"after": _told()}
    ),
    "stream_garbage": Kind(
        Stage.STREAM, "a stream sends what is no XML after so many messages with events, and ends", {"after": _told()}
    ),
    "slow_drip": Kind(
        Stage.AFTER, "the answer comes a few bytes at a time", {"bytes_per_second": _whole(1, 10_000_000)}
    ),
}


def read_fault(given: object) -> tuple[str, dict[str, Any]]:
    """
    Return a fault's kind and its complete parameters.

    Raises:
        FaultRuleError: The kind or a parameter is unknown, missing or of the wrong form.
    """
    if isinstance(given, str):
        given = {"kind": given}
    if not isinstance(given, dict):
        raise FaultRuleError("fault", "is neither a kind nor an object with one", KINDS)
    name = given.get("kind")
    if not isinstance(name, str) or name not in KINDS:
        raise FaultRuleError("fault.kind", "is unknown or missing", KINDS)
    known = KINDS[name].parameters
    unknown = given.keys() - known.keys() - {"kind"}
    if unknown:
        raise FaultRuleError(f"fault.{min(unknown)}", f"is unknown for {name}", ["kind", *known])
    return name, {key: _value(given, key, parameter) for key, parameter in known.items()}


def _value(given: dict[str, Any], key: str, parameter: Parameter) -> Any:  # noqa: ANN401 - what the parameter takes
    if key not in given:
        if parameter.required:
            raise FaultRuleError(f"fault.{key}", f"is missing: {parameter.wanted}")
        return parameter.default
    if not parameter.check(given[key]):
        raise FaultRuleError(f"fault.{key}", f"is not {parameter.wanted}")
    return given[key]
