"""When the next notice is due."""

from __future__ import annotations

import datetime as dt

from hypothesis import given
from hypothesis import strategies as st

from tongchou.alerting.due import AlertFacts, GroupFacts, Intervals, Notice, next_notice

T0 = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
TIMES = Intervals(update_seconds=300, repeat_seconds=14_400, release_seconds=120)


def at(seconds: float) -> dt.datetime:
    return T0 + dt.timedelta(seconds=seconds)


def test_a_new_group_is_told_now() -> None:
    assert next_notice(GroupFacts(), [AlertFacts(False)], TIMES) == Notice("opened", None)


@given(st.lists(st.builds(AlertFacts, st.just(True)), max_size=4), st.booleans(), st.integers(0, 5))
def test_while_everything_is_suppressed_nothing_is_told(alerts: list[AlertFacts], seen: bool, explains: int) -> None:
    assert next_notice(GroupFacts(told_at=T0, acknowledged=seen, explains=explains), alerts, TIMES) is None


def test_an_alert_that_joins_waits_for_the_interval_even_when_somebody_has_seen_the_group() -> None:
    alerts = [AlertFacts(False, told_at=T0), AlertFacts(False)]
    for seen in (False, True):
        assert next_notice(GroupFacts(told_at=T0, acknowledged=seen), alerts, TIMES) == Notice("update", at(300))


def test_reminders_stop_when_somebody_has_seen_it() -> None:
    alerts = [AlertFacts(False, told_at=T0)]
    assert next_notice(GroupFacts(told_at=T0), alerts, TIMES) == Notice("repeat", at(14_400))
    assert next_notice(GroupFacts(told_at=T0, acknowledged=True), alerts, TIMES) is None
    assert next_notice(GroupFacts(told_at=T0), alerts, Intervals(repeat_seconds=0)) is None


def test_leftovers_of_a_silence_are_told_at_once_of_an_explanation_after_a_wait() -> None:
    alerts = [AlertFacts(False, told_at=None, released_at=at(60))]
    assert next_notice(GroupFacts(released_at=at(60), held_by="silenced"), alerts, TIMES) == Notice("leftover", at(60))
    assert next_notice(GroupFacts(released_at=at(60), held_by="explained"), alerts, TIMES) == Notice(
        "leftover", at(180)
    )


def test_a_group_told_before_it_was_silenced_is_told_again() -> None:
    alerts = [AlertFacts(False, told_at=T0, released_at=at(60))]
    group = GroupFacts(told_at=T0, released_at=at(60), held_by="silenced", acknowledged=True)
    assert next_notice(group, alerts, TIMES) == Notice("leftover", at(60))


def test_more_that_is_explained_is_an_update_less_is_not() -> None:
    alerts = [AlertFacts(False, told_at=T0)]
    more = GroupFacts(told_at=T0, acknowledged=True, explains=3, told_explains=1)
    assert next_notice(more, alerts, TIMES) == Notice("update", at(300))
    assert next_notice(GroupFacts(told_at=T0, acknowledged=True, explains=1, told_explains=3), alerts, TIMES) is None
