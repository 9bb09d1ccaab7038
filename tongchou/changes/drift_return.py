"""The change that puts back what was observed to be modified: opened for a person who decided so."""

from __future__ import annotations

from uuid import UUID

from django.utils.translation import gettext as _

from tongchou.changes import control
from tongchou.changes.draft import MAX_RESOURCES, MAX_TITLE, Draft, TaskDraft
from tongchou.changes.models_control import Change, ChangeState
from tongchou.changes.models_drift import Drift
from tongchou.changes.models_observed import ObservedStanding
from tongchou.core.access import Actor
from tongchou.core.refs import ref
from tongchou.inventory.models import Resource

OVER = (ChangeState.CLOSED, ChangeState.CANCELLED)


def open_change(*, actor: Actor, row: Drift) -> Change:
    """Return the change that puts an observed modification back: the one under way for it, else a new one.

    It is new and waits for its window and for consent as any other. Raises what control.create raises.
    """
    earlier = Change.objects.filter(origin=ref(row)).exclude(state__in=OVER).order_by("number").last()
    if earlier is not None:
        return earlier
    name = row.resource.name if row.resource is not None else row.subject
    words = {"path": row.path[:200], "name": name}
    draft = Draft(
        title=(_("Put back %(path)s of %(name)s") % {"path": row.path[:80], "name": name[:80]})[:MAX_TITLE],
        description="\n\n".join(
            part
            for part in (
                _("%(path)s of %(name)s was modified under no change.") % words,
                _("It was: %(value)s") % {"value": row.expected or "-"},
                _("It is: %(value)s") % {"value": row.observed or "-"},
                row.diff[:4_000],
            )
            if part
        ),
        team=row.resource.owner_id if row.resource is not None else None,
        resources=_resources(row),
        tasks=(TaskDraft(_("Put it back: %(value)s") % {"value": row.expected[:120] or "-"}),),
        backout=_("Leave it as it is: %(value)s") % {"value": row.observed[:2_000] or "-"},
        verification=_("The next look of %(source)s sees it as it was, and the item in the list of drift is gone.")
        % {"source": row.source_name},
        because=ref(row),
    )
    return control.create(actor=actor, draft=draft, origin=ref(row))


def _resources(row: Drift) -> list[UUID]:
    """What it was seen at: one, or those of an item of many that are there."""
    if row.resource_id is not None:
        return [row.resource_id]
    kept = ObservedStanding.objects.filter(pk=row.pk).first()
    wanted = [UUID(each) for each in kept.resources[:MAX_RESOURCES]] if kept is not None else []
    there = set(Resource.objects.filter(pk__in=wanted).values_list("pk", flat=True))
    return [each for each in wanted if each in there]
