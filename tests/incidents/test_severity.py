"""What an alert's labels and expression say: severities in everybody's words, the kind of symptom."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.incidents import severity


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"severity": "critical"}, "critical"),
        ({"severity": "PAGE"}, "critical"),
        ({"severity": "error"}, "major"),
        ({"severity": "warning"}, "warning"),
        ({"severity": "none"}, "info"),
        ({"priority": "P1"}, "critical"),
        ({"severity": "", "priority": "p2"}, "major"),
        ({}, "warning"),
        ({"severity": "of the third kind"}, "warning"),
    ],
)
def test_severity_in_everybodys_words(labels: dict[str, str], expected: str) -> None:
    assert severity.of_labels(labels) == expected


@given(st.lists(st.sampled_from(severity.ORDER)), st.sampled_from(severity.ORDER))
def test_the_worst_reaches_what_any_of_them_reaches(severities: list[str], minimum: str) -> None:
    reached = any(severity.at_least(each, minimum) for each in severities)
    assert severity.at_least(severity.worst(severities), minimum) == (reached or minimum == "info")


@pytest.mark.parametrize(
    ("expression", "name", "expected"),
    [
        ("up == 0", "TargetDown", "down"),
        ('up{job="database"} == 0', "X", "down"),
        ("probe_success == 0", "X", "down"),
        ('sum(rate(http_requests_total{code=~"5.."}[1m])) / sum(rate(http_requests_total[1m])) > 0.05', "X", "errors"),
        ("rate(payment_failures_total[1m]) > 1", "X", "errors"),
        ("histogram_quantile(0.95, rate(request_duration_seconds_bucket[1m])) > 1", "X", "latency"),
        ("node_filesystem_avail_bytes / node_filesystem_size_bytes < 0.05", "X", "saturation"),
        ("process_resident_memory_bytes > 5e8", "X", "saturation"),
        ("rate(orders_total[5m]) < 1", "OrdersStopped", "other"),
        ("slo:burn > 14.4", "OrdersErrorBudget", "errors"),
        ("group_up_total > 1", "X", "other"),
    ],
)
def test_what_an_expression_measures(expression: str, name: str, expected: str) -> None:
    assert severity.measure(expression, name) == expected
