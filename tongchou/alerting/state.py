"""The life of an alert, as Prometheus lives it (rules/alerting.go): pure, times are Unix seconds.

inactive -> pending when the expression yields it, -> firing when that has lasted ``for``, -> resolved when it is gone
and ``keep_firing_for`` has passed. A pending alert that goes away leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

PENDING = "pending"
FIRING = "firing"
RESOLVED = "resolved"

# After a longer pause Prometheus forgets how long an alert was pending (--rules.alert.for-outage-tolerance).
OUTAGE_TOLERANCE_SECONDS = 3600.0
# With a ``for`` at least this long, a restored alert waits at least this long (--rules.alert.for-grace-period).
GRACE_SECONDS = 600.0


class RuleFailed(ValueError):
    """The rule's result cannot become alerts; the state stays as it was."""


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a rule's result, labels and annotations expanded."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    value: float


@dataclass(frozen=True, slots=True)
class AlertState:
    """One active alert. ``keep_since``: when it was first missing while ``keep_firing_for`` holds it."""

    fingerprint: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    state: str
    active_at: float
    value: float
    fired_at: float | None = None
    keep_since: float | None = None
    resolved_at: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What one evaluation changed; ``active`` is the state after it."""

    active: dict[str, AlertState]
    started: tuple[AlertState, ...]
    fired: tuple[AlertState, ...]
    resolved: tuple[AlertState, ...]
    dropped: tuple[AlertState, ...]


# Of a rule that gives nothing and had no alerts.
QUIET = Step({}, (), (), (), ())

_FNV_OFFSET = 14695981039346656037
_FNV_PRIME = 1099511628211


def fingerprint(labels: Mapping[str, str]) -> str:
    """Alertmanager's fingerprint of labels, 16 hex digits: FNV-1a over sorted names and values, 0xff after each."""
    return _fnv(tuple(sorted(labels.items())))


@lru_cache(maxsize=65_536)  # every evaluation asks for the same label sets again
def _fnv(pairs: tuple[tuple[str, str], ...]) -> str:
    digest = _FNV_OFFSET
    for name, value in pairs:
        for byte in name.encode() + b"\xff" + value.encode() + b"\xff":
            digest = ((digest ^ byte) * _FNV_PRIME) & 0xFFFFFFFFFFFFFFFF
    return f"{digest:016x}"


def alert_labels(
    name: str, series: Mapping[str, str], rule_labels: Mapping[str, str], expand: Callable[[str], str]
) -> dict[str, str]:
    """The labels of an alert: the series without its metric name, the rule's expanded over them, and alertname.

    An empty value removes the label, as an empty label is no label.
    """
    labels = {key: value for key, value in series.items() if key != "__name__"}
    for key, text in rule_labels.items():
        labels[key] = expand(text)
    labels["alertname"] = name
    return {key: value for key, value in labels.items() if value}


def advance(
    active: Mapping[str, AlertState],
    elements: Iterable[Element],
    *,
    now: float,
    for_seconds: float,
    keep_firing_for_seconds: float,
    limit: int = 0,
    hold_resolution: bool = False,
) -> Step:
    """One evaluation at ``now``. ``hold_resolution`` keeps firing what is missing (data has not come back yet).

    Raises RuleFailed when two elements have the same labels or more than ``limit`` (0: none) alerts would be active.
    """
    seen: dict[str, Element] = {}
    for element in elements:
        key = fingerprint(element.labels)
        if key in seen:
            raise RuleFailed("vector contains metrics with the same labelset after applying alert labels")
        seen[key] = element
    after: dict[str, AlertState] = {}
    started, fired, resolved, dropped = [], [], [], []
    for key, element in seen.items():
        alert = active.get(key)
        if alert is None:
            alert = AlertState(key, element.labels, element.annotations, PENDING, now, element.value)
            started.append(alert)
        else:
            alert = replace(alert, annotations=element.annotations, value=element.value, keep_since=None)
        if alert.state == PENDING and now - alert.active_at >= for_seconds:
            alert = replace(alert, state=FIRING, fired_at=now)
            fired.append(alert)
        after[key] = alert
    for key, alert in active.items():
        if key in seen:
            continue
        if alert.state == PENDING:
            dropped.append(alert)
            continue
        since = now if alert.keep_since is None else alert.keep_since
        if hold_resolution or (keep_firing_for_seconds > 0 and now - since < keep_firing_for_seconds):
            after[key] = replace(alert, keep_since=since)
        else:
            resolved.append(replace(alert, state=RESOLVED, resolved_at=now))
    if limit > 0 and len(after) > limit:
        raise RuleFailed(f"exceeded limit of {limit} with {len(after)} alerts")
    return Step(after, tuple(started), tuple(fired), tuple(resolved), tuple(dropped))


def restore(alert: AlertState, *, last_evaluated_at: float, now: float, for_seconds: float) -> AlertState | None:
    """A pending alert after a pause: the pause does not count towards ``for``; None when it was too long to know.

    Firing alerts are returned as they are. With a long ``for`` at least GRACE_SECONDS remain, as in Prometheus.
    """
    pause = max(0.0, now - last_evaluated_at)
    if alert.state != PENDING:
        return alert
    if pause > OUTAGE_TOLERANCE_SECONDS:
        return None
    left = for_seconds - max(0.0, last_evaluated_at - alert.active_at)
    if for_seconds >= GRACE_SECONDS:
        left = max(left, GRACE_SECONDS)
    return replace(alert, active_at=now + left - for_seconds)


def group_key(labels: Mapping[str, str], group_by: Sequence[str]) -> tuple[str, dict[str, str]]:
    """The key and labels of the group an alert belongs to: its ``group_by`` labels, else its name."""
    chosen = {name: labels[name] for name in sorted(group_by) if labels.get(name)}
    if not chosen:
        chosen = {"alertname": labels.get("alertname", "")}
    quoted = ", ".join(
        f'{name}="{value}"' for name, value in ((name, _escaped(value)) for name, value in chosen.items())
    )
    return f"{{{quoted}}}", chosen


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


_RANKS = {"critical": 4, "page": 4, "error": 3, "major": 3, "warning": 2, "ticket": 2, "minor": 2, "info": 1, "none": 0}


def severity_rank(severity: str) -> int:
    """4 critical or page ... 0 none; an alert without a known severity counts as a warning."""
    return _RANKS.get(severity.lower(), 2)


def worst_severity(severities: Iterable[str]) -> str:
    """The severity of highest rank, "" when there is none."""
    return max(severities, key=severity_rank, default="")
