"""Which nouns and events a page may name to an actor: a role in a team opens what the team owns, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from tongchou.alerting import reads as alerting_reads
from tongchou.alerting.models import Alert
from tongchou.changes import baseline_reads, drift_reads, iac_reads, playbook_reads
from tongchou.changes import reads as change_reads
from tongchou.changes.release import reads as release_reads
from tongchou.core.access import Actor, allows
from tongchou.core.models import Event, EventAbout
from tongchou.core.refs import parse
from tongchou.incidents import postmortem_reads
from tongchou.incidents import reads as incident_reads
from tongchou.inventory import reads as inventory_reads
from tongchou.runbooks import reads as run_reads

LEDGER = "ledger.view"


def _alerts(actor: Actor) -> QuerySet[Alert]:
    return Alert.objects.filter(group__in=alerting_reads.groups(actor=actor).order_by().values("pk"))


# nouns with an owner, and how each room says which of them an actor may see
OWNED: dict[tuple[str, str], Callable[[Actor], QuerySet[Any]]] = {
    ("inventory", "resource"): inventory_reads.visible,
    ("incidents", "incident"): incident_reads.visible,
    ("incidents", "postmortem"): postmortem_reads.visible,
    ("incidents", "improvement"): postmortem_reads.improvements,
    ("runbooks", "run"): run_reads.runs,
    ("alerting", "alertgroup"): lambda actor: alerting_reads.groups(actor=actor),
    ("alerting", "alert"): _alerts,
    ("changes", "deployment"): change_reads.deployments,
    ("changes", "baseline"): baseline_reads.visible,
    ("changes", "drift"): drift_reads.items,
    ("changes", "playbook"): playbook_reads.visible,
    ("changes", "workspace"): iac_reads.workspaces,
    ("changes", "plan"): iac_reads.plans,
    ("changes", "release"): release_reads.visible,
    ("changes", "artefact"): release_reads.artefacts,
    ("changes", "rollout"): lambda actor: release_reads.rollouts(actor, retired=True),
}
# nouns every team knows
COMMON = frozenset(
    {("runbooks", "procedure"), ("alerting", "rulefile"), ("alerting", "objective"), ("changes", "environment")}
)


def readable(actor: Actor, events: Iterable[Event]) -> list[Event]:
    """Return the events the actor may read, in the order given.

    With the global permission on the ledger, all. Otherwise only those of which everything they are about is visible
    to the actor, because a payload names what its event is about. Two queries, and one for each owned noun.
    """
    found = list(events)
    if not found or allows(actor, LEDGER):
        return found
    abouts: dict[int, set[str]] = {event.pk: {event.subject} for event in found}
    for event_id, about in EventAbout.objects.filter(event_id__in=abouts).values_list("event_id", "ref"):
        abouts[event_id].add(about)
    seen = visible_refs(actor, set().union(*abouts.values()))
    return [event for event in found if abouts[event.pk] <= seen]


def visible_refs(actor: Actor, refs: Collection[str]) -> set[str]:
    """Return those refs whose noun the actor may see: all with the global permission on the ledger.

    Otherwise a noun that is neither owned nor common (an approval, a person) is not to be seen.
    """
    if allows(actor, LEDGER):
        return set(refs)
    seen: set[str] = set()
    asked: dict[tuple[str, str], dict[UUID, str]] = {}
    for text in refs:
        try:
            parsed = parse(text)
            noun = (parsed.room, parsed.noun)
            if noun in COMMON:
                seen.add(text)
            elif noun in OWNED:
                asked.setdefault(noun, {})[UUID(parsed.id)] = text
        except ValueError:
            continue  # points at nothing there could be
    for noun, ids in asked.items():
        seen |= {ids[pk] for pk in OWNED[noun](actor).filter(pk__in=ids).order_by().values_list("pk", flat=True)}
    return seen
