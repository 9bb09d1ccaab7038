"""Says which deployment caused an incident, and takes it back: a person says so, or a postmortem; nothing guesses."""

from __future__ import annotations

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from tongchou.core import ledger, nouns
from tongchou.core.access import Actor
from tongchou.core.problems import Conflict, Invalid, NotFound
from tongchou.core.refs import ref
from tongchou.incidents.actions import check_respond
from tongchou.incidents.models import Cause, CauseKind, Incident, Postmortem
from tongchou.incidents.models_caused import CausedBy, CausedByVia

DEPLOYMENT = "changes.deployment:"
MOST = 20  # deployments one incident may name


def name_cause(*, actor: Actor, incident: Incident, deployment: str, via: CausedByVia = CausedByVia.PERSON) -> CausedBy:
    """Name a deployment (a Ref the actor may see) as the cause. Idempotent. Event incident.cause_named about both."""
    check_respond(actor, incident)
    if not deployment.startswith(DEPLOYMENT):
        raise Invalid(
            "incident.cause",
            _("Only a deployment can be named here."),
            field="ref",
            value=deployment[:140],
            remedy=_("Name other causes in the postmortem."),
        )
    title = str(nouns.row(actor, deployment).title)[:300]
    with transaction.atomic():
        Incident.objects.select_for_update().get(pk=incident.pk)
        found = CausedBy.objects.filter(incident=incident, ref=deployment).first()
        if found is not None:
            if via == CausedByVia.PERSON and found.via != via:  # said in the room, it stays when the postmortem's goes
                CausedBy.objects.filter(pk=found.pk).update(via=via)
            return found
        if CausedBy.objects.filter(incident=incident).count() >= MOST:
            raise Conflict("incident.causes", _("It names %(most)s deployments already.") % {"most": MOST})
        made = CausedBy.objects.create(
            incident=incident, ref=deployment, title=title, via=via, named_by_name=actor.name[:150]
        )
        _tell(actor, incident, "incident.cause_named", made)
    return made


def withdraw_cause(*, actor: Actor, incident: Incident, deployment: str) -> None:
    """Take back that a deployment caused it. Event incident.cause_withdrawn keeps what was said."""
    check_respond(actor, incident)
    with transaction.atomic():
        found = CausedBy.objects.select_for_update().filter(incident=incident, ref=deployment).first()
        if found is None:
            raise NotFound("incident.cause", _("The incident does not name this deployment."))
        found_id = found.pk
        _tell(actor, incident, "incident.cause_withdrawn", found)
        CausedBy.objects.filter(pk=found_id).delete()


def follow_postmortem(*, actor: Actor, postmortem: Postmortem, refs: set[str]) -> None:
    """After a write of a postmortem's causes: name the deployments that are triggers there, and take back the others.

    `refs` are those the write touched. What somebody said in the room stays. Inside the caller's transaction.
    """
    incident = postmortem.incident
    triggers = set(
        Cause.objects.filter(postmortem=postmortem, kind=CauseKind.TRIGGER, ref__in=refs).values_list("ref", flat=True)
    )
    for deployment in sorted(each for each in refs if each.startswith(DEPLOYMENT)):
        if deployment in triggers:
            if nouns.sees(actor, deployment):
                name_cause(actor=actor, incident=incident, deployment=deployment, via=CausedByVia.POSTMORTEM)
        elif CausedBy.objects.filter(incident=incident, ref=deployment, via=CausedByVia.POSTMORTEM).exists():
            withdraw_cause(actor=actor, incident=incident, deployment=deployment)


def _tell(actor: Actor, incident: Incident, verb: str, row: CausedBy) -> None:
    ledger.record(
        actor=actor,
        verb=verb,
        subject=ref(incident),
        about=[row.ref],
        payload={"deployment": row.ref, "title": row.title, "via": row.via, "by": actor.name},
    )
