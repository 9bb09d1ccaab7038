"""Incidents through their life: opened by alert groups in any order, worked on by people, guarded against races."""

from __future__ import annotations

import random
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from tests.incidents import scene
from tests.incidents.scene import Shop
from tongchou.core import ledger, settings_store
from tongchou.core.access import Actor, actor_for_user, system
from tongchou.core.models import Event, Membership, Role, Team, User
from tongchou.core.models_talk import Comment
from tongchou.core.problems import AccessDenied, Conflict, Invalid
from tongchou.core.refs import ref
from tongchou.incidents import actions, reads
from tongchou.incidents.models import Incident, IncidentGroup, IncidentState

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
KEEPER = system("tests")
ago = timedelta


@pytest.fixture
def shop() -> Shop:
    return Shop()


def verbs(incident: Incident) -> list[str]:
    """What the ledger says of an incident, oldest first, without the rankings."""
    told = [event.verb for event in ledger.events(about=ref(incident))]
    return [verb for verb in reversed(told) if verb.startswith("incident.") and verb != "incident.suspects_ranked"]


def incident_of(*resources: Any, name: str = "TargetDown", **more: Any) -> Incident:
    """An incident opened by one alert group."""
    group = scene.opened(name, *resources, **more)
    scene.run_jobs()
    return Incident.objects.get(groups__group=group)


# --- opening and joining ------------------------------------------------------------------------------------------


def test_an_alert_group_opens_an_incident_that_says_what_it_is_about(shop: Shop) -> None:
    began = timezone.now() - timedelta(minutes=2)
    incident = incident_of(shop.primary, shop.database, at=began)
    assert (incident.number, incident.name, incident.state) == (1, "INC-1", IncidentState.OPEN)
    assert incident.title == "TargetDown · database-primary"
    assert (incident.severity, incident.started_at) == ("critical", began)
    roles = {row.resource.name: (row.role, row.distance) for row in reads.affected(incident)}
    assert roles["database"] == ("symptom", 0)
    assert roles["orders"] == ("caller", 1)
    assert roles["storefront"] == ("caller", 2)
    assert "search" not in roles
    event = ledger.events(about=ref(shop.primary), verbs=["incident.opened"])[0]
    assert event.payload["name"] == "INC-1"


def test_two_groups_of_one_outage_join_and_say_why(shop: Shop) -> None:
    first = incident_of(shop.primary)
    group = scene.opened("ErrorRatioHigh", shop.orders)
    scene.run_jobs()
    assert scene.only_incident() == first
    link = IncidentGroup.objects.get(group=group)
    assert link.reason_code == "needs"
    assert link.reason_params["from_name"] == "orders"
    assert link.reason_params["to_name"] == "database-primary"
    assert verbs(first) == ["incident.opened", "incident.group_attached"]


def test_two_independent_outages_stay_two_incidents(shop: Shop) -> None:
    scene.opened("TargetDown", shop.primary)
    scene.opened("ErrorRatioHigh", shop.search)
    scene.run_jobs()
    assert sorted(Incident.objects.values_list("number", flat=True)) == [1, 2]


def test_a_group_that_began_much_later_opens_its_own(shop: Shop) -> None:
    now = timezone.now()
    scene.opened("TargetDown", shop.primary, at=now - timedelta(minutes=20))
    scene.opened("ErrorRatioHigh", shop.orders, at=now)
    scene.run_jobs()
    assert Incident.objects.count() == 2


def test_the_join_window_is_a_setting(shop: Shop, admin_actor: Actor) -> None:
    settings_store.put(actor=admin_actor, key="incidents.join_window_minutes", value=30)
    now = timezone.now()
    scene.opened("TargetDown", shop.primary, at=now - timedelta(minutes=20))
    scene.opened("ErrorRatioHigh", shop.orders, at=now)
    scene.run_jobs()
    assert Incident.objects.count() == 1


def test_below_the_least_severity_no_incident_until_it_rises(shop: Shop) -> None:
    group = scene.opened("ErrorRatioHigh", shop.orders, severity="info")
    scene.run_jobs()
    assert not Incident.objects.exists()
    scene.alert(group, "SlowAnswers", shop.orders, at=timezone.now(), severity="warning")
    scene.tell(group, "group_changed")
    scene.run_jobs()
    assert scene.only_incident().severity == "warning"


