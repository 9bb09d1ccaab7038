"""Rules in local time: against a naive walk over days, over clock changes, and what is refused."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.core.local_time import to_utc
from tongchou.core.problems import Invalid
from tongchou.core.recurrence import MAX_LOOK, Recurrence, parse_rule

BERLIN = ZoneInfo("Europe/Berlin")
WORDS = ["MO", "TU", "WE", "TH", "FR", "SA", "SU"]


def wall(*parts: int) -> datetime:
    return datetime(*parts)  # type: ignore[arg-type, misc]  # noqa: DTZ001  # year, month, day, hour, minute of the wall


@given(
    st.sampled_from(["Asia/Shanghai", "Europe/Berlin", "America/New_York"]),
    st.integers(0, 400),
    st.integers(0, 23),
    st.sets(st.sampled_from(range(7)), min_size=1),
    st.integers(1, 4),
    st.integers(0, 300),
    st.integers(1, 60),
    st.integers(10, 2000),
)
@settings(max_examples=80)
def test_weekly_rules_equal_a_walk_over_the_days(
    zone_name: str, day: int, hour: int, days: set[int], interval: int, look: int, length: int, minutes: int
) -> None:
    zone = ZoneInfo(zone_name)
    start = wall(2026, 1, 1, hour) + timedelta(days=day)
    rule = f"FREQ=WEEKLY;INTERVAL={interval};BYDAY={','.join(WORDS[each] for each in sorted(days))}"
    found = Recurrence(start, zone, timedelta(minutes=minutes), rule)
    since = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=day + look)
    until = since + timedelta(days=length)
    monday = start - timedelta(days=start.weekday())
    wanted = []
    for n in range(900):
        each = start + timedelta(days=n)
        weeks = (each - monday).days // 7
        if each.weekday() in days and weeks % interval == 0:
            begin = to_utc(each, zone)
            if begin < until and begin + found.duration > since:
                wanted.append(begin)
    assert [span.start for span in found.spans(since, until)] == wanted
    assert {span.seconds for span in found.spans(since, until)} <= {minutes * 60}


def test_the_wall_time_stays_when_clocks_change() -> None:
    nightly = Recurrence(wall(2026, 3, 28, 4), BERLIN, timedelta(hours=2), "FREQ=DAILY")
    spans = nightly.spans(datetime(2026, 3, 28, tzinfo=UTC), datetime(2026, 3, 31, tzinfo=UTC))
    assert [each.start.hour for each in spans] == [3, 2, 2]


def test_a_time_that_is_skipped_is_later_and_one_that_is_twice_there_is_the_first() -> None:
    nightly = Recurrence(wall(2026, 3, 1, 2, 30), BERLIN, timedelta(hours=1), "FREQ=DAILY")
    gap = nightly.spans(datetime(2026, 3, 29, tzinfo=UTC), datetime(2026, 3, 29, 12, tzinfo=UTC))
    assert [each.start for each in gap] == [datetime(2026, 3, 29, 1, 30, tzinfo=UTC)]  # 03:30 on the wall
    twice = nightly.spans(datetime(2026, 10, 25, tzinfo=UTC), datetime(2026, 10, 25, 12, tzinfo=UTC))
    assert [each.start for each in twice] == [datetime(2026, 10, 25, 0, 30, tzinfo=UTC)]


def test_count_until_and_exceptions() -> None:
    since, until = datetime(2025, 12, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)

    def days(rule: str, **more: frozenset[datetime]) -> list[int]:
        found = Recurrence(wall(2026, 1, 5, 9), ZoneInfo("Asia/Shanghai"), timedelta(hours=1), rule, **more)
        return [each.timetuple().tm_yday for each in found.starts(since, until)]

    assert days("") == [5]
    assert days("FREQ=DAILY;COUNT=3") == [5, 6, 7]
    assert days("FREQ=DAILY;UNTIL=20260107") == [5, 6, 7]
    assert days("FREQ=DAILY;UNTIL=20260107T005959Z") == [5, 6]  # 08:59:59 on the wall
    assert days("FREQ=DAILY;COUNT=3", left_out=frozenset({wall(2026, 1, 6, 9)})) == [5, 7]
    assert days("", added=frozenset({wall(2026, 2, 1, 9)})) == [5, 32]
    assert days("FREQ=MONTHLY;BYDAY=2SA;COUNT=2") == [10, 45]
    assert days("RRULE:FREQ=MONTHLY;BYMONTHDAY=-1;COUNT=2") == [31, 59]


def test_a_rule_that_never_fits_ends() -> None:
    never = Recurrence(wall(2026, 1, 1), BERLIN, timedelta(hours=1), "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30")
    assert never.spans(datetime(2026, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)) == []


@pytest.mark.parametrize(
    "rule",
    [
        "DAILY", "FREQ=HOURLY", "FREQ=SECONDLY", "FREQ=DAILY;COUNT=0", "FREQ=DAILY;COUNT=99999", "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;COUNT=1;UNTIL=20260101", "FREQ=DAILY;UNTIL=20261301", "FREQ=DAILY;UNTIL=soon", "FREQ=DAILY;BYDAY=XX",
        "FREQ=DAILY;FREQ=DAILY", "FREQ=DAILY;BYWEEKNO=1", "FREQ=DAILY\nEXDATE:20260101", "FREQ=DAILY;BYMONTHDAY=99",
        "FREQ=DAILY;BYHOUR=77", "FREQ=DAILY;INTERVAL=٣", "FREQ=DAILY;" + "BYDAY=" + "MO," * 300,
    ],
)  # fmt: skip
def test_what_is_no_rule_is_refused_by_name(rule: str) -> None:
    with pytest.raises(Invalid) as refused:
        parse_rule(rule, BERLIN)
    assert refused.value.field == "rule"


@given(st.text(alphabet="FREQ=DAILYWKBMOTU;,-+0123456789NTVHSPXZ", max_size=60))
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    with suppress(Invalid):
        Recurrence(wall(2026, 1, 1), BERLIN, timedelta(hours=1), text).spans(
            datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)
        )


def test_a_question_has_its_limit() -> None:
    with pytest.raises(Invalid, match="recurrence"):
        now = datetime(2026, 1, 1, tzinfo=UTC)
        Recurrence(wall(2026, 1, 1), BERLIN, timedelta(hours=1)).starts(now, now + MAX_LOOK + timedelta(days=1))
