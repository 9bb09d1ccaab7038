"""DORA's five against a naive model; what is not known is None with its reason, never 0."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import translation
from hypothesis import given, settings
from hypothesis import strategies as st

from tongchou.assurance.dora import Blame, Deployed, five, news
from tongchou.assurance.dora_reads import dora
from tongchou.assurance.dora_words import METRICS, number_of, why
from tongchou.changes.models import Deployment
from tongchou.core.access import actor_for_user, system
from tongchou.core.models import Membership, Role, Team, User
from tongchou.core.problems import Invalid
from tongchou.incidents.models import AffectedResource, Incident
from tongchou.incidents.models_caused import CausedBy
from tongchou.inventory.models import Resource

TESTS = system("tests")
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
hours = st.integers(1, 24 * 100)


def ago(hours: float) -> datetime:
    return NOW - timedelta(hours=hours)


def deployed(at: float, **more: Any) -> Deployed:
    return Deployed(id=uuid.uuid4(), title="orders 2", started_at=ago(at + 0.1), at=ago(at), **more)


def test_of_nothing_nothing_is_known_and_frequency_is_none_at_all() -> None:
    empty = five([], 30)
    assert [number_of(empty, each).value for each in METRICS] == [None, 0, None, None, None]
    assert empty.lead_time.reason == empty.fail_rate.reason == "no_deployment"


def test_lead_time_is_the_median_over_commits_and_says_how_many_have_no_time() -> None:
    numbers = five(
        [
            deployed(2, commits=(("a", ago(4)), ("b", ago(12)), ("c", None))),
            deployed(1, commits=(("d", ago(4)),)),
            deployed(1, commits=(("e", ago(0)),)),  # later than its deployment: a wrong clock, not 0
        ],
        30,
    )
    assert numbers.lead_time.value == pytest.approx(3 * 3600)
    assert (numbers.lead_time.known, numbers.lead_time.of) == (3, 5)
    with translation.override("en"):
        assert why("lead_time", numbers.lead_time) == "no commit time known for 2 of 5 commits"
    unknown = five([deployed(1, commits=(("a", None),))], 30)
    assert (unknown.lead_time.value, unknown.lead_time.reason) == (None, "no_commit_time")


def test_recovery_runs_from_production_or_from_the_harm_to_the_last_end() -> None:
    late = deployed(5, blames=(Blame(1, ago(4.5), ago(4)), Blame(2, ago(4), ago(3))))
    assert five([late], 7).recovery_time.value == pytest.approx(2 * 3600)
    rolling = Deployed(uuid.uuid4(), "x", ago(6), ago(4), blames=(Blame(1, ago(5), ago(3)),))
    assert five([rolling], 7).recovery_time.value == pytest.approx(2 * 3600)
    on = five([deployed(5, blames=(Blame(1, ago(4), None),))], 7)
    assert (on.recovery_time.value, on.recovery_time.reason, on.fail_rate.value) == (None, "not_recovered", 1.0)


def test_rework_wants_the_word_and_the_incident() -> None:
    rows = [
        deployed(1, unplanned=True, incident_number=7),
        deployed(2, unplanned=True),
        deployed(3, incident_number=7),
        deployed(4),
    ]
    numbers = five(rows, 7)
    assert (numbers.rework_rate.value, numbers.unplanned_unexplained) == (0.25, 1)


def test_a_commit_is_news_once() -> None:
    seen: set[str] = {"old"}
    assert news([{"sha": "a"}, {"sha": "old"}], "a", NOW, seen) == [("a", NOW)]
    assert news([], "a", NOW, seen) == []
    assert news([], "", None, seen) == [("", None)]


@pytest.mark.django_db
def test_only_production_counts_and_services_are_not_blended() -> None:
    for name, environment, tier in (
        ("orders", "production", ""),
        ("orders", "Live", ""),
        ("orders", "", ""),
        ("orders", "eu-1", "production"),
        ("orders", "staging", ""),
        ("orders", "production", "staging"),
        ("carts", "prod", ""),
    ):
        _write(name, 5, environment=environment, tier=tier)
    counted = {each.name: len(each.five.rows) for each in dora(TESTS, days=7, now=NOW)}
    assert counted == {"orders": 4, "carts": 1}


def _write(name: str, at: float, **more: Any) -> Deployment:
    """A deployment in the database that ended so many hours ago."""
    fields = {"version": "2", "status": "succeeded", "started_at": ago(at + 0.1), "finished_at": ago(at), **more}
    return Deployment.objects.create(source="ci", delivery_id=uuid.uuid4().hex, service_name=name, **fields)


def _incident(number: int, began: float, ended: float | None, *caused: Deployment) -> Incident:
    row = Incident.objects.create(
        number=number,
        title="x",
        started_at=ago(began),
        opened_at=ago(began),
        recovered_at=None if ended is None else ago(ended),
    )
    for each in caused:
        CausedBy.objects.create(incident=row, ref=f"changes.deployment:{each.pk}", named_by_name="ann")
    return row


@pytest.mark.django_db
def test_a_commit_that_was_in_production_before_is_no_news_and_a_rollback_brings_none() -> None:
    _write("orders", 24 * 40, commit_sha="a", commit_at=ago(24 * 41))
    _write("orders", 5, commit_sha="a", commit_at=ago(24 * 41))  # deployed once more
    _write("orders", 4, commit_sha="b", commit_at=ago(6))
    _write("orders", 3, commit_sha="a", commit_at=ago(24 * 41), rollback=True)
    _write("carts", 5, commit_sha="a", commit_at=ago(6))  # the same repository, another service
    numbers = {each.name: each.five for each in dora(TESTS, days=30, now=NOW)}
    assert numbers["orders"].lead_time.value == pytest.approx(2 * 3600)
    assert numbers["orders"].frequency.of == 3
    assert numbers["carts"].lead_time.value == pytest.approx(3600)


@pytest.mark.django_db
def test_an_incident_near_a_deployment_is_no_link_but_is_told() -> None:
    service = Resource.objects.create(kind="service", name="orders")
    _write("orders", 5, service=service)
    incident = _incident(1, 4.9, 4)
    AffectedResource.objects.create(incident=incident, resource=service, role="symptom")
    (found,) = dora(TESTS, days=7, now=NOW)
    assert (found.five.fail_rate.value, found.five.recovery_time.reason, found.incidents_unnamed) == (0, "no_failed", 1)


@pytest.mark.django_db
def test_a_deployment_that_failed_counts_only_when_an_incident_names_it() -> None:
    failed = _write("orders", 5, status="failed", commit_sha="a", commit_at=ago(9))
    _write("orders", 6, status="failed")
    _write("orders", 7)
    _incident(1, 5, 4, failed)
    (found,) = dora(TESTS, days=7, now=NOW)
    assert (found.five.frequency.of, found.five.fail_rate.value, found.five.lead_time.of) == (2, 0.5, 1)


@pytest.mark.django_db
def test_a_team_sees_its_services_and_one_service_is_found_by_its_key() -> None:
    team = Team.objects.create(name="storage")
    mine = Resource.objects.create(kind="service", name="archive", owner=team)
    _write("archive", 5, service=mine)
    _write("orders", 5)
    user = User.objects.create(username="keeper")
    Membership.objects.create(user=user, team=team, role=Role.VIEWER)
    assert [each.name for each in dora(actor_for_user(user), days=7, now=NOW)] == ["archive"]
    assert [each.name for each in dora(TESTS, days=7, now=NOW, key=str(mine.pk))] == ["archive"]
    assert [each.name for each in dora(TESTS, days=7, now=NOW, key="name:orders")] == ["orders"]
    assert dora(TESTS, days=7, now=NOW, key="nonsense") == []
    with pytest.raises(Invalid):
        dora(TESTS, days=8, now=NOW)


@pytest.mark.django_db
def test_a_hundred_services_cost_what_one_costs() -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as caught:
            dora(TESTS, days=90, now=NOW)
        return len(caught)

    dora(TESTS, days=90, now=NOW)
    service = Resource.objects.create(kind="service", name="s")
    _write("s", 1, service=service)
    few = queries()
    rows = [
        Deployment(
            source="ci", delivery_id=f"{name}-{day}", service_name=f"s{name}", version=str(day), status="succeeded",
            commit_sha=f"{name}-{day}", commit_at=ago(24 * day + 2), started_at=ago(24 * day + 1), finished_at=ago(24 * day),
        )
        for name in range(100)
        for day in range(1, 21)
    ]  # fmt: skip
    Deployment.objects.bulk_create(rows)
    assert queries() == few <= 7
    assert len(dora(TESTS, days=30, now=NOW)) == 101


@st.composite
def histories(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Deployments of two services; incidents name some."""
    return draw(
        st.lists(
            st.fixed_dictionaries(
                {
                    "service": st.sampled_from(["orders", "carts"]),
                    "at": hours,
                    "environment": st.sampled_from(["production", "production", "test"]),
                    "status": st.sampled_from(["succeeded", "succeeded", "failed", "running"]),
                    "sha": st.sampled_from(["", "a", "b", "c", "d"]),
                    "lead": st.none() | st.integers(1, 50),
                    "hotfix": st.booleans(),
                    "incident": st.none() | st.integers(1, 9),
                    "recovers": st.none() | st.integers(1, 9),
                }
            ),
            max_size=8,
            unique_by=lambda each: each["at"],
        )
    )