def test_severity_rises_with_the_alerts_and_never_falls(shop: Shop) -> None:
    incident = incident_of(shop.orders, severity="warning")
    group = incident.groups.get().group
    scene.alert(group, "ErrorRatioHigh", shop.orders, at=timezone.now(), severity="critical")
    scene.tell(group, "group_changed")
    scene.tell(group, "group_changed")
    scene.run_jobs()
    assert Incident.objects.get().severity == "critical"
    assert verbs(incident).count("incident.severity_raised") == 1
    close = scene.opened("SlowAnswers", shop.storefront, severity="info")
    scene.run_jobs()
    assert Incident.objects.filter(groups__group=close).count() == 0
    assert Incident.objects.get().severity == "critical"


def test_a_group_about_nothing_known_still_opens_an_incident() -> None:
    incident = incident_of(name="OrdersStopped", service="ghost")
    assert incident.title == "OrdersStopped"
    assert reads.affected(incident) == []


def test_an_earlier_symptom_moves_the_start_back(shop: Shop) -> None:
    now = timezone.now()
    incident = incident_of(shop.orders, at=now - timedelta(minutes=1))
    group = incident.groups.get().group
    scene.alert(group, "SlowAnswers", shop.orders, at=now - timedelta(minutes=4))
    scene.tell(group, "group_changed")
    scene.run_jobs()
    assert Incident.objects.get().started_at == now - timedelta(minutes=4)


# --- at least once, in any order ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_duplicate_late_and_reordered_events_leave_one_incident(shop: Shop, seed: int) -> None:
    began = timezone.now() - timedelta(minutes=1)
    group = scene.group("db", began)
    scene.alert(group, "TargetDown", shop.primary, at=began)
    other = scene.group("orders", began)
    scene.alert(other, "ErrorRatioHigh", shop.orders, at=began + timedelta(seconds=5))
    scene.close(group, told=False)
    scene.close(other, told=False)
    told = [(row, verb) for row in (group, other) for verb in ("group_opened", "group_changed", "group_closed")] * 2
    random.Random(seed).shuffle(told)
    for row, verb in told:
        scene.tell(row, verb)
        scene.run_jobs()
    incident = scene.only_incident()
    assert incident.groups.count() == 2
    assert incident.state == IncidentState.MITIGATED
    said = verbs(incident)
    assert (said.count("incident.opened"), said.count("incident.group_attached")) == (1, 1)
    assert said[-1] == "incident.recovered"


def test_an_event_of_a_group_that_is_gone_is_let_be(shop: Shop) -> None:
    group = scene.opened("TargetDown", shop.primary)
    group.delete()
    scene.run_jobs()
    assert not Incident.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_racing_followers_of_one_outage_open_one_incident() -> None:
    shop = Shop()
    groups = [
        scene.opened("TargetDown", shop.primary),
        scene.opened("ErrorRatioHigh", shop.orders),
        scene.opened("ErrorRatioHigh", shop.storefront),
    ]
    start = threading.Barrier(6)
    failures: list[BaseException] = []

    def race(group_id: Any) -> None:
        start.wait()
        try:
            actions.take_group(actor=KEEPER, group_id=group_id)
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=race, args=(each.pk,)) for each in groups * 2]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert failures == []
    assert scene.only_incident().groups.count() == 3
    assert Event.objects.filter(verb="incident.opened").count() == 1


@pytest.mark.django_db(transaction=True)
def test_racing_incidents_get_numbers_without_gap_or_double() -> None:
    rows = [scene.opened("ErrorRatioHigh", scene.resource("service", f"s{n}")) for n in range(6)]
    start = threading.Barrier(6)

    def race(group_id: Any) -> None:
        start.wait()
        actions.take_group(actor=KEEPER, group_id=group_id)
        connection.close()

    threads = [threading.Thread(target=race, args=(each.pk,)) for each in rows]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(Incident.objects.values_list("number", flat=True)) == [1, 2, 3, 4, 5, 6]


# --- recovery and return ------------------------------------------------------------------------------------------


