"""Deployments that happened, from a file: told once, never rewritten, never in the name of a release tool."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.importing import done, edited, errors, exported, planned, plans, undone
from tests.web.foreign import member_of
from tongchou.changes.models import Deployment
from tongchou.core import field_definitions, people
from tongchou.core.access import Actor, actor_for_user, system
from tongchou.core.lists import batches
from tongchou.core.models import Event, Role
from tongchou.core.problems import AccessDenied
from tongchou.inventory import actions as inventory

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
SYSTEM = system("tests")
KIND = "changes.deployment"
NOW = datetime(2026, 11, 2, 8, tzinfo=UTC)
FILE = (
    "service,version,started,finished,status,environment,by\n"
    "orders,1.3,2026-10-01 10:00:00,2026-10-01 10:05:00,success,prod,zhang\n"
    "orders,=1.4,2026-10-02T10:00:00+08:00,2026-10-02T10:09:00+08:00,failed,prod,\n"
)


@pytest.fixture(autouse=True)
def _then() -> Any:
    with time_machine.travel(NOW, tick=False):
        yield


def test_history_comes_in_once_and_stays(operator_actor: Actor) -> None:
    service = inventory.create_resource(actor=SYSTEM, kind="service", name="orders")
    batch = done(operator_actor, KIND, FILE)
    first, second = Deployment.objects.order_by("started_at")
    assert (first.service, first.source, first.status, first.actor_name) == (service, "import", "succeeded", "zhang")
    assert (second.version, second.previous_version) == ("=1.4", "1.3")
    assert second.started_at == datetime(2026, 10, 2, 2, tzinfo=UTC)
    told = Event.objects.filter(verb="deployment.finished", correlation_id=str(batch.pk))
    assert next((each.actor_name, each.at) for each in told.order_by("at")) == ("operator", first.finished_at)
    assert plans(planned(operator_actor, KIND, FILE)) == ["unchanged", "unchanged"]
    for format_ in ("csv", "xlsx", "json"):
        again = planned(operator_actor, KIND, exported(operator_actor, KIND, format_), f"x.{format_}")
        assert plans(again) == ["unchanged", "unchanged"], format_
    assert not batches.may_undo(batch)


def test_one_version_may_be_deployed_many_times_but_one_delivery_once(operator_actor: Actor) -> None:
    text = (
        "service,version,started,finished,environment\n"
        "orders,1.3,2026-10-01 10:00:00,2026-10-01 10:05:00,staging\n"
        "orders,1.3,2026-10-02 10:00:00,2026-10-02 10:05:00,prod\n"
        "orders,1.3,2026-10-05 10:00:00,2026-10-05 10:05:00,prod\n"
    )
    done(operator_actor, KIND, text)
    assert Deployment.objects.filter(version="1.3").count() == 3
    twice = "service,version,started,status,delivery\na,1,2026-10-01 10:00:00,running,7\na,2,2026-10-02 10:00:00,running,7\n"
    assert plans(planned(operator_actor, KIND, twice)) == ["create", "refused"]


def test_only_custom_fields_of_what_happened_change_and_they_are_put_back(operator_actor: Actor) -> None:
    ticket = field_definitions.Draft(label={"en": "Ticket"})
    field_definitions.create(actor=SYSTEM, kind=KIND, name="ticket", type_="text", draft=ticket)
    done(operator_actor, KIND, FILE)
    file = exported(operator_actor, KIND)
    assert set(
        errors(planned(operator_actor, KIND, edited(file, lambda _row: {"version": "2"}), "x.json")).values()
    ) == {"version"}
    batch = done(operator_actor, KIND, edited(file, lambda _row: {"cf.ticket": "OPS-1"}), "x.json")
    assert [row.custom for row in Deployment.objects.all()] == [{"ticket": "OPS-1"}] * 2
    assert undone(operator_actor, batch) == {"undone": 2}
    assert [row.custom for row in Deployment.objects.all()] == [{}, {}]


def test_wrong_rows_are_told_by_number_and_field(operator_actor: Actor) -> None:
    text = (
        "service,version,started,finished,status,source,url\n"
        ",1,2026-10-01 10:00:00,2026-10-01 10:05:00,,,\n"
        "a,,2026-10-01 10:00:00,2026-10-01 10:05:00,,,\n"
        "a,1,,2026-10-01 10:05:00,,,\n"
        "a,1,2026-10-01 10:00:00,,,,\n"
        "a,1,2026-10-01 10:00:00,2026-10-01 09:05:00,,,\n"
        "a,1,2020-10-01 10:00:00,2020-10-01 10:05:00,,,\n"
        "a,1,2026-10-01 10:00:00,2026-10-01 10:05:00,perhaps,,\n"
        "a,1,2026-10-01 10:00:00,2026-10-01 10:05:00,,jenkins,\n"
        "a,1,yesterday,2026-10-01 10:05:00,,,\n"
        "a,1,2026-10-01 10:00:00,2026-10-01 10:05:00,,,ftp://x\n"
    )
    wrong = errors(planned(operator_actor, KIND, text))
    names = ["service", "version", "started", "finished", "started", "finished", "status", "source", "started", "url"]
    assert wrong == dict(zip(range(2, 12), names, strict=True))
    assert not Deployment.objects.exists()


def test_who_may_not_record_one_may_not_import_one(viewer_actor: Actor) -> None:
    with pytest.raises(AccessDenied):
        planned(viewer_actor, KIND, FILE)
    team = people.create_team(actor=SYSTEM, name="ours")
    member = actor_for_user(member_of(team, Role.OPERATOR))
    batch = planned(member, KIND, FILE)
    assert plans(batch) == ["refused", "refused"], "a deployment belongs to whom its service belongs; by hand the same"


FEW = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=8)


@given(
    st.lists(
        st.tuples(WORDS, WORDS, st.integers(1, 300), st.integers(0, 1000), st.sampled_from(["failed", "succeeded"])),
        min_size=1,
        max_size=4,
        unique_by=lambda each: each[:3],
    ),
    st.sampled_from(["csv", "xlsx", "json"]),
)
@FEW
def test_what_was_exported_is_imported_without_a_change(operator_actor: Actor, made: Any, format_: str) -> None:
    Deployment.objects.all().delete()
    for place, (service, version, days, lasted, status) in enumerate(made):
        start = NOW - timedelta(days=days, microseconds=place * 100_001)
        Deployment.objects.create(
            source="ci",
            delivery_id=str(place),
            service_name=service,
            version=version,
            status=status,
            started_at=start,
            finished_at=start + timedelta(seconds=lasted),
        )
    batch = planned(operator_actor, KIND, exported(operator_actor, KIND, format_), f"x.{format_}")
    assert [(row.label, row.before, row.after, row.error) for row in batch.rows.exclude(plan="unchanged")] == []
    assert batch.rows.count() == len(made)
