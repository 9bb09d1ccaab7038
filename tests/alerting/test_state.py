"""The life of an alert, beside a model written from the definition."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.alerting.state import (
    AlertState,
    Element,
    RuleFailed,
    advance,
    alert_labels,
    fingerprint,
    group_key,
    restore,
    worst_severity,
)

LABELS = {"alertname": "A", "job": "x"}
HERE = Element(LABELS, {}, 1.0)


def walk(presence: list[tuple[float, bool]], for_seconds: float, keep: float) -> list[str | None]:
    active: dict[str, AlertState] = {}
    states: list[str | None] = []
    for now, present in presence:
        step = advance(
            active, [HERE] if present else [], now=now, for_seconds=for_seconds, keep_firing_for_seconds=keep
        )
        active = step.active
        states.append(next((alert.state for alert in active.values()), None))
    return states


def by_definition(presence: list[tuple[float, bool]], for_seconds: float, keep: float) -> list[str | None]:
    """State by state from the words of the documentation, looking back over the whole history each time."""

    @cache
    def state(number: int) -> str | None:
        now, present = presence[number]
        before = state(number - 1) if number else None
        if present:
            first = number
            while first and state(first - 1) is not None:
                first -= 1
            return "firing" if before == "firing" or now - presence[first][0] >= for_seconds else "pending"
        if before != "firing":
            return None
        gone = number
        while gone and not presence[gone - 1][1]:
            gone -= 1
        return "firing" if now - presence[gone][0] < keep else None

    return [state(number) for number in range(len(presence))]


timelines = st.lists(st.tuples(st.integers(1, 4), st.booleans()), max_size=40).map(
    lambda gaps: [(float(sum(gap for gap, _ in gaps[: i + 1])), present) for i, (_, present) in enumerate(gaps)]
)


@given(timelines, st.integers(0, 8), st.integers(0, 8))
def test_for_and_keep_firing_for_mean_what_the_documentation_says(
    presence: list[tuple[float, bool]], for_seconds: int, keep: int
) -> None:
    assert walk(presence, for_seconds, keep) == by_definition(presence, for_seconds, keep)


@given(timelines, st.integers(0, 8), st.integers(0, 8))
def test_every_alert_that_fires_is_resolved_once_or_still_fires(
    presence: list[tuple[float, bool]], for_seconds: int, keep: int
) -> None:
    active: dict[str, AlertState] = {}
    fired = resolved = 0
    for now, present in presence:
        step = advance(
            active, [HERE] if present else [], now=now, for_seconds=for_seconds, keep_firing_for_seconds=keep
        )
        active = step.active
        fired += len(step.fired)
        resolved += len(step.resolved)
        assert not (step.fired and step.resolved)
    assert fired - resolved == sum(alert.state == "firing" for alert in active.values())


@given(timelines, st.integers(0, 6), st.integers(0, 6), st.sets(st.integers(0, 40)))
def test_a_restart_without_a_pause_changes_nothing(
    presence: list[tuple[float, bool]], for_seconds: int, keep: int, restarts: set[int]
) -> None:
    active: dict[str, AlertState] = {}
    states: list[str | None] = []
    last = 0.0
    for number, (now, present) in enumerate(presence):
        if number in restarts:
            resumed = [
                restore(alert, last_evaluated_at=now, now=now, for_seconds=for_seconds) for alert in active.values()
            ]
            active = {alert.fingerprint: alert for alert in resumed if alert is not None}
        step = advance(
            active, [HERE] if present else [], now=now, for_seconds=for_seconds, keep_firing_for_seconds=keep
        )
        active, last = step.active, now
        states.append(next((alert.state for alert in active.values()), None))
    assert states == by_definition(presence, for_seconds, keep)
    assert last <= 4.0 * len(presence)


@given(st.floats(0, 300), st.floats(1, 3599), st.floats(1, 500))  # just an hour is more than one, once it is rounded
def test_a_pause_does_not_count_towards_for(spent: float, pause: float, for_seconds: float) -> None:
    alert = AlertState("f", LABELS, {}, "pending", 1000.0, 1.0)
    resumed = restore(alert, last_evaluated_at=1000.0 + spent, now=1000.0 + spent + pause, for_seconds=for_seconds)
    assert resumed is not None
    assert 1000.0 + spent + pause - resumed.active_at == pytest.approx(spent)


def test_a_long_for_waits_ten_minutes_more_after_a_restart() -> None:
    alert = AlertState("f", LABELS, {}, "pending", 0.0, 1.0)
    resumed = restore(alert, last_evaluated_at=3500.0, now=3560.0, for_seconds=3600.0)
    assert resumed is not None
    assert resumed.active_at + 3600.0 == 3560.0 + 600.0


def test_after_more_than_an_hour_nobody_knows() -> None:
    alert = AlertState("f", LABELS, {}, "pending", 0.0, 1.0)
    assert restore(alert, last_evaluated_at=10.0, now=3611.0, for_seconds=60.0) is None
    firing = AlertState("f", LABELS, {}, "firing", 0.0, 1.0)
    assert restore(firing, last_evaluated_at=10.0, now=99999.0, for_seconds=60.0) is firing


def test_two_elements_with_equal_labels_fail_the_rule() -> None:
    with pytest.raises(RuleFailed, match="same labelset"):
        advance({}, [HERE, HERE], now=0, for_seconds=0, keep_firing_for_seconds=0)


def test_more_alerts_than_the_limit_fail_the_rule() -> None:
    many = [Element({"alertname": "A", "n": str(number)}, {}, 1.0) for number in range(3)]
    assert len(advance({}, many, now=0, for_seconds=0, keep_firing_for_seconds=0, limit=3).fired) == 3
    with pytest.raises(RuleFailed, match="exceeded limit of 2 with 3 alerts"):
        advance({}, many, now=0, for_seconds=0, keep_firing_for_seconds=0, limit=2)


def test_the_fingerprint_is_alertmanagers() -> None:
    # The FNV-1a test vectors: offset basis for nothing; and prometheus/common's LabelSet.Fingerprint of its own test.
    assert fingerprint({}) == "cbf29ce484222325"
    assert fingerprint({"b": "2", "a": "1"}) == fingerprint({"a": "1", "b": "2"})
    assert fingerprint({"a": "1"}) != fingerprint({"a1": ""})


def test_alert_labels_take_the_series_then_the_rule_then_the_name() -> None:
    series = {"__name__": "up", "job": "api", "drop": "x", "alertname": "no"}
    labels = alert_labels("Down", series, {"job": "{{x}}", "drop": "", "severity": "page"}, lambda text: text.upper())
    assert labels == {"job": "{{X}}", "severity": "PAGE", "alertname": "Down"}


@pytest.mark.parametrize(
    ("labels", "group_by", "key"),
    [
        ({"alertname": "A", "service": "orders"}, ["service"], '{service="orders"}'),
        ({"alertname": "A"}, ["service"], '{alertname="A"}'),
        ({"alertname": "A", "service": "o", "env": "p"}, ["service", "env"], '{env="p", service="o"}'),
        ({"alertname": "A", "service": 'o"\n\\'}, ["service"], '{service="o\\"\\n\\\\"}'),
        ({"alertname": "A", "service": "o"}, [], '{alertname="A"}'),
    ],
)
def test_groups_by_the_chosen_labels_else_by_name(labels: dict[str, str], group_by: list[str], key: str) -> None:
    assert group_key(labels, group_by)[0] == key


@given(
    st.dictionaries(st.sampled_from(["a", "b"]), st.text(max_size=5)),
    st.dictionaries(st.sampled_from(["a", "b"]), st.text(max_size=5)),
)
def test_different_labels_never_share_a_group_key(one: dict[str, str], other: dict[str, str]) -> None:
    first, second = group_key(one, ["a", "b"]), group_key(other, ["a", "b"])
    assert (first[0] == second[0]) == (first[1] == second[1])


def test_the_worst_severity_counts() -> None:
    assert worst_severity(["warning", "critical", "info"]) == "critical"
    assert worst_severity(["info", "made up"]) == "made up"
    assert worst_severity([]) == ""
