"""Naming the deployment that caused an incident: explicit, once, undone, and following the postmortem's triggers."""

from __future__ import annotations

from datetime import timedelta
from uuid import uuid4

import pytest
from django.utils import timezone

from tongchou.changes.models import Deployment
from tongchou.core.access import Actor, actor_for_user, system
from tongchou.core.models import Event, Membership, Role, Team, User
from tongchou.core.problems import AccessDenied, Invalid, NotFound
from tongchou.core.refs import ref
from tongchou.incidents import postmortem_actions
from tongchou.incidents.caused_by import name_cause, withdraw_cause
from tongchou.incidents.models import Incident
from tongchou.incidents.models_caused import CausedBy
from tongchou.incidents.postmortem_actions import CauseDraft

pytestmark = [pytest.mark.both_databases, pytest.mark.django_db]
TESTS = system("tests")


@pytest.fixture
def incident() -> Incident:
    """One whose impact is over."""
    now = timezone.now()
    return Incident.objects.create(number=7, title="down", state="mitigated", started_at=now - timedelta(hours=1))


@pytest.fixture
def deployment() -> Deployment:
    """A release before it."""
    now = timezone.now()
    fields = {"service_name": "orders", "version": "2", "started_at": now - timedelta(hours=2), "finished_at": now}
    return Deployment.objects.create(source="ci", delivery_id=uuid4().hex, **fields)


def refs(incident: Incident) -> list[tuple[str, str]]:
    """What it names, and via what."""
    return list(CausedBy.objects.filter(incident=incident).values_list("ref", "via"))


def test_a_deployment_is_named_once_and_taken_back(
    incident: Incident, deployment: Deployment, operator_actor: Actor
) -> None:
    for _twice in range(2):
        name_cause(actor=operator_actor, incident=incident, deployment=ref(deployment))
    assert refs(incident) == [(ref(deployment), "person")]
    event = Event.objects.get(verb="incident.cause_named")
    assert (event.subject, event.payload["title"]) == (ref(incident), "orders 2")
    assert ref(deployment) in [each.ref for each in event.abouts.all()]
    withdraw_cause(actor=operator_actor, incident=incident, deployment=ref(deployment))
    assert refs(incident) == []
    assert Event.objects.filter(verb="incident.cause_withdrawn").count() == 1
    with pytest.raises(NotFound):
        withdraw_cause(actor=operator_actor, incident=incident, deployment=ref(deployment))


def test_only_a_deployment_one_sees_can_be_named_by_who_may_respond(
    incident: Incident, deployment: Deployment, operator_actor: Actor, viewer_actor: Actor
) -> None:
    with pytest.raises(Invalid):
        name_cause(actor=operator_actor, incident=incident, deployment=ref(incident))
    with pytest.raises(NotFound):
        name_cause(actor=operator_actor, incident=incident, deployment=f"changes.deployment:{uuid4()}")
    with pytest.raises(AccessDenied):
        name_cause(actor=viewer_actor, incident=incident, deployment=ref(deployment))
    user = User.objects.create(username="other")
    Membership.objects.create(user=user, team=Team.objects.create(name="other"), role=Role.OPERATOR)
    with pytest.raises((AccessDenied, NotFound)):
        name_cause(actor=actor_for_user(user), incident=incident, deployment=ref(deployment))
    assert refs(incident) == []


def test_a_trigger_of_the_postmortem_names_it_and_its_removal_takes_it_back(
    incident: Incident, deployment: Deployment, operator_actor: Actor
) -> None:
    row = postmortem_actions.start(actor=operator_actor, incident=incident)
    trigger = CauseDraft("trigger", "a bad release", ref(deployment))
    cause = postmortem_actions.add_cause(actor=operator_actor, postmortem=row, cause=trigger)
    assert refs(incident) == [(ref(deployment), "postmortem")]
    latent = CauseDraft("latent", "a bad release", ref(deployment))
    cause = postmortem_actions.change_cause(actor=operator_actor, cause=cause, wanted=latent)
    assert refs(incident) == []
    cause = postmortem_actions.change_cause(actor=operator_actor, cause=cause, wanted=trigger)
    postmortem_actions.remove_cause(actor=operator_actor, cause=cause)
    assert refs(incident) == []


def test_what_was_said_in_the_room_stays_when_the_postmortem_says_it_no_more(
    incident: Incident, deployment: Deployment, operator_actor: Actor
) -> None:
    row = postmortem_actions.start(actor=operator_actor, incident=incident)
    trigger = CauseDraft("trigger", "a bad release", ref(deployment))
    cause = postmortem_actions.add_cause(actor=operator_actor, postmortem=row, cause=trigger)
    name_cause(actor=operator_actor, incident=incident, deployment=ref(deployment))
    postmortem_actions.remove_cause(actor=operator_actor, cause=cause)
    assert refs(incident) == [(ref(deployment), "person")]
    gone = CauseDraft("trigger", "of something that is gone", f"changes.deployment:{uuid4()}")
    postmortem_actions.add_cause(actor=operator_actor, postmortem=row, cause=gone)
    assert len(refs(incident)) == 1
