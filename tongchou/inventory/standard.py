"""Standard fields of a kind: what people may state, and what a source said that does not fit."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from django.utils.translation import gettext_lazy as _

from tongchou.core.custom_fields import clean_by, has, missing
from tongchou.core.field_types import FieldDef, Unfit, read
from tongchou.core.problems import Invalid
from tongchou.inventory import filling, kinds
from tongchou.inventory.catalogue.shapes import COLUMN, RelationType
from tongchou.inventory.notes import Note
from tongchou.inventory.observation import Observation
from tongchou.inventory.plan import Plan
from tongchou.inventory.reconcile import Recorded

MAX_NOTES = 40


def offered(kind: str) -> str:
    """Return the kind if people may make resources of it; Invalid for one that is retired. An unknown one is legal."""
    if kinds.kind(kind).retired:
        raise Invalid(
            "inventory.kind_retired",
            _("This kind is retired: what there is of it stays, and nothing new comes."),
            field="kind",
            value=kind,
            remedy=_("Choose another kind, or bring this one back on the page of kinds."),
        )
    return kind


def stated(kind: str, values: Mapping[str, Any], *, new: bool = False) -> dict[str, Any]:
    """Return attributes as a person's word is kept: those that are fields of the kind fit, others stay as they come.

    Invalid names the field as "attributes.<name>", its value and a remedy. `new`: what is required must be there.
    """
    fields = {each.name: each for each in kinds.fields(kind)}
    named = {name: value for name, value in values.items() if name in fields}
    taken = {**values, **clean_by([fields[name] for name in named], named, partial=True)}
    for each in fields.values() if new else ():
        if each.required and taken.get(each.name) is None:
            raise missing(each)
    return taken


def check_ends(type_: str, from_kind: str, to_kind: str) -> RelationType:
    """Return a relation type that people may use between these kinds; Invalid names the end that does not fit."""
    known = kinds.relation(type_)
    if known is None or known.retired:
        raise Invalid(
            "inventory.relation_type",
            _("There is no relation type of this name.") if known is None else _("This relation type is retired."),
            field="type",
            value=type_,
            remedy=_("Use one of: %(known)s.")
            % {"known": ", ".join(sorted(each.name for each in kinds.relations(retired=False)))},
        )
    for end, kind, allowed in (("from", from_kind, known.from_kinds), ("to", to_kind, known.to_kinds)):
        if not kinds.fits(kind, allowed):
            raise Invalid(
                "inventory.relation_end",
                _("A %(kind)s cannot be this end of the relation.") % {"kind": kinds.kind(kind).title},
                field=end,
                value=kind,
                remedy=_("It is one of: %(kinds)s.")
                % {"kinds": ", ".join(str(kinds.kind(each).title) for each in allowed)},
            )
    return known


# --- what sources say: taken, and told --------------------------------------------------------------------------------


def notes(observation: Observation, recorded: Recorded, plan: Plan) -> list[Note]:
    """Return what a source said that does not fit the definitions, the first MAX_NOTES. It is taken all the same."""
    return [
        *islice(_unfit_values(observation), MAX_NOTES),
        *islice(_unfit_relations(recorded, plan), MAX_NOTES),
    ]


def _unfit_values(observation: Observation) -> Iterator[Note]:
    custom = filling.fillable()
    own: dict[str, list[FieldDef]] = {}
    for each in observation.resources:
        if not each.attributes:
            continue
        if each.kind not in own:
            own[each.kind] = [field for field in custom if has(field, each.kind)]
        for field in (*kinds.fields(each.kind), *own[each.kind]):
            if field.name not in each.attributes:
                continue
            value = each.attributes[field.name]
            try:
                read(field, value) if field.column == COLUMN else filling.as_kept(field, value)
            except Unfit as unfit:
                yield filling.note(each.name, field.name, value, unfit)


def _unfit_relations(recorded: Recorded, plan: Plan) -> Iterator[Note]:
    """Ends of a kind the type does not allow, and more than one where there may be one; among what this source says."""
    known = {each.id: (each.kind, each.name) for each in plan.created}
    known |= {each.id: (each.kind, each.name) for each in recorded.resources.values()}
    for name, found in recorded.names.items():
        known |= {id_: (kind, name) for kind, id_ in found if id_ not in known}
    closed = {(each.from_id, each.to_id, each.type) for each in plan.relations_closed}
    added = [(each.from_id, each.to_id, each.type) for each in plan.relations_added]
    open_ = [*(recorded.relations.keys() - closed), *added]
    targets = Counter((edge[2], edge[0]) for edge in open_)
    origins = Counter((edge[2], edge[1]) for edge in open_)
    nobody = ("", "?")
    for from_id, to_id, type_ in sorted(added, key=lambda edge: (edge[2], str(edge[0]), str(edge[1]))):
        of = kinds.relation(type_)
        if of is None:
            continue
        facts = _facts(known.get(from_id, nobody), known.get(to_id, nobody), of)
        ends = ((known.get(from_id, nobody)[0], of.from_kinds), (known.get(to_id, nobody)[0], of.to_kinds))
        if any(kind and not kinds.fits(kind, allowed) for kind, allowed in ends):
            yield Note("relation_ends", facts)
        elif (of.one_to and targets[type_, from_id] > 1) or (of.one_from and origins[type_, to_id] > 1):
            yield Note("relation_many", facts)


def _facts(from_: tuple[str, str], to: tuple[str, str], of: RelationType) -> dict[str, str]:
    return {"name": from_[1], "other": to[1], "type": of.name}
