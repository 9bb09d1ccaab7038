"""Targets of a run out of the inventory: what a person names, and what a procedure's own selector finds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _

from tongchou.core.access import Actor
from tongchou.core.problems import Invalid
from tongchou.core.refs import is_ref, parse, ref
from tongchou.inventory import reads as inventory
from tongchou.inventory.models import AttributeValue, Resource, ResourceState
from tongchou.inventory.precedence import all_effective
from tongchou.inventory.recorded import given_up, weights
from tongchou.runbooks.planned import Target


def find(names: Sequence[str], actor: Actor) -> list[Resource]:
    """The resources meant by refs, ids or names, in order; Invalid when one is unknown or a name fits several.

    What the actor may not see is unknown, in the same words: nobody learns by guessing what others have.
    """
    seen = inventory.visible(actor)
    return [_one(name, number, seen) for number, name in enumerate(names)]


def _one(name: str, number: int, seen: QuerySet[Resource]) -> Resource:
    field = f"targets[{number}]"
    found = _by_id(name, seen)
    rows = [found] if found else list(seen.filter(name=name, state=ResourceState.ACTIVE).order_by("kind")[:5])
    if not rows:
        raise Invalid(
            "run.target_unknown",
            _("There is no resource %(name)s.") % {"name": name},
            field=field,
            value=name,
            remedy=_("Give the name, id or ref of a resource of the inventory."),
        )
    if len(rows) > 1:
        raise Invalid(
            "run.target_ambiguous",
            _("Several resources are named %(name)s.") % {"name": name},
            field=field,
            value=name,
            remedy=_("Give one of these refs: %(refs)s.")
            % {"refs": ", ".join(f"{ref(row)} ({row.kind})" for row in rows)},
        )
    return rows[0]


def _by_id(name: str, seen: QuerySet[Resource]) -> Resource | None:
    if is_ref(name):
        parts = parse(name)
        if (parts.room, parts.noun) != ("inventory", "resource"):
            return None
        name = parts.id
    try:
        return seen.filter(pk=UUID(name)).first()
    except ValueError:
        return None


def as_targets(resources: Sequence[Resource]) -> list[Target]:
    """Targets with the attributes of the strongest source each. Three SQL queries, whatever the number."""
    weight, gone = weights(), given_up(resource.pk for resource in resources)
    said: dict[UUID, dict[str, dict[str, Any]]] = defaultdict(lambda: defaultdict(dict))
    rows = AttributeValue.objects.filter(resource__in=resources).values_list("resource_id", "name", "source", "value")
    for resource_id, name, source, value in rows:
        said[resource_id][name][source] = value
    return [
        Target(
            ref=ref(resource),
            kind=resource.kind,
            name=resource.name,
            labels=dict(resource.labels),
            attributes=all_effective(said[resource.pk], weight, gone.get(resource.pk, ())),
            active=resource.state == ResourceState.ACTIVE,
        )
        for resource in resources
    ]


def select(kind: str, labels: Mapping[str, str], *, limit: int = 50) -> list[Resource]:
    """Active resources of a kind (empty: any) that carry all the labels, by name."""
    found = Resource.objects.filter(state=ResourceState.ACTIVE)
    if kind:
        found = found.filter(kind=kind)
    for name, value in labels.items():
        found = found.filter(label_rows__name=name, label_rows__value=value)
    return list(found.order_by("name", "pk")[:limit])


def fits(resource: Resource, kind: str, labels: Mapping[str, str]) -> bool:
    """Whether a resource is active, of the kind (empty: any), and carries all the labels."""
    return (
        resource.state == ResourceState.ACTIVE
        and kind in ("", resource.kind)
        and all(resource.labels.get(name) == value for name, value in labels.items())
    )
