"""How a record of a file becomes a resource, or changes one. Known by id, else by kind and name."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from tongchou.core.access import Actor
from tongchou.core.field_types import FieldDef
from tongchou.core.lists import custom
from tongchou.core.lists.importers import Importer, ImportField, Values, check_row, register
from tongchou.core.problems import Conflict, Invalid, NotFound, Problem
from tongchou.inventory import actions, checks, identity, kinds, reads, standard
from tongchou.inventory.bulk import EDIT, KIND, labels_of, team_named, write_labels
from tongchou.inventory.models import Identity, Relation, Resource, ResourceState
from tongchou.inventory.observation import service_key
from tongchou.inventory.precedence import MANUAL
from tongchou.inventory.tables import PREFIX

MAX_KINDS = 5  # whose fields the page of an import lists

FIELDS = (
    ImportField("id", _("Id"), help=_("of a resource that is there; it may be renamed then")),
    ImportField("kind", _("Kind"), required=True),
    ImportField("name", _("Name"), required=True),
    ImportField("owner", _("Owner"), help=_("a team's name; empty: nobody")),
    ImportField("label", _("Labels"), help=_("env=prod, tier=a; or as JSON; all it shall have")),
    ImportField("keys", _("Identity keys"), help=_("of a new one: serial:ABC123; fqdn:db-1.example.org")),
    ImportField("relations", _("Relations"), help=_("type kind/name, divided by ; all that people state of it")),
)


def _fields() -> list[ImportField]:
    return [*FIELDS, *custom.import_fields(KIND)]


def _standard(fields: Iterable[FieldDef]) -> list[ImportField]:
    return [ImportField(f"{PREFIX}{each.name}", each.title, help=each.unit) for each in fields]


def _of_kinds(names: Sequence[str]) -> list[ImportField]:
    """The standard fields of these kinds; more than a few kinds have too many to show."""
    found = {field.name: field for name in names[:MAX_KINDS] for field in kinds.fields(kinds.current(name))}
    return _standard(found.values())


def _beyond() -> list[ImportField]:
    return _standard(kinds.standard_fields().values())


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


def _keys(text: str) -> list[str]:
    """Identity keys written "sort:text", each as the sources write it: what one of them sees is then this resource."""
    found = []
    for part in (each.strip() for each in text.split(";") if each.strip()):
        sort, _colon, rest = part.partition(":")
        key = identity.key_of(sort, rest) if sort in identity.SORTS else None
        if key is None:
            raise Invalid(
                "inventory.identity_key",
                _("This identifies nothing."),
                field="keys",
                value=part[:100],
                remedy=_("Write sort:text, such as serial:ABC123. Sorts: %(sorts)s.")
                % {"sorts": ", ".join(identity.SORTS)},
            )
        found.append(key)
    return sorted(set(found))


def _read(actor: Actor, record: Mapping[str, str]) -> Values:
    kind = kinds.current(checks.kind(record["kind"]))
    values: Values = {"kind": kind, "name": checks.name(record["name"])}
    if record.get("id"):
        values["id"] = _id(record["id"])
    if "owner" in record:
        owner = team_named(record["owner"])
        values["owner"] = owner.name if owner else None
    if "label" in record:
        values["label"] = _labels(record["label"])
    if record.get("keys"):
        values["keys"] = _keys(record["keys"])
    if record.get("relations"):
        values["relations"] = _relations(actor, record["relations"])
    known = {name: field for name in record if (field := kinds.field_named(name.removeprefix(PREFIX))) is not None}
    values |= custom.read_fields(known.values(), kinds.fields(kind), record, PREFIX)
    return values | custom.read_cells(KIND, record, kind)


def _find(actor: Actor, many: Sequence[Values]) -> list[Any]:
    """Three queries for all of them. A name that several active resources of the kind have is no way to know one."""
    ids = [each["id"] for each in many if each.get("id")]
    rows = reads.visible(actor).select_related("owner")
    by_id = {str(row.pk): row for row in rows.filter(pk__in=ids)}
    names = {each["name"] for each in many if not each.get("id")}
    wanted = {each["kind"] for each in many if not each.get("id")}
    by_name: dict[tuple[str, str], list[Resource]] = defaultdict(list)
    active = Q(kind__in=wanted, name__in=names, state=ResourceState.ACTIVE)
    for row in rows.filter(active):
        by_name[row.kind, row.name].append(row)
    stated = {key for each in many for key in each.get("keys") or ()}
    holders = dict(
        Identity.objects.filter(key__in=stated, resource__state=ResourceState.ACTIVE).values_list("key", "resource_id")
    )
    return [_known_by(each, _one(each, by_id, by_name), holders) for each in many]


def _known_by(values: Values, found: Any, holders: Mapping[str, UUID]) -> Any:
    """What was found, or why the stated keys contradict it. Keys that it has already are no change to it."""
    if isinstance(found, Problem) or not values.get("keys"):
        return found
    mine = found.pk if found is not None else None
    wrong = [key for key in values["keys"] if holders.get(key) != mine]
    if wrong:
        return Conflict(
            "inventory.keys",
            _("Something else is known by this, or what is there already is not known by it."),
            field="keys",
            value=wrong[0],
            remedy=_("Leave the keys out; if two are one, merge them in the queue of conflicts of identity."),
        )
    if found is not None:
        del values["keys"]
    return found


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
    return same[0] if same else _wrong(values)


def _wrong(values: Values) -> Problem | None:
    """Why a new resource cannot be: a field it must have is missing, its kind is not offered any more."""
    try:
        standard.offered(values["kind"])
        standard.stated(values["kind"], custom.without_prefix(values, PREFIX), new=True)
        custom.first_cells(KIND, values, values["kind"])
    except Problem as problem:
        return problem
    return None


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
        **{f"{PREFIX}{name}": value for name, value in row.attributes.items()},
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
    stated = custom.without_prefix(values, PREFIX)
    if stated:
        actions.set_attributes(actor=actor, resource=row, values=stated)
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


def _all_keys(values: Values) -> tuple[str, ...]:
    stated = tuple(values.get("keys") or ())
    return (service_key(values["name"]), *stated) if stated and values["kind"] == "service" else stated


def _create(actor: Actor, values: Values) -> Resource:
    row = actions.create_resource(
        actor=actor,
        kind=values["kind"],
        name=values["name"],
        owner=team_named(values.get("owner")),
        labels=values.get("label") or {},
        keys=_all_keys(values),
        attributes=custom.without_prefix(values, PREFIX),
    )
    if "label" in values and row.labels != values["label"]:
        write_labels(actor, row, values["label"])  # one that comes back has the labels it had
    _relate(actor, row, values.get("relations"))
    if row.custom:  # one that comes back
        custom.write_cells(actor, row, values)
    else:
        custom.start_cells(actor, row, KIND, values, row.kind)
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
        subkind="kind",
        of_subkinds=_of_kinds,
        beyond=_beyond,
        whole=False,  # thousands of rows: each by itself, so that nobody waits for all of them
    )
)
