"""What consent covers: every part of it counts, the order of what has none does not."""

from __future__ import annotations

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.changes.change_content import Bound, Content, Task

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)
CONTENT = Content(
    kind="normal",
    title="New kernel",
    description="why",
    environment="production",
    template_hash="",
    resources=["a", "b"],
    starts_at=AT,
    ends_at=AT + timedelta(hours=1),
    tasks=[Task("drain"), Task("update", "kernel", "f" * 64, {"version": "6.1"}, ("web-1",))],
    backout="old kernel",
    backout_procedure="",
    backout_hash="",
    verification="uname -r",
    quiet=True,
    exclude_slo=True,
    bound=[Bound("plan", "changes.plan:1", "0" * 64)],
)
OTHER: dict[str, Any] = {
    "kind": "emergency",
    "title": "Newer kernel",
    "description": "because",
    "environment": "staging",
    "template_hash": "1",
    "resources": ["a", "c"],
    "starts_at": AT + timedelta(minutes=1),
    "ends_at": AT + timedelta(hours=2),
    "tasks": [Task("drain")],
    "backout": "none",
    "backout_procedure": "back",
    "backout_hash": "2",
    "verification": "",
    "quiet": False,
    "exclude_slo": False,
    "bound": [Bound("plan", "changes.plan:1", "1" * 64)],
    "runs": {"2": "3" * 64},
}


def test_consent_of_before_there_were_covered_runs_still_counts() -> None:
    assert CONTENT.sha256 == "e8c908497190d5afb53016c710948e273f48647b77fc9ff6f5ccaed3760faf48"


def test_each_part_changes_the_hash() -> None:
    assert set(OTHER) == {each.name for each in fields(Content)}
    hashes = {replace(CONTENT, **{name: value}).sha256 for name, value in OTHER.items()}
    assert len(hashes | {CONTENT.sha256}) == len(OTHER) + 1


def test_the_text_of_a_procedure_counts_and_so_does_the_order_of_tasks() -> None:
    drain, update = CONTENT.tasks
    assert replace(CONTENT, tasks=[update, drain]).sha256 != CONTENT.sha256
    assert replace(CONTENT, tasks=[drain, replace(update, procedure_hash="e" * 64)]).sha256 != CONTENT.sha256


@settings(max_examples=50)
@given(st.permutations(["a", "b", "c", "d"]), st.integers(-12, 12))
def test_order_of_resources_and_the_zone_of_a_time_do_not(order: list[str], hours: int) -> None:
    zone = timezone(timedelta(hours=hours))
    one = replace(CONTENT, resources=sorted(order))
    other = replace(one, resources=order, starts_at=AT.astimezone(zone))
    assert one.sha256 == other.sha256