def _naive(history: list[dict[str, Any]], service: str, days: int) -> list[float | None]:
    """The five, as somebody would count them on paper."""
    mine = sorted(
        (each for each in history if each["service"] == service and each["environment"] == "production"),
        key=lambda each: -each["at"],
    )
    counted, leads, seen = [], [], set()
    for each in mine:
        inside = each["at"] <= 24 * days
        if each["status"] == "succeeded":
            if inside and each["lead"] is not None and (not each["sha"] or each["sha"] not in seen):
                leads.append(each["lead"] * 3600.0)
            if each["sha"]:
                seen.add(each["sha"])
        if inside and (each["status"] == "succeeded" or (each["status"] == "failed" and each["incident"])):
            counted.append(each)
    recoveries = [each["recovers"] * 3600.0 for each in counted if each["incident"] and each["recovers"]]

    def middle(values: list[float]) -> float | None:
        values = sorted(values)
        if not values:
            return None
        return (values[(len(values) - 1) // 2] + values[len(values) // 2]) / 2

    share = (lambda part: part / len(counted)) if counted else (lambda part: None)
    return [
        middle(leads),
        len(counted) / days,
        middle(recoveries),
        share(sum(bool(each["incident"]) for each in counted)),
        share(sum(each["hotfix"] for each in counted)),
    ]


@pytest.mark.django_db
@settings(max_examples=25)
@given(histories(), st.sampled_from([7, 30, 90]))
def test_the_five_are_what_one_counts_on_paper(history: list[dict[str, Any]], days: int) -> None:
    CausedBy.objects.all().delete()
    Incident.objects.all().delete()
    Deployment.objects.all().delete()
    for number, each in enumerate(history):
        row = _write(
            each["service"],
            each["at"],
            environment=each["environment"],
            status=each["status"],
            commit_sha=each["sha"],
            commit_at=None if each["lead"] is None else ago(each["at"] + each["lead"]),
            unplanned=each["hotfix"],
            incident_number=7 if each["hotfix"] else None,
        )
        if each["status"] == "running":
            Deployment.objects.filter(pk=row.pk).update(finished_at=None)
        if each["incident"]:
            recovers = each["at"] - each["recovers"] if each["recovers"] else None
            _incident(number + 1, each["at"], recovers, row)
    found = {each.name: each.five for each in dora(TESTS, days=days, now=NOW)}
    for service in ("orders", "carts"):
        expected = _naive(history, service, days)
        numbers = found.get(service, five([], days))
        assert [number_of(numbers, metric).value for metric in METRICS] == pytest.approx(expected)
