"""Reads how bad an alert is, and what kind of symptom, from its labels and its rule's expression. Pure."""

import re
from collections.abc import Iterable, Mapping

from tongchou.incidents.suspects import Measure

CRITICAL, MAJOR, WARNING, INFO = "critical", "major", "warning", "info"
ORDER = (INFO, WARNING, MAJOR, CRITICAL)
_WORDS = {
    CRITICAL: {"critical", "crit", "page", "fatal", "disaster", "emergency", "p1", "sev1", "s1", "1"},
    MAJOR: {"major", "error", "high", "p2", "sev2", "s2", "2"},
    WARNING: {"warning", "warn", "minor", "medium", "ticket", "p3", "sev3", "s3", "3"},
    INFO: {"info", "information", "notice", "low", "none", "p4", "sev4", "s4", "4"},
}
_MEASURES: tuple[tuple[Measure, re.Pattern[str]], ...] = (
    ("down", re.compile(r"(?<![\w:])(up|probe_success)\b(?!\s*\()")),
    ("errors", re.compile(r"(code|status|status_code)\s*=~?\s*\"5|error|fail|refus|reject", re.IGNORECASE)),
    ("latency", re.compile(r"histogram_quantile|latency|duration|_seconds_bucket|response_time", re.IGNORECASE)),
    (
        "saturation",
        re.compile(
            r"avail|free|usage|utili[sz]ation|saturat|filesystem|memory|resident|disk|queue|pool|open_fds|cpu|load",
            re.IGNORECASE,
        ),
    ),
)


def of_labels(labels: Mapping[str, str]) -> str:
    """Return one of ORDER for an alert's labels; a missing or unknown `severity` (or `priority`) counts as warning."""
    word = (labels.get("severity") or labels.get("priority") or "").strip().lower()
    return next((severity for severity, words in _WORDS.items() if word in words), WARNING)


def worst(severities: Iterable[str]) -> str:
    """Return the worst of some severities, info of none."""
    return max(severities, key=ORDER.index, default=INFO)


def at_least(severity: str, minimum: str) -> bool:
    """Tell whether a severity reaches a minimum; an unknown minimum is reached by everything."""
    return minimum not in ORDER or ORDER.index(severity) >= ORDER.index(minimum)


def measure(expression: str, alertname: str = "") -> Measure:
    """Return what an alert's expression measures. A guess from metric names; it only decides a few points.

    An expression on `up` or `probe_success` is `down`; then errors, latency, saturation by usual words; else `other`.
    """
    for found, pattern in _MEASURES:
        if pattern.search(expression):
            return found
    for found, pattern in _MEASURES[1:]:
        if pattern.search(alertname):
            return found
    return "other"
