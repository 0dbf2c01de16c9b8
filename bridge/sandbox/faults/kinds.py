"""The kinds of fault: when in a call each strikes, what it wants to know. A new kind is a line here and an effect."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.faults.errors import FaultRuleError
from bridge.sandbox.faults.latency import DISTRIBUTIONS, drawn_latency
from bridge.sandbox.faults.parameters import (
    fraction,
    header_text,
    number,
    one_of,
    response_code,
    seconds,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from random import Random

    from bridge.sandbox.faults.parameters import Parameter


class Stage(Enum):
    """Where in a call a fault strikes."""

    CONNECTION = "when a connection is made, before TLS and HTTP: there is no call yet"
    BEFORE = "before the work: nothing changed"
    ITEM = "instead of the work on single items: those did not change"
    ITEM_AFTER = "after the work on single items: those did change"
    AFTER = "after the work and before its answer: everything changed"
    STREAM = "within an answer of GetStreamingEvents that has begun"


ITEM_STAGES: Final = (Stage.ITEM, Stage.ITEM_AFTER)
"""Where a rule may name the items that it strikes."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault."""

    stage: Stage
    meaning: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    draw: Callable[[Mapping[str, Any], Random], dict[str, Any]] | None = None
    """Makes of a rule's parameters those of one strike, where chance has a say in them."""


_TOLD: Final = {"after": whole(0, 1_000_000, 0)}
_KEEP: Final = {"keep": fraction(0.5)}
_STALL: Final = {"seconds": seconds(3600)}
_RATE: Final = whole(1, 1_000_000_000, None)
_POINT: Final = one_of("headers", "status", "body", "middle")
_BACK_OFF: Final = whole(0, 86_400_000, None)