def test_the_incident_recovers_with_its_last_group_and_waits_for_a_person(shop: Shop) -> None:
    incident = incident_of(shop.primary)
    second = scene.opened("ErrorRatioHigh", shop.orders)
    scene.run_jobs()
    scene.close(incident.groups.first().group)  # type: ignore[union-attr]  # it has groups
    scene.run_jobs()
    incident.refresh_from_db()
    assert (incident.state, incident.recovered_at) == (IncidentState.OPEN, None)
    ended = timezone.now()
    scene.close(second, ended)
    scene.run_jobs()
    incident.refresh_from_db()
    assert (incident.state, incident.recovered_at, incident.mitigated_at) == (IncidentState.MITIGATED, ended, ended)
    assert verbs(incident)[-1] == "incident.recovered"


def test_a_new_symptom_of_a_mitigated_incident_opens_it_again(shop: Shop) -> None:
    incident = incident_of(shop.primary)
    scene.close(incident.groups.get().group)
    scene.run_jobs()
    scene.opened("ErrorRatioHigh", shop.orders)
    scene.run_jobs()
    incident.refresh_from_db()
    assert (incident.state, incident.recovered_at) == (IncidentState.OPEN, None)
    assert verbs(incident)[-1] == "incident.reopened"


@pytest.mark.parametrize("end", [actions.mitigate, actions.resolve])
def test_a_new_alert_in_an_old_group_is_not_swallowed_by_the_end(shop: Shop, operator_actor: Actor, end: Any) -> None:
    incident = incident_of(shop.primary)
    more = {"force": True} if end is actions.resolve else {}
    end(actor=operator_actor, incident=incident, comment="known", **more)
    group = incident.groups.get().group
    scene.tell(group, "group_changed")  # a repeat of what was known
    scene.run_jobs()
    incident.refresh_from_db()
    assert incident.state != IncidentState.OPEN
    scene.alert(group, "ErrorRatioHigh", shop.database, at=timezone.now())
    scene.tell(group, "group_changed")
    scene.run_jobs()
    incident.refresh_from_db()
    assert incident.state == IncidentState.OPEN
    assert verbs(incident).count("incident.reopened") == 1


def returning(shop: Shop, actor: Actor, minutes: float) -> tuple[Incident, Incident]:
    """The incident of a group that ended and was resolved, and the incident of its return so many minutes later."""
    now = timezone.now()
    group = scene.opened("TargetDown", shop.primary, at=now - timedelta(hours=3), key="db")
    scene.run_jobs()
    first = Incident.objects.get()
    scene.close(group, now - timedelta(hours=2))
    scene.run_jobs()
    actions.resolve(actor=actor, incident=first)
    Incident.objects.update(resolved_at=now - timedelta(hours=2))
    again = scene.opened("TargetDown", shop.primary, at=now - timedelta(hours=2) + timedelta(minutes=minutes), key="db")
    scene.run_jobs()
    first.refresh_from_db()
    return first, Incident.objects.get(groups__group=again)


def test_the_same_group_soon_after_the_end_opens_the_incident_again(shop: Shop, operator_actor: Actor) -> None:
    first, again = returning(shop, operator_actor, 10)
    assert again == first
    assert first.state == IncidentState.OPEN
    assert first.groups.last().reason_code == "returned"  # type: ignore[union-attr]  # it has groups


def test_the_same_group_long_after_the_end_is_a_new_episode(shop: Shop, operator_actor: Actor) -> None:
    first, again = returning(shop, operator_actor, 40)
    assert again != first
    assert again.previous == first
    assert first.state == IncidentState.RESOLVED


def test_an_incident_nobody_resolves_is_not_extended_for_ever(shop: Shop) -> None:
    now = timezone.now()
    group = scene.opened("TargetDown", shop.primary, at=now - timedelta(hours=3), key="db")
    scene.run_jobs()
    scene.close(group, now - timedelta(hours=2))
    scene.run_jobs()
    scene.opened("TargetDown", shop.primary, at=now, key="db")
    scene.run_jobs()
    first, second = Incident.objects.order_by("number")
    assert (first.state, second.previous) == (IncidentState.MITIGATED, first)


# --- people -------------------------------------------------------------------------------------------------------


