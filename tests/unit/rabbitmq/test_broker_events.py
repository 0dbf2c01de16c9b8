"""What the connections tell becomes metrics."""

from __future__ import annotations

import pytest

from bridge.telemetry.broker_events import (
    BrokerBlockedChanged,
    BrokerConnected,
    BrokerConnectFailed,
    BrokerConnectionLost,
    PublishSettled,
)
from bridge.telemetry.metrics import Metrics


@pytest.fixture
def metrics() -> Metrics:
    """Fresh ones."""
    return Metrics()


def _value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def test_the_connection_gauge_follows_the_connection(metrics: Metrics) -> None:
    """1 only while it is open."""
    seen = []
    for event in (
        BrokerConnectFailed("publish", "broker:5672", "broker_unavailable", "", 1.0),
        BrokerConnected("publish", "broker:5672", 0.1),
        BrokerConnectionLost("publish", "broker:5672", "broker_unavailable", ""),
    ):
        event.record(metrics)
        seen.append(_value(metrics, "bridge_broker_connection_up", role="publish"))

    assert seen == [0, 1, 0]
    assert _value(metrics, "bridge_broker_connects_total", role="publish", outcome="ok") == 1
    assert _value(metrics, "bridge_broker_connects_total", role="publish", outcome="broker_unavailable") == 1


def test_publishes_are_counted_by_outcome(metrics: Metrics) -> None:
    """With how many are still unanswered."""
    PublishSettled("confirmed", 0.01, 3).record(metrics)
    PublishSettled("publish_unroutable", 0.01, 2).record(metrics)

    assert _value(metrics, "bridge_broker_publishes_total", outcome="confirmed") == 1
    assert _value(metrics, "bridge_broker_publishes_total", outcome="publish_unroutable") == 1
    assert _value(metrics, "bridge_broker_outstanding_confirms") == 2


def test_a_blocked_broker_is_a_gauge(metrics: Metrics) -> None:
    """And unblocked again."""
    BrokerBlockedChanged("publish", blocked=True).record(metrics)
    assert _value(metrics, "bridge_broker_blocked", role="publish") == 1

    BrokerBlockedChanged("publish", blocked=False).record(metrics)
    assert _value(metrics, "bridge_broker_blocked", role="publish") == 0