KINDS: Final[Mapping[str, Kind]] = {
    # Connections
    "tcp_reset": Kind(Stage.CONNECTION, "TCP is accepted and reset at once"),
    "tcp_silent": Kind(Stage.CONNECTION, "TCP is accepted, and nothing is ever answered; then a reset", _STALL),
    "tls_reset": Kind(Stage.CONNECTION, "the client's hello is answered by a reset"),
    "tls_stall": Kind(Stage.CONNECTION, "the server's half of the TLS handshake stops in the middle", _STALL),
    "tls_alert": Kind(
        Stage.CONNECTION,
        "the client's hello is answered by a fatal alert, 40 being handshake_failure and 80 internal_error",
        {"description": whole(0, 255, 40)},
    ),
    "tls_version_refused": Kind(
        Stage.CONNECTION, "the fatal alert protocol_version: no version that the client offers will do"
    ),
    "tls_plaintext": Kind(Stage.CONNECTION, "the client's hello is answered by HTTP without TLS"),
    "certificate_expired": Kind(Stage.CONNECTION, "the server shows a certificate that ended an hour ago"),
    "certificate_not_yet_valid": Kind(Stage.CONNECTION, "the server shows a certificate that begins tomorrow"),
    "certificate_wrong_host": Kind(Stage.CONNECTION, "the server shows a certificate for wrong-host.invalid"),
    "certificate_untrusted": Kind(Stage.CONNECTION, "the server shows a certificate of a CA that is not in ca.pem"),
    "slow_line": Kind(
        Stage.CONNECTION,
        "every byte of the connection goes through a line of so many bytes a second, each way",
        {"request_bytes_per_second": _RATE, "answer_bytes_per_second": _RATE},
    ),
    # Before the work
    "latency": Kind(
        Stage.BEFORE,
        "the call waits, then goes on as usual; `spread` is the half width of `uniform`, the standard deviation of "
        "`normal`, the sigma of `lognormal` around the median, none of `exponential` around the mean",
        {
            "seconds": seconds(),
            "distribution": one_of(*DISTRIBUTIONS),
            "spread": number(0, 86_400, 0),
            "most_seconds": seconds(3600),
        },
        drawn_latency,
    ),
    "slow_upload": Kind(
        Stage.BEFORE,
        "the work begins as much later as the bytes of the request take at this rate",
        {"bytes_per_second": whole(1, 1_000_000_000)},
    ),
    "unavailable": Kind(
        Stage.BEFORE,
        "throttling, first face: an HTTP status (503, or 429 and 5xx of Entra) with an optional Retry-After",
        {
            "status": whole(400, 599, 503),
            "retry_after_seconds": whole(0, 86_400, None),
            "retry_after_form": one_of("seconds", "date"),
        },
    ),
    "server_busy": Kind(
        Stage.BEFORE,
        "throttling, second face: HTTP 500 with a SOAP fault ErrorServerBusy and BackOffMilliseconds; null: without it",
        {"back_off_milliseconds": whole(0, 86_400_000, 10_000, none=True)},
    ),
    "soap_fault": Kind(Stage.BEFORE, "HTTP 500 with a SOAP fault of a response code", {"code": response_code()}),
    "http_error": Kind(
        Stage.BEFORE,
        "an HTTP status with an HTML page, as a gateway sends it",
        {"status": whole(400, 599, 502)},
    ),
    "blocked_by_policy": Kind(Stage.BEFORE, "HTTP 403 with X-EWS-Policy-Reason: the app is not on the tenant's list"),
    "cut_before": Kind(Stage.BEFORE, "the connection is reset; nothing was done"),
    "stall_before": Kind(Stage.BEFORE, "no answer for so long, then a reset; nothing was done", _STALL),
    # Items
    "item_server_busy": Kind(
        Stage.ITEM, "throttling, third face: ErrorInternalServerError for an item, ErrorServerBusy within"
    ),
    "item_error": Kind(
        Stage.ITEM,
        "an item of the call fails with a response code, ErrorServerBusy with BackOffMilliseconds where given",
        {"code": response_code(), "back_off_milliseconds": _BACK_OFF},
    ),
    "item_error_after": Kind(
        Stage.ITEM_AFTER, "an item of the call was done, and its answer is an error", {"code": response_code()}
    ),
    # After the work
    "cut_after": Kind(Stage.AFTER, "the connection is reset; the work was done"),
    "stall_after": Kind(Stage.AFTER, "no answer for so long, then a reset; the work was done", _STALL),
    "late_answer": Kind(Stage.AFTER, "the work was done at once, the answer comes later", {"seconds": seconds()}),
    "gateway_error": Kind(
        Stage.AFTER,
        "the work was done, and a gateway answers an HTTP status with an HTML page",
        {"status": whole(400, 599, 504)},
    ),
    "reset_within": Kind(
        Stage.AFTER,
        "the connection is reset in the answer: after the `status` line, in the `headers`, before the `body`, or in "
        "its `middle`",
        {"at": _POINT},
    ),
    "stall_within": Kind(
        Stage.AFTER,
        "the answer stops for so long, then a reset: after the `status` line, in the `headers`, before the `body`, or "
        "in its `middle`",
        {"at": _POINT, **_STALL},
    ),
    "trickle_headers": Kind(
        Stage.AFTER,
        "so many header lines come before the others, one at a time; clients take a hundred at most",
        {"lines": whole(1, 100_000, 80), "seconds_per_line": seconds(1)},
    ),
    "interim_answers": Kind(
        Stage.AFTER,
        "so many answers of 100 Continue come before the true one, one at a time",
        {"answers": whole(1, 100_000, 80), "seconds_per_answer": seconds(1)},
    ),
    "slow_drip": Kind(
        Stage.AFTER, "the answer comes a few bytes at a time", {"bytes_per_second": whole(1, 10_000_000)}
    ),
    "truncated": Kind(Stage.AFTER, "HTTP 200, complete for HTTP, but its XML ends in the middle", _KEEP),
    "cut_within": Kind(Stage.AFTER, "the connection is closed in the middle of the answer", _KEEP),
    "malformed": Kind(Stage.AFTER, "HTTP 200 whose XML is not well-formed"),
    "empty": Kind(Stage.AFTER, "HTTP 200 without a body"),
    "html_page": Kind(Stage.AFTER, "HTTP 200 with an HTML page, as a captive proxy sends it"),
    "no_http": Kind(Stage.AFTER, "bytes that are no HTTP, then the end of the connection"),
    "wrong_type": Kind(
        Stage.AFTER, "the answer under another Content-Type", {"content_type": header_text("text/plain")}
    ),
    "wrong_date": Kind(
        Stage.AFTER,
        "the Date header is so many seconds ahead, as a proxy's clock would have it",
        {"seconds": number(-315_360_000, 315_360_000, 3600)},
    ),
    "wrong_length": Kind(
        Stage.AFTER,
        "Content-Length is `too_long` (and the connection stays open), `too_short` (the rest follows), `negative`, "
        "`not_a_number`, `twice` with two values, or stands beside `chunked`",
        {"how": one_of("too_long", "too_short", "negative", "not_a_number", "twice", "chunked"), **_STALL},
    ),
    "chunked": Kind(
        Stage.AFTER,
        "the answer in chunks of so many bytes: `plain`, with `extensions`, with `trailers`; all of it is correct",
        {"bytes": whole(1, 1_000_000, 7), "form": one_of("plain", "extensions", "trailers")},
    ),
    "chunked_broken": Kind(
        Stage.AFTER,
        "chunks whose size is no number (`bad_size`) or beyond all bounds (`huge_size`), that end in the middle "
        "(`early_end`), that are shorter than they say (`short`), or whose last one never comes (`no_end`)",
        {"how": one_of("bad_size", "huge_size", "early_end", "short", "no_end")},
    ),
    "gzip": Kind(Stage.AFTER, "the answer is packed with gzip and says so; all of it is correct"),
    "gzip_broken": Kind(
        Stage.AFTER,
        "gzip that is `truncated` or `corrupt`, that the headers do not name (`unlabelled`), or that they name where "
        "there is none (`mislabelled`)",
        {"how": one_of("truncated", "corrupt", "unlabelled", "mislabelled")},
    ),
    "gzip_bomb": Kind(
        Stage.AFTER,
        "the answer, and so many megabytes of spaces behind it, in a thousandth of that by gzip",
        {"megabytes": whole(1, 1024, 256)},
    ),
    # Streams
    "stream_silent": Kind(
        Stage.STREAM, "a stream says nothing more once so many messages with events were told", _TOLD
    ),
    "stream_missed": Kind(Stage.STREAM, "a stream leaves out the messages with events after the first so many", _TOLD),
    "stream_repeated": Kind(Stage.STREAM, "a stream tells each message with events twice after so many", _TOLD),
    "stream_garbage": Kind(
        Stage.STREAM, "a stream sends what is no XML after so many messages with events, and ends", _TOLD
    ),
    "stream_cut": Kind(Stage.STREAM, "a stream is reset in the message that follows so many with events", _TOLD),
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
