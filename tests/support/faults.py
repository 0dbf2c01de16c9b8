"""Faults of the sandbox, by what a client of one call is to make of them."""

from __future__ import annotations

from typing import Any

# Where the answer is right after all, if not as anybody expects it.
HARMLESS: list[dict[str, Any]] = [
    {"kind": "latency", "seconds": 0.1},
    {"kind": "late_answer", "seconds": 0.1},
    {"kind": "slow_upload", "bytes_per_second": 1_000_000},
    {"kind": "slow_line", "request_bytes_per_second": 100_000, "answer_bytes_per_second": 100_000},
    {"kind": "slow_drip", "bytes_per_second": 100_000},
    {"kind": "trickle_headers", "lines": 3, "seconds_per_line": 0.1},
    {"kind": "interim_answers", "answers": 3, "seconds_per_answer": 0.1},
    {"kind": "chunked"},
    {"kind": "chunked", "form": "extensions"},
    {"kind": "chunked", "form": "trailers"},
    {"kind": "gzip"},
    {"kind": "wrong_length", "how": "chunked"},
    {"kind": "wrong_type"},
    {"kind": "wrong_type", "content_type": "application/json"},
    {"kind": "wrong_date", "seconds": -86_400},
]
# Where there is no answer, or none that may be believed.
UNAVAILABLE: list[dict[str, Any]] = [
    {"kind": "tcp_reset"},
    {"kind": "tcp_silent"},
    {"kind": "tls_reset"},
    {"kind": "tls_stall"},
    {"kind": "tls_alert"},
    {"kind": "tls_version_refused"},
    {"kind": "tls_plaintext"},
    {"kind": "certificate_expired"},
    {"kind": "certificate_not_yet_valid"},
    {"kind": "certificate_wrong_host"},
    {"kind": "certificate_untrusted"},
    {"kind": "slow_line", "request_bytes_per_second": 500},
    {"kind": "slow_line", "answer_bytes_per_second": 500},
    {"kind": "latency", "seconds": 3600},
    {"kind": "slow_upload", "bytes_per_second": 1},
    {"kind": "soap_fault", "code": "ErrorMailboxStoreUnavailable"},
    {"kind": "http_error"},
    {"kind": "gateway_error"},
    {"kind": "cut_before"},
    {"kind": "stall_before"},
    {"kind": "item_error", "code": "ErrorInternalServerError"},
    {"kind": "item_error_after", "code": "ErrorTimeoutExpired"},
    {"kind": "cut_after"},
    {"kind": "stall_after"},
    {"kind": "late_answer", "seconds": 3600},
    *({"kind": "reset_within", "at": at} for at in ("status", "headers", "body", "middle")),
    *({"kind": "stall_within", "at": at} for at in ("status", "headers", "body", "middle")),
    {"kind": "trickle_headers", "seconds_per_line": 0.2},
    {"kind": "trickle_headers", "lines": 200, "seconds_per_line": 0},
    {"kind": "interim_answers", "seconds_per_answer": 0.2},
    {"kind": "interim_answers", "answers": 100_000, "seconds_per_answer": 0.001},
    {"kind": "slow_drip", "bytes_per_second": 100},
    {"kind": "truncated"},
    {"kind": "cut_within"},
    {"kind": "malformed"},
    {"kind": "empty"},
    {"kind": "html_page"},
    {"kind": "no_http"},
    *({"kind": "wrong_length", "how": how} for how in ("too_long", "too_short", "negative", "not_a_number", "twice")),
    *({"kind": "chunked_broken", "how": how} for how in ("bad_size", "huge_size", "early_end", "short", "no_end")),
    *({"kind": "gzip_broken", "how": how} for how in ("truncated", "corrupt", "unlabelled", "mislabelled")),
    {"kind": "gzip_bomb", "megabytes": 64},
]


def named(value: object) -> str:
    """Return what a test with this value is called."""
    return "-".join(str(one) for one in value.values()) if isinstance(value, dict) else getattr(value, "__name__", "")
