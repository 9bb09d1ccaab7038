"""Counting green days: against a model that looks at every single instant, in zones with and without clock changes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tongchou.incidents.improvements_proof import (
    GREEN,
    NO_DATA,
    RED,
    Look,
    Span,
    bounds,
    count,
    cut,
    days,
    extended,
    on_grid,
    proof,
)

ZONES = ["Asia/Shanghai", "UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
# a spring and an autumn in which clocks change in the zones above
STARTS = st.sampled_from([datetime(2026, 3, 6, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC)])


@st.composite
def histories(draw: st.DrawFn) -> tuple[ZoneInfo, int, int, int, list[Look]]:
    """(zone, interval, since, until, looks): runs of states on the grid, with holes where nobody looked."""
    zone = ZoneInfo(draw(st.sampled_from(ZONES)))
    interval = draw(st.sampled_from([900, 1800, 3600]))
    since = int(draw(STARTS).timestamp()) + draw(st.integers(0, 30 * 86_400))
    looks: list[Look] = []
    at = on_grid(since - 1, interval) + interval
    for state, hours, hole in draw(
        st.lists(
            st.tuples(st.sampled_from([GREEN, GREEN, GREEN, RED, NO_DATA]), st.integers(0, 60), st.booleans()),
            min_size=1,
            max_size=6,
        )
    ):
        for _ in range(hours * 3600 // interval + 1):
            looks.append(Look(at, state))
            at += interval
        if hole and draw(st.integers(0, 3)) == 0:
            at += interval * draw(st.integers(1, 5))
    return zone, interval, since, looks[-1].at, looks


def naive(zone: ZoneInfo, interval: int, since: int, until: int, looks: list[Look]) -> list[tuple[date, str, bool]]:
    """Day by day, look by look, by the definition: nothing clever."""
    seen = {look.at: look.state for look in looks}
    found = []
    day = datetime.fromtimestamp(since, zone).date()
    while day <= datetime.fromtimestamp(until, zone).date():
        begin = datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()
        after = day + timedelta(days=1)
        end = datetime(after.year, after.month, after.day, tzinfo=zone).timestamp()
        grid = [at for at in range(on_grid(begin, interval), int(end) + 1, interval) if begin <= at < end]
        due = [at for at in grid if since <= at <= until]
        states = [seen.get(at, NO_DATA) for at in due]
        state = "" if not due else RED if RED in states else NO_DATA if NO_DATA in states else GREEN
        found.append((day, state, due == grid))
        day = after
    return found


@given(histories())
def test_the_strip_is_what_looking_at_every_instant_gives(history) -> None:
    zone, interval, since, until, looks = history
    spans = spans_of(looks, interval)
    strip = days(spans, since=since, until=until, interval=interval, zone=zone)
    assert [(each.day, each.state, each.complete) for each in strip] == naive(*history)


@given(histories(), st.integers(1, 5))
def test_proven_means_that_every_look_of_the_last_days_was_green(history, needed) -> None:
    zone, interval, since, until, looks = history
    strip = days(spans_of(looks, interval), since=since, until=until, interval=interval, zone=zone)
    found = proof(strip, needed)
    model = naive(*history)
    whole = [each for each in model if each[2]]
    if found.proven:
        last = whole[-needed:]
        assert len(last) == needed
        assert all(state == GREEN for _day, state, _complete in last)
        assert all(state in (GREEN, "") for day, state, _complete in model if day >= last[0][0])
        seen = {look.at: look.state for look in looks}
        begin, _end = bounds(last[0][0], zone)
        assert all(seen.get(at) == GREEN for at in range(on_grid(begin - 1, interval) + interval, until + 1, interval))
    assert found.left + min(found.green, needed) == needed


def spans_of(looks: list[Look], interval: int, *, pieces: int = 3) -> list[Span]:
    """Write looks the way the platform does, some at a time."""
    written: list[Span] = []
    for number in range(0, len(looks), max(1, len(looks) // pieces)):
        some = looks[number : number + max(1, len(looks) // pieces)]
        made = extended(written[-1] if written else None, some, interval)
        if written and made and made[0].begins == written[-1].begins:
            written.pop()
        written += made
    return written


@given(histories(), st.integers(1, 20), st.integers(1, 20))
def test_how_the_looks_were_taken_in_turns_makes_no_difference(history, one, other) -> None:
    _zone, interval, _since, _until, looks = history
    assert spans_of(looks, interval, pieces=one) == spans_of(looks, interval, pieces=other)


@given(histories(), st.floats(0, 1))
def test_a_clock_set_back_forgets_what_came_after_and_nothing_else(history, share) -> None:
    zone, interval, since, until, looks = history
    after = int(since + (until - since) * share)
    kept = cut(spans_of(looks, interval), after=after, interval=interval)
    again = spans_of([look for look in looks if look.at <= after], interval)
    assert kept == again
    strips = [days(each, since=since, until=after, interval=interval, zone=zone) for each in (kept, again)]
    assert strips[0] == strips[1]


@given(st.integers(-10_000, 10_000), st.integers(-10_000, 10_000), st.integers(1, 500))
def test_counting_looks(begin: int, end: int, interval: int) -> None:
    assert count(begin, end, interval) == sum(1 for at in range(begin, end) if at % interval == 0)


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 29), 23), (date(2026, 10, 25), 25), (date(2026, 5, 1), 24)])
def test_a_day_on_which_clocks_change_is_one_day_of_its_own_length(day: date, hours: int) -> None:
    zone = ZoneInfo("Europe/Berlin")
    begin, end = bounds(day, zone)
    assert end - begin == hours * 3600
    spans = [Span(GREEN, begin, end - 300)]
    [strip] = days(spans, since=begin, until=end - 300, interval=300, zone=zone)
    assert (strip.state, strip.complete, strip.looks) == (GREEN, True, hours * 12)
    assert proof([strip], 1).proven
    short = days([Span(GREEN, begin, end - 600)], since=begin, until=end - 600, interval=300, zone=zone)
    assert not proof(short, 1).proven


def test_one_missing_look_is_no_data_and_breaks_the_count() -> None:
    zone = ZoneInfo("UTC")
    begin, end = bounds(date(2026, 1, 5), zone)
    spans = [Span(GREEN, begin, begin + 3600), Span(GREEN, begin + 4200, end + 86_400 - 300)]
    strip = days(spans, since=begin, until=end + 86_400 - 300, interval=300, zone=zone)
    assert [(each.state, each.no_data) for each in strip] == [(NO_DATA, 1), (GREEN, 0)]
    found = proof(strip, 2)
    assert (found.green, found.left, found.broken) == (1, 1, strip[0])
