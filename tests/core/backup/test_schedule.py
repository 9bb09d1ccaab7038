from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from tongchou.core.backup.schedule import kept, latest_due, parse_times

SHANGHAI = ZoneInfo("Asia/Shanghai")


def test_times_are_read_and_nonsense_is_not() -> None:
    assert parse_times("02:30, 14:05,02:30") == [time(2, 30), time(14, 5)]
    assert parse_times("") == []
    assert parse_times("25:00") is None
    assert parse_times("2.30") is None


def test_the_newest_moment_that_has_passed_is_due_in_the_zone_of_the_schedule() -> None:
    now = datetime(2026, 5, 1, 18, 29, tzinfo=UTC)  # 02:29 in Shanghai
    assert latest_due([time(2, 30)], SHANGHAI, now) == datetime(2026, 5, 1, 2, 30, tzinfo=SHANGHAI)
    assert latest_due([time(2, 30)], SHANGHAI, now + timedelta(minutes=1)) == datetime(
        2026, 5, 2, 2, 30, tzinfo=SHANGHAI
    )
    assert latest_due([], SHANGHAI, now) is None


def test_days_weeks_and_months_each_keep_their_newest() -> None:
    made = [datetime(2026, 1, 1, 3, tzinfo=UTC) + timedelta(days=day) for day in range(120)]
    stay = kept(made, daily=3, weekly=2, monthly=2, zone=ZoneInfo("UTC"))
    days = sorted(at.date().isoformat() for at in stay)
    assert days == ["2026-03-31", "2026-04-26", "2026-04-28", "2026-04-29", "2026-04-30"]
    assert kept(made, daily=0, weekly=0, monthly=0, zone=ZoneInfo("UTC")) == set()
    twice = [datetime(2026, 1, 1, 3, tzinfo=UTC), datetime(2026, 1, 1, 15, tzinfo=UTC)]
    assert kept(twice, daily=5, weekly=0, monthly=0, zone=ZoneInfo("UTC")) == {twice[1]}
