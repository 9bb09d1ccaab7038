"""Working time: properties of the sums, and China's published year."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from functools import partial
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.core import public_days
from tongchou.core.problems import Invalid
from tongchou.core.workdays import OFFICE, Hours, Worktime, read_hours, write_hours

ZONES = [
    ZoneInfo(name) for name in ("Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "UTC")
]
CHINA = Worktime(
    ZoneInfo("Asia/Shanghai"),
    day_off=partial(public_days.day_off, "CN"),
    exchanged=partial(public_days.worked_weekend, "CN"),
)
MINUTES = st.integers(0, 24 * 4).map(lambda quarter: quarter * 15)
HOURS = st.lists(st.tuples(MINUTES, MINUTES), max_size=3).map(
    lambda pairs: tuple(sorted({pair for pair in pairs if pair[0] < pair[1]}))
)
DAYS = st.dates(date(2025, 12, 1), date(2026, 12, 31))
MOMENTS = st.datetimes(datetime(2026, 1, 1), datetime(2026, 12, 31), timezones=st.just(UTC)).map(  # noqa: DTZ001  # the strategy adds the zone
    lambda at: at.replace(second=0, microsecond=0)
)


@st.composite
def worktimes(draw: st.DrawFn) -> Worktime:
    week = draw(st.lists(HOURS, min_size=7, max_size=7))
    week[draw(st.integers(0, 6))] = ((9 * 60, 17 * 60),)  # so that there is some
    exceptions = draw(st.dictionaries(DAYS, HOURS.map(lambda hours: (hours, "")), max_size=5))
    return Worktime(draw(st.sampled_from(ZONES)), tuple(week), exceptions=exceptions)


@given(worktimes(), MOMENTS, st.integers(1, 400))
@settings(max_examples=60)
def test_adding_and_measuring_agree(work: Worktime, at: datetime, minutes: int) -> None:
    for seconds in (minutes * 60, -minutes * 60):
        reached = work.add_seconds(at, seconds)
        assert work.seconds_between(at, reached) == pytest.approx(seconds)


@given(worktimes(), MOMENTS, MOMENTS, MOMENTS)
@settings(max_examples=60)
def test_working_time_adds_up(work: Worktime, one: datetime, two: datetime, three: datetime) -> None:
    assert work.seconds_between(one, three) == pytest.approx(
        work.seconds_between(one, two) + work.seconds_between(two, three)
    )


@given(worktimes(), DAYS, st.integers(0, 30), st.integers(0, 30))
@settings(max_examples=60)
def test_workdays_add_up_and_count_back(work: Worktime, day: date, one: int, two: int) -> None:
    start = work.add_workdays(day, 0)
    assert work.add_workdays(start, one + two) == work.add_workdays(work.add_workdays(start, one), two)
    later = work.add_workdays(start, one)
    assert work.workdays_between(start, later) == one
    assert work.add_workdays(later, -one) == start


@given(HOURS)
def test_hours_are_written_as_they_are_read(hours: Hours) -> None:
    overlap = any(one[1] > other[0] for one, other in itertools.pairwise(hours))
    if overlap:
        with pytest.raises(Invalid):
            read_hours(write_hours(hours), "hours")
    else:
        assert read_hours(write_hours(hours), "hours") == hours


@pytest.mark.parametrize(
    "bad",
    [
        None,
        [["9", "10:00"]],
        [["10:00", "09:00"]],
        [["00:00", "24:01"]],
        [["09:60", "10:00"]],
        [5],
        [["٩:00", "10:00"]],
    ],
)
def test_bad_hours_name_the_field(bad: object) -> None:
    with pytest.raises(Invalid) as refused:
        read_hours(bad, "hours[2]")
    assert refused.value.field == "hours[2]"


def test_china_s_spring_festival_of_2026_with_its_worked_weekends() -> None:
    """By the State Council's notice: off from 15 to 23 February; the Saturdays 14 and 28 are worked."""
    assert [CHINA.day(date(2026, 2, day)).working for day in range(13, 25)] == [True, True, *[False] * 9, True]
    assert CHINA.day(date(2026, 2, 14)).reason == "exchanged"
    assert CHINA.day(date(2026, 2, 17)).note == "春节"
    assert CHINA.is_workday(date(2026, 2, 28))
    assert CHINA.add_workdays(date(2026, 2, 13), 2) == date(2026, 2, 24)
    assert (
        CHINA.seconds_between(datetime(2026, 2, 14, tzinfo=CHINA.zone), datetime(2026, 2, 15, tzinfo=CHINA.zone))
        == 8 * 3600
    )


def test_the_working_days_of_2025_are_those_published() -> None:
    """2025 has 248 workdays: 365 days, 104 of weekends, 28 off by decree minus the weekends in them, 5 weekends worked."""
    assert CHINA.workdays_between(date(2025, 1, 1), date(2026, 1, 1)) == 248


def test_a_year_without_a_decree_is_said_to_be_open() -> None:
    assert public_days.settled("CN", 2026)
    assert not public_days.settled("CN", 2090)
    assert public_days.settled("DE", 2090)


def test_an_exception_wins() -> None:
    work = Worktime(CHINA.zone, OFFICE, CHINA.day_off, CHINA.exchanged, {date(2026, 2, 17): (((600, 720),), "release")})
    assert (work.day(date(2026, 2, 17)).reason, work.day(date(2026, 2, 17)).note) == ("exception", "release")
    assert work.is_workday(date(2026, 2, 17))


def test_a_calendar_without_hours_is_given_up_with_a_reason() -> None:
    idle = Worktime(CHINA.zone, ((),) * 7)
    with pytest.raises(Invalid, match="no_working_time"):
        idle.add_seconds(datetime(2026, 1, 1, tzinfo=UTC), 1)
    with pytest.raises(Invalid, match="no_workday"):
        idle.add_workdays(date(2026, 1, 1), 1)


def test_an_unknown_country_names_the_field() -> None:
    with pytest.raises(Invalid) as refused:
        public_days.check_country("XX")
    assert refused.value.field == "country"
    assert {"CN", "DE", "US"} <= set(public_days.countries())


def test_half_a_day_across_a_change_of_clocks_is_half_a_day_of_seconds() -> None:
    night = Worktime(ZoneInfo("Europe/Berlin"), (((0, 24 * 60),),) * 7)
    begin = datetime(2026, 3, 29, tzinfo=night.zone)
    assert night.seconds_between(begin, begin + timedelta(days=1)) == 23 * 3600
