"""Many reports of one deployment: the order they come in, and how often, makes no difference."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tongchou.changes.deployment import Report
from tongchou.changes.fold import FIELDS, fold

BEGAN = datetime(2026, 11, 28, 10, tzinfo=UTC)
seconds = st.integers(0, 20).map(lambda each: BEGAN + timedelta(seconds=each))


@st.composite
def reports(draw: st.DrawFn) -> Report:
    """Any report of one deployment; its end lies not before its beginning."""
    status = draw(st.sampled_from(["running", "running", "succeeded", "failed", "cancelled"]))
    started = draw(seconds)
    return Report(
        delivery_id="d",
        service="orders",
        version=draw(st.sampled_from(["1", "2"])),
        previous_version="",
        environment=draw(st.sampled_from(["", "live", "test"])),
        status=status,
        started_at=started,
        finished_at=None if status == "running" else started + timedelta(seconds=draw(st.integers(0, 9))),
        url=draw(st.sampled_from(["", "https://ci.example/1", "https://ci.example/2"])),
        actor=draw(st.sampled_from(["", "ann", "bob"])),
        at=draw(seconds),
        stage=draw(st.integers(0, 1)),
        commit_at=draw(st.none() | seconds),
        unplanned=draw(st.booleans()),
        incident_number=draw(st.none() | st.integers(1, 3)),
    )


def folded(many: list[Report]) -> tuple[dict[str, Any], dict[str, str]]:
    """The row and what is known of its fields after all of them."""
    row: dict[str, Any] | None = None
    told: dict[str, str] = {}
    for report in many:
        result = fold(row, told, report)
        row = (row or {**dict.fromkeys(FIELDS), "finished_at": None}) | result.changed
        told = result.told
    assert row is not None
    return row, told


@given(
    st.lists(reports(), min_size=1, max_size=8).flatmap(lambda many: st.tuples(st.just(many), st.permutations(many)))
)
def test_any_order_and_any_repetition_makes_the_same_deployment(both: tuple[list[Report], list[Report]]) -> None:
    in_order, shuffled = both
    row, told = folded(in_order)
    assert folded(shuffled) == (row, told)
    assert folded([*in_order, *shuffled]) == (row, told)
    ends = [each for each in in_order if each.status != "running"]
    assert (row["status"] == "running") == (not ends)
    assert row["started_at"] == min(each.started_at for each in in_order)
    if ends:
        last = max(each.at for each in ends if each.at)
        assert row["status"] == max(each.status for each in ends if each.at == last)
        assert row["finished_at"] >= row["started_at"]
    else:
        assert row["finished_at"] is None


@given(st.lists(reports(), min_size=1, max_size=8))
def test_a_deployment_that_ended_never_runs_again(many: list[Report]) -> None:
    states = [folded(many[: length + 1])[0]["status"] for length in range(len(many))]
    ended = [state != "running" for state in states]
    assert ended == sorted(ended)


@given(reports(), reports())
def test_who_tells_no_time_rewrites_nothing(first: Report, again: Report) -> None:
    timeless = replace(again, at=None, status=first.status, finished_at=first.finished_at, stage=first.stage)
    row, _told = folded([replace(first, at=None), timeless])
    assert (row["version"], row["status"]) == (first.version, first.status)
