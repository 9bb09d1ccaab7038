"""Improvements from a file: as by hand, known by number or by incident and title; round trip, refusals, way back."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.conftest import make_user
from tests.importing import done, edited, errors, exported, planned, plans, told, undone
from tests.web.foreign import member_of
from tongchou.core import field_definitions, people
from tongchou.core.access import Actor, actor_for_user, system
from tongchou.core.lists import batches
from tongchou.core.models import Event, Membership, Role, User
from tongchou.core.problems import AccessDenied, Conflict
from tongchou.incidents import improvements_actions as actions
from tongchou.incidents.improvements_draft import Draft
from tongchou.incidents.models import AffectedResource, Improvement, Incident, Postmortem
from tongchou.inventory import actions as inventory

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
SYSTEM = system("tests")
KIND = "incidents.improvement"
HEAD = "incident,title,kind,priority,owner,due,check_query,check_is,no_check_reason\n"
REASON = "nobody can measure it"


@pytest.fixture
def incident() -> Incident:
    return written(7)


def written(number: int, owner: Any = None) -> Incident:
    row = Incident.objects.create(number=number, title="down", severity="critical", started_at=timezone.now())
    if owner is not None:
        host = inventory.create_resource(actor=SYSTEM, kind="host", name=f"host-{number}", owner=owner)
        AffectedResource.objects.create(incident=row, resource=host, role="cause")
    Postmortem.objects.create(
        incident=row, facts={}, facts_at=timezone.now(), created_by_name="tests", updated_by_name="tests"
    )
    return row


def test_new_ones_come_in_and_the_same_file_changes_nothing(operator_actor: Actor, incident: Incident) -> None:
    people.create_team(actor=SYSTEM, name="shop")
    text = (
        HEAD + f"7,watch the queue,detect,1,operator,2026-12-01,,,{REASON}\n"
        '7,=fewer retries,prevent,2,team:shop,2026-12-24,sum(increase(retries_total[1h])),< 5,"not kept: has a check"\n'
    )
    batch = done(operator_actor, KIND, text)
    assert plans(batch) == ["create", "create"]
    first, second = Improvement.objects.order_by("number")
    assert (str(first.owner), first.due_on, first.kind) == ("operator", date(2026, 12, 1), "detect")
    assert (str(second.owner_team), second.check_is, second.no_check_reason) == ("shop", "< 5", "")
    assert Event.objects.filter(verb="improvement.added", correlation_id=str(batch.pk)).count() == 2
    assert plans(planned(operator_actor, KIND, text)) == ["unchanged", "unchanged"]
    assert plans(planned(operator_actor, KIND, exported(operator_actor, KIND))) == ["unchanged", "unchanged"]
    actions.begin(actor=operator_actor, improvement=first)
    assert undone(operator_actor, batch) == {"undone": 1, "kept": 1}
    assert list(Improvement.objects.all()) == [first]


def test_an_export_that_was_changed_is_imported_and_undone(operator_actor: Actor, incident: Incident) -> None:
    ticket = field_definitions.Draft(label={"en": "Ticket"})
    field_definitions.create(actor=SYSTEM, kind=KIND, name="ticket", type_="text", draft=ticket)
    done(
        operator_actor,
        KIND,
        HEAD + f"7,a,detect,1,operator,2026-12-01,,,{REASON}\n7,b,detect,1,operator,2026-12-01,,,{REASON}\n",
    )
    before = list(
        Improvement.objects.order_by("number").values("title", "due_on", "custom", "owner", "no_check_reason")
    )
    file = edited(
        exported(operator_actor, KIND),
        lambda row: (
            {"title": "a better one", "due": "2027-01-31", "cf.ticket": "=OPS-1"} if row["title"] == "a" else {}
        ),
    )
    batch = done(operator_actor, KIND, file, "i.json")
    assert sorted(plans(batch)) == ["change", "unchanged"]
    row = Improvement.objects.get(title="a better one")
    assert (row.due_on, row.custom) == (date(2027, 1, 31), {"ticket": "=OPS-1"})
    for format_ in ("csv", "xlsx", "json"):
        again = planned(operator_actor, KIND, exported(operator_actor, KIND, format_), f"x.{format_}")
        assert plans(again) == ["unchanged", "unchanged"], format_
    assert undone(operator_actor, batch) == {"undone": 1}
    after = list(Improvement.objects.order_by("number").values("title", "due_on", "custom", "owner", "no_check_reason"))
    assert after == before


def test_wrong_rows_are_told_by_number_and_field(operator_actor: Actor, incident: Incident) -> None:
    text = (
        HEAD
        + f"7,good,detect,1,operator,2026-12-01,,,{REASON}\n"
        + f"8,no such incident,detect,1,operator,2026-12-01,,,{REASON}\n"
        + f"seven,no number,detect,1,operator,2026-12-01,,,{REASON}\n"
        + f"7,kind,magic,1,operator,2026-12-01,,,{REASON}\n"
        + f"7,owner,detect,1,nobody,2026-12-01,,,{REASON}\n"
        + f"7,no owner,detect,1,,2026-12-01,,,{REASON}\n"
        + f"7,day,detect,1,operator,2026-13-41,,,{REASON}\n"
        + "7,no proof,detect,1,operator,2026-12-01,,,\n"
        + "7,query,detect,1,operator,2026-12-01,sum(,< 5,\n"
    )
    batch = planned(operator_actor, KIND, text)
    assert errors(batch) == {
        3: "incident",
        4: "incident",
        5: "kind",
        6: "owner",
        7: "owner",
        8: "due",
        9: "no_check_reason",
        10: "check_query",
    }
    with pytest.raises(Conflict):
        batches.start(actor=operator_actor, batch=batch)
    assert not Improvement.objects.exists()
    assert errors(planned(operator_actor, KIND, "number,incident,title\n99,7,x\n")) == {2: "number"}


def test_one_that_is_over_or_of_another_incident_is_refused(operator_actor: Actor, incident: Incident) -> None:
    written(8)
    done(operator_actor, KIND, HEAD + f"7,a,detect,1,operator,2026-12-01,,,{REASON}\n")
    row = Improvement.objects.get()
    assert errors(planned(operator_actor, KIND, f"number,incident,title\n{row.number},8,a\n")) == {2: "incident"}
    Improvement.objects.update(state="done")
    assert errors(planned(operator_actor, KIND, f"number,incident,title\n{row.number},7,b\n")) == {2: "state"}
    assert plans(planned(operator_actor, KIND, exported(operator_actor, KIND))) == ["unchanged"]


def test_an_owner_who_was_kept_out_stands_in_no_other_row_s_way(operator_actor: Actor, incident: Incident) -> None:
    make_user("gone", Role.OPERATOR)
    make_user("boss", Role.ADMIN)
    done(
        operator_actor,
        KIND,
        HEAD + f"7,a,detect,1,gone,2026-12-01,,,{REASON}\n7,b,detect,1,operator,2026-12-01,,,{REASON}\n",
    )
    people.set_active(actor=SYSTEM, user=User.objects.get(username="gone"), active=False)
    file = exported(operator_actor, KIND)
    later = edited(file, lambda row: {"due": "2026-12-24"} if row["title"] == "b" else {})
    done(operator_actor, KIND, later, "x.json")
    assert Improvement.objects.get(title="b").due_on == date(2026, 12, 24)
    both = planned(operator_actor, KIND, edited(file, lambda _row: {"due": "2026-12-30"}), "x.json")
    assert list(errors(both).values()) == ["owner"]
    without = edited(file, lambda row: {"number": row["number"], "owner": "", "due": "2026-12-30"})
    assert list(errors(planned(operator_actor, KIND, without, "x.json")).values()) == ["owner"]


def test_each_row_needs_the_right_to_answer_its_incident(viewer_actor: Actor) -> None:
    ours, theirs = (people.create_team(actor=SYSTEM, name=name) for name in ("ours", "theirs"))
    written(1, ours)
    written(2, theirs)
    member = member_of(ours, Role.OPERATOR)
    text = HEAD + "".join(f"{n},x,detect,1,{member.username},2026-12-01,,,{REASON}\n" for n in (1, 2))
    batch = planned(actor_for_user(member), KIND, text)
    assert errors(batch) == {3: "incident"}, "another team's incident is not there at all"
    Membership.objects.create(user=member, team=None, role=Role.VIEWER)
    batch = planned(actor_for_user(member), KIND, text)
    assert plans(batch) == ["create", "refused"]
    assert "incidents.respond" in told(batch, number=3)["detail"]
    with pytest.raises(AccessDenied):
        planned(viewer_actor, KIND, text)


def test_who_sees_no_metrics_writes_no_check(viewer_actor: Actor) -> None:
    ours = people.create_team(actor=SYSTEM, name="ours")
    written(1, ours)
    member = member_of(ours, Role.OPERATOR)
    text = HEAD + f"1,x,detect,1,{member.username},2026-12-01,sum(increase(a_total[1h])),< 5,\n"
    assert errors(planned(actor_for_user(member), KIND, text)) == {2: "check_query"}


# --- properties -------------------------------------------------------------------------------------------------------

FEW = settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=12)
DRAFTS = st.builds(
    Draft,
    title=TEXT,
    kind=st.sampled_from(["prevent", "detect", "mitigate", "process"]),
    due_on=st.dates(date(2026, 1, 1), date(2030, 1, 1)),
    priority=st.sampled_from("123"),
    details=TEXT | st.just("") | st.just('one\ntwo, "three"'),
    no_check_reason=TEXT.map(lambda text: f"because of {text}"),
)


@given(st.lists(DRAFTS, min_size=1, max_size=4), st.sampled_from(["csv", "xlsx", "json"]))
@FEW
def test_what_was_exported_is_imported_without_a_change(
    operator_actor: Actor, incident: Incident, drafts: list[Draft], format_: str
) -> None:
    Improvement.objects.all().delete()
    for draft in drafts:
        fields = {name: getattr(draft, name) for name in ("title", "kind", "due_on", "priority", "details")}
        whole = Draft(**fields, no_check_reason=draft.no_check_reason, owner=operator_actor.user_id)
        actions.add(actor=operator_actor, postmortem=incident.postmortem, draft=whole)
    batch = planned(operator_actor, KIND, exported(operator_actor, KIND, format_), f"x.{format_}")
    assert [(row.label, row.before, row.after, row.error) for row in batch.rows.exclude(plan="unchanged")] == []
    assert batch.rows.count() == len(drafts)