def test_who_acknowledges_commands_and_the_second_is_told_who_was_faster(
    shop: Shop, operator_actor: Actor, approver_actor: Actor
) -> None:
    incident = actions.acknowledge(actor=operator_actor, incident=incident_of(shop.orders))
    assert incident.commander is not None
    assert (incident.commander.username, incident.acknowledged_by_name) == ("operator", "operator")
    with pytest.raises(Conflict) as refused:
        actions.acknowledge(actor=approver_actor, incident=incident)
    assert refused.value.extra == {"state": "acknowledged", "acknowledged_by": "operator"}
    assert verbs(incident).count("incident.acknowledged") == 1


def test_the_whole_life_by_hand(shop: Shop, operator_actor: Actor) -> None:
    incident = incident_of(shop.orders)
    actions.acknowledge(actor=operator_actor, incident=incident)
    actions.mitigate(actor=operator_actor, incident=incident, comment="rolled back")
    scene.close(incident.groups.get().group)
    scene.run_jobs()
    actions.resolve(actor=operator_actor, incident=incident, comment="done")
    reopened = actions.reopen(actor=operator_actor, incident=incident, comment="not done")
    assert (reopened.state, reopened.resolved_at, reopened.mitigated_at) == (IncidentState.OPEN, None, None)
    assert verbs(incident) == [
        "incident.opened",
        "incident.acknowledged",
        "incident.mitigated",
        "incident.recovered",
        "incident.resolved",
        "incident.reopened",
    ]


@pytest.mark.parametrize("state", IncidentState.values)
def test_an_action_out_of_turn_is_refused_and_changes_nothing(shop: Shop, operator_actor: Actor, state: str) -> None:
    incident = incident_of(shop.orders)
    Incident.objects.update(state=state)
    allowed = {
        "acknowledge": {"open"},
        "mitigate": {"open", "acknowledged"},
        "reopen": {"mitigated", "resolved"},
    }
    for name, states in allowed.items():
        if state not in states:
            with pytest.raises(Conflict):
                getattr(actions, name)(actor=operator_actor, incident=incident)
            assert Incident.objects.get().state == state
    assert verbs(incident) == ["incident.opened"]


def test_resolving_under_fire_needs_force_and_a_reason(shop: Shop, operator_actor: Actor) -> None:
    incident = incident_of(shop.orders)
    for more in ({}, {"force": True}, {"comment": "noise"}):
        with pytest.raises(Conflict, match="alerts_firing"):
            actions.resolve(actor=operator_actor, incident=incident, **more)
    assert actions.resolve(actor=operator_actor, incident=incident, comment="noise", force=True).state == "resolved"


def test_a_note_is_kept_and_empty_or_huge_ones_are_refused(shop: Shop, operator_actor: Actor) -> None:
    incident = incident_of(shop.orders)
    event = actions.add_note(actor=operator_actor, incident=incident, text="  looking at 100 % of it  ")
    assert Comment.objects.get(pk=event.payload["comment"]).text == "looking at 100 % of it"
    assert "looking" not in str(event.payload)  # what is taken back later must not stay readable in the ledger
    for text in ("", "   ", "x" * 20_001):
        with pytest.raises(Invalid):
            actions.add_note(actor=operator_actor, incident=incident, text=text)


def test_a_viewer_may_look_and_not_act(shop: Shop, viewer_actor: Actor) -> None:
    incident = incident_of(shop.orders)
    assert reads.get(viewer_actor, incident.pk) == incident
    for act in (actions.acknowledge, actions.mitigate, actions.resolve, actions.reopen):
        with pytest.raises(AccessDenied):
            act(actor=viewer_actor, incident=incident)
    with pytest.raises(AccessDenied):
        actions.add_note(actor=viewer_actor, incident=incident, text="hello")


def test_a_team_sees_and_works_on_what_affects_its_own() -> None:
    team = Team.objects.create(name="storage")
    owned = scene.resource("service", "archive", team)
    user = User.objects.create(username="keeper")
    Membership.objects.create(user=user, team=team, role=Role.OPERATOR)
    member = actor_for_user(user)
    theirs = incident_of(owned)
    foreign = incident_of(scene.resource("service", "elsewhere"))
    assert list(reads.visible(member)) == [theirs]
    actions.acknowledge(actor=member, incident=theirs)
    with pytest.raises(AccessDenied):
        actions.acknowledge(actor=member, incident=foreign)
