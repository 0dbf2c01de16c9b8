"""Metrics have names that Prometheus' conventions accept, closed labels, and ages that grow by themselves."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest
from prometheus_client import Counter, Gauge, Histogram

from bridge.telemetry import metrics_page
from bridge.telemetry.metrics import Metrics

AREAS = ("ingest", "egress", "ews", "entra", "broker", "process", "build", "health")
LABELS = {
    "mailbox",
    "part",
    "kind",
    "code",
    "outcome",
    "operation",
    "role",
    "step",
    "queue",
    "level",
    "area",
    "app",
    "credential",
    "version",
    "python",
}


def ours(metrics: Metrics) -> list[Counter | Gauge | Histogram]:
    return [value for value in vars(metrics).values() if isinstance(value, Counter | Gauge | Histogram)]


def test_names_and_labels_follow_the_conventions() -> None:
    for metric in ours(Metrics()):
        assert re.fullmatch(rf"bridge_({'|'.join(AREAS)})_[a-z_]+", metric._name)
        assert set(metric._labelnames) <= LABELS, metric._name
        if isinstance(metric, Histogram):
            assert metric._name.endswith(("_seconds", "_bytes"))


def test_two_processes_worth_of_metrics_do_not_share_a_registry() -> None:
    one, other = Metrics(), Metrics()

    one.ingest_fetched.labels("a").inc()

    assert one.registry.get_sample_value("bridge_ingest_fetched_mails_total", {"mailbox": "a"}) == 1
    assert other.registry.get_sample_value("bridge_ingest_fetched_mails_total", {"mailbox": "a"}) is None


def test_the_age_of_a_listing_grows_until_the_next_one() -> None:
    now = [100.0]
    metrics = Metrics(monotonic=lambda: now[0])

    def age() -> float | None:
        return metrics.registry.get_sample_value("bridge_ingest_listing_age_seconds", {"mailbox": "a"})

    assert age() is None
    metrics.ingest_listing_age.start("a")
    now[0] += 30
    assert age() == 30
    metrics.ingest_listing_age.start("a")
    assert age() == 30
    metrics.ingest_listing_age.mark("a")
    assert age() == 0
    metrics.ingest_listing_age.forget("a")
    assert age() is None


def test_the_age_of_the_oldest_mail_is_never_negative_and_zero_when_nothing_waits() -> None:
    now = datetime(2026, 1, 1, 12, tzinfo=UTC)
    metrics = Metrics(wall=now.timestamp)

    def age() -> float | None:
        return metrics.registry.get_sample_value("bridge_ingest_oldest_waiting_age_seconds", {"mailbox": "a"})

    metrics.ingest_oldest_waiting_age.set("a", datetime(2026, 1, 1, 11, tzinfo=UTC))
    assert age() == 3600
    metrics.ingest_oldest_waiting_age.set("a", datetime(2026, 1, 1, 13, tzinfo=UTC))
    assert age() == 0
    metrics.ingest_oldest_waiting_age.set("a", None)
    assert age() == 0


def test_the_exposition_says_what_runs() -> None:
    metrics = Metrics()

    metrics.set_build("1.2.3", "ingest")

    assert b'bridge_build_info{python="' in metrics.render()
    assert b'version="1.2.3"' in metrics.render()


@pytest.mark.parametrize(("role", "others"), [("ingest", "egress"), ("egress", "ingest"), ("run", "neither")])
def test_a_worker_of_one_direction_does_not_show_the_other_s_metrics(role: str, others: str) -> None:
    metrics = Metrics()

    metrics.set_build("1.2.3", role)
    metrics.ingest_payload_bytes.observe(1)
    metrics.egress_held.labels("a").set(1)

    shown = {direction for direction in ("ingest", "egress") if f"bridge_{direction}_".encode() in metrics.render()}
    assert shown == {"ingest", "egress"} - {others}


def test_the_page_about_metrics_fits_the_code() -> None:
    assert metrics_page.check(Path(__file__).resolve().parents[3]) == []
    assert "| `bridge_ingest_listing_age_seconds` | gauge | mailbox |" in metrics_page.page()
