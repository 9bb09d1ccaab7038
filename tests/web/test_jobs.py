"""The page of jobs: what failed and what helps, what comes next, trying again and taking back."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.web.foreign import SYSTEM, member_of
from tongchou.core import job_control, people
from tongchou.core.models import Event, Job, JobState, Role


@pytest.fixture
def rows(db: None) -> dict[str, Job]:
    """A dead job and a waiting one."""
    error = "ConnectError: connection refused"
    return {
        "dead": Job.objects.create(name="alerting.notify", state=JobState.DEAD, attempts=5, error=error),
        "queued": Job.objects.create(name="incidents.rank_suspects"),
    }


def test_what_failed_stands_with_what_helps(browser: Any, rows: dict[str, Job]) -> None:
    client = browser(Role.VIEWER)
    text = client.get("/jobs").content.decode()
    for word in ("alerting.notify", "connection refused", "cannot be reached", "incidents.rank_suspects", "Next run"):
        assert word in text
    assert "/retry" not in text  # a viewer has no button
    assert client.post(f"/jobs/{rows['dead'].pk}/retry").status_code == 403
    filtered = client.get("/jobs?part=live&state=dead").content.decode()
    assert "cannot be reached" in filtered
    assert "Take back" not in filtered


def test_a_dead_job_is_tried_again_and_a_waiting_one_taken_back(browser: Any, rows: dict[str, Job]) -> None:
    client = browser(Role.ADMIN)
    assert client.post(f"/jobs/{rows['dead'].pk}/retry").status_code == 302
    assert client.post(f"/jobs/{rows['dead'].pk}/retry").status_code == 409
    assert client.post(f"/jobs/{rows['queued'].pk}/cancel").status_code == 302
    assert client.post(f"/jobs/{rows['queued'].pk}/cancel").status_code == 409
    for row in rows.values():
        row.refresh_from_db()
    assert (rows["dead"].state, rows["queued"].state) == (JobState.QUEUED, JobState.DEAD)
    assert "cancelled by" in rows["queued"].error
    assert set(Event.objects.filter(verb__startswith="job.").values_list("verb", flat=True)) == {
        "job.retried",
        "job.cancelled",
    }


def test_jobs_have_no_owner_so_a_teams_role_does_not_open_them(browser: Any, rows: dict[str, Job]) -> None:
    ours = people.create_team(actor=SYSTEM, name="ours")
    assert browser(member_of(ours, Role.VIEWER)).get("/jobs").status_code == 403


def test_every_periodic_job_and_duty_has_its_turn(db: None) -> None:
    turns = job_control.schedule()
    assert {turn.kind for turn in turns} == {"periodic", "duty"}
    assert all(turn.next_run_at is not None for turn in turns if turn.kind == "periodic")


@pytest.mark.parametrize("error", ["", "LookupError: no job is registered as 'x'", "ValueError: x"])
def test_an_error_has_a_remedy(error: str) -> None:
    assert bool(job_control.remedy(error)) == bool(error)


def test_older_jobs_follow_without_gap_or_repeat_while_new_ones_come(browser: Any) -> None:
    at = timezone.now()
    made = [Job(name=f"tests.n{number:03d}", created_at=at - timedelta(seconds=number // 3)) for number in range(120)]
    Job.objects.bulk_create(made)
    client, seen, path = browser(Role.VIEWER), [], "/jobs?part=live"
    while path:
        text = client.get(path).content.decode()
        seen += re.findall(r">(tests\.n\d{3})<", text.partition("Schedule")[0])
        Job.objects.create(name="tests.new")
        found = re.search(r'href="([^"]*after=[^"]+)" rel="next"', text)
        path = f"/jobs{html.unescape(found[1])}&part=live" if found else ""
    assert sorted(set(seen)) == [each.name for each in made]
    for nonsense in ("x", "2026-01-01,1", "0001-01-01T00:00:00,2", ",", "9999-12-31T23:59:59-14:00,x"):
        assert client.get("/jobs", {"after": nonsense}).status_code == 200
