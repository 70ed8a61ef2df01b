from __future__ import annotations

import pytest
from prometheus_client.parser import text_string_to_metric_families

from daemon.engine.ports import Observer
from daemon.observe.metrics import Metrics


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def value(metrics: Metrics, name: str, **labels: str) -> float | None:
    for family in text_string_to_metric_families(metrics.render().decode()):
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return sample.value
    return None


def test_a_poll_is_counted_with_its_lateness_and_time(metrics):
    observer: Observer = metrics

    observer.polled("amux", "running", lateness=0.015, seconds=0.3)
    observer.polled("amux", "throttled", lateness=-0.5, seconds=0.1)

    assert value(metrics, "pollhook_polls_total", lane="amux", result="running") == 1
    assert value(metrics, "pollhook_polls_total", lane="amux", result="throttled") == 1
    assert value(metrics, "pollhook_poll_misses_total", lane="amux", reason="throttled") == 1
    assert value(metrics, "pollhook_poll_misses_total", lane="amux", reason="running") is None
    assert value(metrics, "pollhook_poll_lateness_seconds_sum", lane="amux") == 0.015
    assert value(metrics, "pollhook_poll_seconds_sum", lane="amux") == pytest.approx(0.4)


def test_an_ending_is_counted_with_its_polls_and_its_delay_where_known(metrics):
    metrics.ended("amux", "succeeded", polls=7, delay=1.5)
    metrics.ended("amux", "lost", polls=3, delay=None)

    assert value(metrics, "pollhook_task_endings_total", lane="amux", outcome="lost") == 1
    assert value(metrics, "pollhook_task_polls_sum", lane="amux") == 10
    assert value(metrics, "pollhook_detection_delay_seconds_count", lane="amux") == 1


def test_ad_hoc_origins_share_one_label(metrics):
    metrics.attempted("https://a.example", "delivered", seconds=0.1, first_after=0.02)
    metrics.attempted("https://b.example:8443", "delivered", seconds=0.1, first_after=None)
    metrics.attempted("default", "timeout", seconds=20.0, first_after=None)

    assert value(metrics, "pollhook_delivery_attempts_total", endpoint="url", result="delivered") == 2
    assert value(metrics, "pollhook_delivery_attempts_total", endpoint="default", result="timeout") == 1
    assert value(metrics, "pollhook_first_attempt_latency_seconds_count", endpoint="url") == 1
    assert "example" not in metrics.render().decode()


def test_what_was_counted_of_a_deleted_endpoint_is_shown_no_more(metrics):
    for name in ("stays", "goes"):
        metrics.attempted(name, "delivered", seconds=0.1, first_after=0.2)
        metrics.attempted(name, "timeout", seconds=0.1, first_after=None)

    metrics.endpoint_gone("goes")
    metrics.endpoint_gone("was never there")

    shown = metrics.render().decode()
    assert 'endpoint="goes"' not in shown
    assert shown.count('endpoint="stays"') > 30

    metrics.attempted("goes", "delivered", seconds=0.1, first_after=0.1)

    assert value(metrics, "pollhook_delivery_attempts_total", endpoint="goes", result="delivered") == 1


def test_the_process_tells_its_commits_refusals_crashes_and_stalls(metrics):
    metrics.committed(0.002, 40)
    metrics.auth_failed()
    metrics.work_crashed("poll")
    metrics.stalled(0.2)

    assert value(metrics, "pollhook_commit_seconds_count") == 1
    assert value(metrics, "pollhook_commit_changes_sum") == 40
    assert value(metrics, "pollhook_api_auth_failures_total") == 1
    assert value(metrics, "pollhook_work_crashes_total", kind="poll") == 1
    assert value(metrics, "pollhook_loop_stall_seconds_sum") == 0.2
    assert value(metrics, "process_resident_memory_bytes") > 1e6


def test_a_gauge_is_read_at_every_scrape(metrics):
    tasks = {"amux": 3.0}
    metrics.watch("pollhook_tasks_watched", "Tasks watched.", lambda: tasks, ("lane",))
    metrics.watch("pollhook_oldest_due_seconds", "Oldest due delivery.", lambda: 1.5)
    states = {("default", "pending"): 2.0}
    metrics.watch("pollhook_deliveries", "Deliveries by state.", lambda: states, ("endpoint", "state"))

    assert value(metrics, "pollhook_tasks_watched", lane="amux") == 3
    tasks["amux"] = 5
    del states["default", "pending"]
    states["ops", "dead"] = 1

    assert value(metrics, "pollhook_tasks_watched", lane="amux") == 5
    assert value(metrics, "pollhook_oldest_due_seconds") == 1.5
    assert value(metrics, "pollhook_deliveries", endpoint="default", state="pending") is None
    assert value(metrics, "pollhook_deliveries", endpoint="ops", state="dead") == 1


def test_every_metric_has_its_prefix_and_a_help_text(metrics):
    for family in text_string_to_metric_families(metrics.render().decode()):
        assert family.name.startswith(("pollhook_", "process_")), family.name
        assert family.documentation
        assert not family.name.endswith("_created")


def test_two_daemons_in_one_process_share_nothing(metrics):
    Metrics().auth_failed()

    assert value(metrics, "pollhook_api_auth_failures_total") == 0
