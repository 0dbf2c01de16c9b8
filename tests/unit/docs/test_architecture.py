"""The drawing of the imports is that of the code."""

from __future__ import annotations

from tests.architecture import PAGE, drawn, page


def test_the_imports_in_the_page_are_those_of_the_code() -> None:
    text = PAGE.read_text("utf-8")

    assert text == page(text, drawn()), "python -m tests.architecture --write"


def test_no_library_for_a_service_is_known_to_more_than_two_rooms() -> None:
    """Exchange's, Entra's, RabbitMQ's, a store's; the sandbox has a test's own account in the first."""
    known = dict(line.split(" | ", 1) for line in drawn().splitlines() if line.startswith("| `"))

    assert [known[f"| `{name}`"] for name in ("exchangelib", "msal", "obstore", "pika")] == [
        "`adapters/ews`, `sandbox/testing` |",
        "`adapters/entra` |",
        "`adapters/blobs` |",
        "`adapters/rabbitmq`, `client` |",
    ]
