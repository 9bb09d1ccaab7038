"""How a record of a file becomes a resource, or changes one. Known by id, else by kind and name."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from tongchou.core.access import Actor
from tongchou.core.lists import custom
from tongchou.core.lists.importers import Importer, ImportField, Values, check_row, register
from tongchou.core.problems import Conflict, Invalid, NotFound
from tongchou.inventory import actions, checks, reads
from tongchou.inventory.bulk import EDIT, KIND, labels_of, team_named, write_labels
from tongchou.inventory.models import Relation, Resource, ResourceState
from tongchou.inventory.precedence import MANUAL

FIELDS = (
    ImportField("id", _("Id"), help=_("of a resource that is there; it may be renamed then")),
    ImportField("kind", _("Kind"), required=True),
    ImportField("name", _("Name"), required=True),
    ImportField("owner", _("Owner"), help=_("a team's name; empty: nobody")),
    ImportField("label", _("Labels"), help=_("env=prod, tier=a; or as JSON; all it shall have")),
    ImportField("relations", _("Relations"), help=_("type kind/name, divided by ; all that people state of it")),
)


def _fields() -> list[ImportField]:
    return [*FIELDS, *custom.import_fields(KIND)]


def _labels(text: str) -> dict[str, str]:
    if not text.startswith("{"):
        return labels_of(text, "label")
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Invalid(
            "inventory.labels",
            _("The labels cannot be read."),
            field="label",
            value=text[:100],
            remedy=_("Write them like env=prod, tier=web."),
        )
    return checks.labels({str(name): value for name, value in found.items()}, "label")


def _id(text: str) -> str | None:
    try:
        return str(UUID(text)) if text else None
    except ValueError:
        raise Invalid(
            "inventory.id", _("This is no id."), field="id", value=text[:80], remedy=_("Leave it empty for a new one.")
        ) from None


def _relations(actor: Actor, text: str) -> list[str]:
    """Relations written "type kind/name", each checked to be there; sorted, so that two orders compare alike."""
    found = []
    for part in (each.strip() for each in text.split(";") if each.strip()):
        type_, _blank, target = part.partition(" ")
        kind, _slash, name = target.strip().partition("/")
        checks.relation_type(type_)
        if not reads.visible(actor).filter(kind=kind, name=name, state=ResourceState.ACTIVE).exists():
            raise NotFound(
                "inventory.relation",
                _("There is no such resource to relate to."),
                field="relations",
                value=part[:200],
                remedy=_("Write type kind/name, such as runs_on host/web-1; import that one first."),
            )
        found.append(f"{type_} {kind}/{name}")
    return sorted(set(found))


def _read(actor: Actor, record: Mapping[str, str]) -> Values:
    values: Values = {"kind": checks.kind(record["kind"]), "name": checks.name(record["name"])}
    if record.get("id"):
        values["id"] = _id(record["id"])
    if "owner" in record:
        owner = team_named(record["owner"])
        values["owner"] = owner.name if owner else None
    if "label" in record:
        values["label"] = _labels(record["label"])
    if record.get("relations"):
        values["relations"] = _relations(actor, record["relations"])
    return values | custom.read_cells(KIND, record, values["kind"])


def _find(actor: Actor, many: Sequence[Values]) -> list[Any]:
    """Two queries for all of them. A name that several active resources of the kind have is no way to know one."""
    ids = [each["id"] for each in many if each.get("id")]
    rows = reads.visible(actor).select_related("owner")
    by_id = {str(row.pk): row for row in rows.filter(pk__in=ids)}
    names = {each["name"] for each in many if not each.get("id")}
    kinds = {each["kind"] for each in many if not each.get("id")}
    by_name: dict[tuple[str, str], list[Resource]] = defaultdict(list)
    active = Q(kind__in=kinds, name__in=names, state=ResourceState.ACTIVE)
    for row in rows.filter(active):
        by_name[row.kind, row.name].append(row)
    return [_one(each, by_id, by_name) for each in many]


def _one(values: Values, by_id: dict[str, Resource], by_name: dict[tuple[str, str], list[Resource]]) -> Any:
    if values.get("id"):
        found = by_id.get(values["id"])
        if found is None:
            return NotFound(
                "inventory.resource",
                _("There is no resource of this id, or it is not yours to see."),
                field="id",
                value=values["id"],
                remedy=_("Leave the id empty for a new one."),
            )
        if found.kind != values["kind"]:
            return Conflict(
                "inventory.kind_stays",
                _("A resource keeps its kind."),
                field="kind",
                value=values["kind"],
                remedy=_("It is a %(kind)s.") % {"kind": found.kind},
            )
        return found
    same = by_name.get((values["kind"], values["name"]), [])
    if len(same) > 1:
        return Conflict(
            "inventory.ambiguous",
            _("Several resources of this kind have this name."),
            field="name",
            value=values["name"],
            remedy=_("Say which by its id."),
        )
    return same[0] if same else None


def _now(row: Resource) -> Values:
    open_ = Relation.objects.filter(from_resource=row, valid_to__isnull=True, source=MANUAL)
    open_ = open_.select_related("to_resource")
    relations = sorted(f"{each.type} {each.to_resource.kind}/{each.to_resource.name}" for each in open_)
    return {
        "id": str(row.pk),
        "kind": row.kind,
        "name": row.name,
        "owner": row.owner.name if row.owner else None,
        "label": row.labels,
        "relations": relations,
        **custom.cells_of(row),
    }


def _change(actor: Actor, row: Resource, values: Values) -> None:
    if "name" in values or "owner" in values:
        actions.update_resource(
            actor=actor,
            resource=row,
            name=values.get("name"),
            owner=team_named(values.get("owner")),
            clear_owner="owner" in values and values["owner"] is None,
        )
        row.refresh_from_db()
    if "label" in values:
        write_labels(actor, row, values["label"] or {})
    _relate(actor, row, values.get("relations"))
    custom.write_cells(actor, row, values)


def _relate(actor: Actor, row: Resource, wanted: list[str] | None) -> None:
    """Give the resource these relations; those that people stated and are not among them end."""
    if wanted is None:
        return
    open_ = Relation.objects.filter(from_resource=row, valid_to__isnull=True).select_related(
        "to_resource", "from_resource"
    )
    said = {f"{each.type} {each.to_resource.kind}/{each.to_resource.name}": each for each in open_}
    for text in wanted:
        if text not in said:
            type_, _blank, target = text.partition(" ")
            kind, _slash, name = target.partition("/")
            other = reads.visible(actor).get(kind=kind, name=name, state=ResourceState.ACTIVE)
            actions.relate(actor=actor, from_resource=row, to_resource=other, type=type_)
    for text, relation in said.items():
        if text not in wanted and relation.source == MANUAL:
            actions.unrelate(actor=actor, relation=relation)


def _create(actor: Actor, values: Values) -> Resource:
    row = actions.create_resource(
        actor=actor,
        kind=values["kind"],
        name=values["name"],
        owner=team_named(values.get("owner")),
        labels=values.get("label") or {},
    )
    if "label" in values:
        write_labels(actor, row, values["label"])  # one that comes back has the labels it had
    _relate(actor, row, values.get("relations"))
    if any(value is not None for value in custom.without_prefix(values).values()):
        custom.write_cells(actor, row, values)
    return row


register(
    Importer(
        KIND,
        _("Resources"),
        EDIT,
        _fields,
        _read,
        _find,
        _now,
        lambda values: f"{values['kind']} {values['name']}",
        _create,
        _change,
        lambda actor, row: actions.retire_resource(actor=actor, resource=row, reason="import undone"),
        check_row(EDIT),
        whole=False,  # thousands of rows: each by itself, so that nobody waits for all of them
    )
)
