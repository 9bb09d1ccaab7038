"""Defining kinds and relation types: make, change, rename, retire, bring back, delete what nothing uses.

A kind's own fields are custom fields of resources whose `subkinds` name it (core.field_definitions).
Limits: 500 kinds and 500 relation types of people; 8 kinds above one another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core import field_definitions, ledger
from tongchou.core.access import Actor, check
from tongchou.core.field_definitions import texts
from tongchou.core.lists import views
from tongchou.core.models_fields import FieldDefinition
from tongchou.core.problems import Conflict, Invalid, NotFound, Text
from tongchou.core.refs import ref
from tongchou.inventory import checks, icons, kinds, stamps
from tongchou.inventory.apply import BATCH, bump, take_turn
from tongchou.inventory.catalogue.everything import KINDS, RELATION_TYPES
from tongchou.inventory.catalogue.shapes import CARDINALITIES, NOUN
from tongchou.inventory.catalogue.shared_fields import GROUPS
from tongchou.inventory.models import (
    Identity,
    KindDefinition,
    NeededEnd,
    Relation,
    RelationDefinition,
    Resource,
    Stamp,
)
from tongchou.inventory.models_given import Subscription

MANAGE = "inventory.manage_kinds"
LISTS = (NOUN, "inventory.queueitem")  # those that are filtered by kind
MOST = 500
TIERS = 9
Row = TypeVar("Row", KindDefinition, RelationDefinition)


@dataclass(frozen=True, slots=True)
class KindDraft:
    """What is said about a kind; texts are {"en": ..., "zh": ...}."""

    label: Mapping[str, str]
    description: Mapping[str, str] = field(default_factory=dict)
    icon: str = "shapes"
    tier: int = 3
    group: str = "other"
    parent: str = ""


@dataclass(frozen=True, slots=True)
class RelationDraft:
    """What is said about a relation type; see catalogue.shapes.RelationType."""

    label: Mapping[str, str]
    reverse_label: Mapping[str, str]
    needed: str = NeededEnd.TO.value
    cardinality: str = "many-to-many"
    from_kinds: tuple[str, ...] = ()
    to_kinds: tuple[str, ...] = ()


def _wrong(place: str, detail: Text, value: object, remedy: Text) -> Invalid:
    return Invalid("kind.definition", detail, field=place, value=value, remedy=remedy)


def _one_of(place: str, value: str, known: list[str]) -> str:
    if value not in known:
        remedy = _("Use one of: %(names)s.") % {"names": ", ".join(known)[:1000]}
        raise _wrong(place, _("There is no such choice."), value[:80], remedy)
    return value


def draft_of(row: KindDefinition) -> KindDraft:
    """Return what is said about a kind now."""
    return KindDraft(row.label, row.description, row.icon, row.tier, row.group, row.parent)


def relation_draft_of(row: RelationDefinition) -> RelationDraft:
    """Return what is said about a relation type now."""
    return RelationDraft(
        row.label, row.reverse_label, row.needed, row.cardinality, tuple(row.from_kinds), tuple(row.to_kinds)
    )


def _fill_kind(row: KindDefinition, draft: KindDraft) -> None:
    row.label = texts("label", draft.label, 100, needed=True)
    row.description = texts("description", draft.description, 500)
    if draft.icon not in icons.names():
        raise _wrong("icon", _("There is no icon of this name."), draft.icon[:64], _("Use a name of lucide.dev/icons."))
    row.icon = draft.icon
    if not 0 <= draft.tier <= TIERS:
        most = _("A tier lies between 0 and %(most)s.") % {"most": TIERS}
        raise _wrong("tier", most, draft.tier, _("Callers are low, stores are high."))
    row.tier = draft.tier
    row.group = _one_of("group", draft.group, [each.name for each in GROUPS])
    if draft.parent:
        _one_of("parent", draft.parent, sorted(each.name for each in kinds.every() if each.name != row.name))
        line = kinds.lineage(draft.parent)
        if row.name in line or len(line) >= kinds.DEEPEST:
            remedy = _("Choose a kind that does not inherit from this one, at most %(most)s deep.")
            raise _wrong(
                "parent", _("This kind cannot inherit from it."), draft.parent, remedy % {"most": kinds.DEEPEST}
            )
    row.parent = draft.parent


def _fill_relation(row: RelationDefinition, draft: RelationDraft) -> None:
    row.label = texts("label", draft.label, 100, needed=True)
    row.reverse_label = texts("reverse_label", draft.reverse_label, 100, needed=True)
    row.needed = _one_of("needed", draft.needed, list(NeededEnd.values))
    row.cardinality = _one_of("cardinality", draft.cardinality, list(CARDINALITIES))
    known = sorted(each.name for each in kinds.every())
    for place, names in (("from_kinds", draft.from_kinds), ("to_kinds", draft.to_kinds)):
        for name in names[:100]:
            _one_of(place, name, known)
        setattr(row, place, list(dict.fromkeys(names))[:100])


def _new_name(name: str, taken: set[str]) -> str:
    checks.kind(name, "name")
    if name in taken:
        raise Conflict(
            "kind.exists",
            _("There is one called %(name)s already.") % {"name": name},
            field="name",
            value=name,
            remedy=_("Choose another name."),
        )
    return name


def _changed() -> None:
    """Tell every process, and the graph: failure may flow otherwise."""
    stamps.renew(Stamp.KINDS)
    bump()
    kinds.forget()
    transaction.on_commit(kinds.forget)


def _tell(actor: Actor, verb: str, row: KindDefinition | RelationDefinition, **more: Any) -> None:
    ledger.record(actor=actor, verb=verb, subject=ref(row), payload={"name": row.name, **more})


def _differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    changed = sorted(key for key in after if after[key] != before[key])
    return {"old": {key: before[key] for key in changed}, "new": {key: after[key] for key in changed}}


def _newest(row: Row) -> Row:
    found = QuerySet(type(row)).select_for_update().filter(pk=row.pk).first()
    if found is None:
        raise NotFound("kind.unknown", _("It is not defined any more."), field="name", value=row.name)
    return found


def kind_row(name: str) -> KindDefinition:
    """Return the definition of a kind; NotFound, also for one of the catalogue."""
    row = KindDefinition.objects.filter(name=name).first()
    if row is None:
        raise NotFound(
            "kind.unknown",
            _("People defined no kind of this name.") if name not in KINDS else _("This kind comes with the platform."),
            field="name",
            value=name[:64],
            remedy=_("Only kinds that people defined can be changed; give others fields of your own."),
        )
    return row


def relation_row(name: str) -> RelationDefinition:
    """Return the definition of a relation type; NotFound, also for one of the catalogue."""
    row = RelationDefinition.objects.filter(name=name).first()
    if row is None:
        raise NotFound(
            "kind.unknown",
            _("People defined no relation type of this name."),
            field="name",
            value=name[:64],
            remedy=_("Only relation types that people defined can be changed."),
        )
    return row


def _room(model: type[KindDefinition] | type[RelationDefinition]) -> None:
    if QuerySet(model).count() >= MOST:
        raise Conflict(
            "kind.too_many",
            _("At most %(most)s can be defined.") % {"most": MOST},
            remedy=_("Delete one that nothing uses."),
        )


# --- kinds ------------------------------------------------------------------------------------------------------------


def create_kind(*, actor: Actor, name: str, draft: KindDraft) -> KindDefinition:
    """Define a kind. Event kind.created. What there is of that name already is of this kind from now on."""
    check(actor, MANAGE)
    with transaction.atomic():
        take_turn()
        _room(KindDefinition)
        former = {old for names in KindDefinition.objects.values_list("former", flat=True) for old in names}
        taken = {*KINDS, *KindDefinition.objects.values_list("name", flat=True), *former}
        row = KindDefinition(name=_new_name(name, taken), updated_by_name=actor.name[:150])
        _fill_kind(row, draft)
        row.save(force_insert=True)
        _changed()
        _tell(actor, "kind.created", row, new=asdict(draft_of(row)))
    return row


def change_kind(*, actor: Actor, row: KindDefinition, draft: KindDraft, name: str = "") -> KindDefinition:
    """Change a definition; with another `name` rename it: all that names it, saved views too, follows.

    Events kind.changed with old and new, kind.renamed. Nothing when nothing differs.
    """
    check(actor, MANAGE)
    with transaction.atomic():
        take_turn()
        row = _newest(row)
        before = asdict(draft_of(row))
        _fill_kind(row, draft)
        after = asdict(draft_of(row))
        renamed = bool(name) and name != row.name
        old = row.name
        if renamed:
            _rename(actor, row, name)
        if after == before and not renamed:
            return row
        row.updated_at, row.updated_by_name = timezone.now(), actor.name[:150]
        row.save()
        _changed()
        if renamed:
            _tell(actor, "kind.renamed", row, old=old, new=row.name)
        if after != before:
            _tell(actor, "kind.changed", row, **_differing(before, after))
    return row


def _rename(actor: Actor, row: KindDefinition, name: str) -> None:
    old = row.name
    others = KindDefinition.objects.exclude(pk=row.pk)
    former = {each for names in others.values_list("former", flat=True) for each in names}
    row.name = _new_name(name, {*KINDS, *others.values_list("name", flat=True), *former})
    row.former = [each for each in dict.fromkeys([*row.former, old]) if each != name]
    Resource.objects.filter(kind=old).update(kind=name)
    prefix = f"manual:{old}:"
    moved = list(Identity.objects.filter(key__startswith=prefix))
    for each in moved:
        each.key = f"manual:{name}:{each.key.removeprefix(prefix)}"[:255]
    Identity.objects.bulk_update(moved, ["key"], batch_size=BATCH)
    others.filter(parent=old).update(parent=name)
    views.follow(actor=actor, kinds=LISTS, key="kind", renamed={old: name})
    views.follow_subkind(kind=NOUN, old=old, new=name)
    for told in Subscription.objects.all():
        if old in told.kinds:
            told.kinds = sorted({name if each == old else each for each in told.kinds})
            told.save(update_fields=["kinds"])
    for relation in RelationDefinition.objects.all():
        ends = [[name if each == old else each for each in names] for names in (relation.from_kinds, relation.to_kinds)]
        if ends != [relation.from_kinds, relation.to_kinds]:
            relation.from_kinds, relation.to_kinds = ends
            relation.save(update_fields=["from_kinds", "to_kinds"])
    # the fields' definitions are core's: they are changed by its own action, once this kind has its new name
    row.save(update_fields=["name", "former"])
    kinds.forget()
    for own in FieldDefinition.objects.filter(kind=NOUN):
        if old in own.subkinds:
            subkinds = tuple(name if each == old else each for each in own.subkinds)
            draft = replace(field_definitions.draft_of(own), subkinds=subkinds)
            field_definitions.change(actor=actor, row=own, draft=draft, keep_invalid=True)


def retire_kind(*, actor: Actor, row: KindDefinition) -> KindDefinition:
    """Offer a kind no more; what there is of it stays, and sources may still bring some. Event kind.retired."""
    return _retire(actor, row, "kind.retired", gone=True)


def restore_kind(*, actor: Actor, row: KindDefinition) -> KindDefinition:
    """Offer a retired kind again. Event kind.restored."""
    return _retire(actor, row, "kind.restored", gone=False)


def _retire(actor: Actor, row: Row, verb: str, *, gone: bool) -> Row:
    check(actor, MANAGE)
    with transaction.atomic():
        take_turn()
        row = _newest(row)
        if (row.retired_at is not None) == gone:
            return row
        row.retired_at = timezone.now() if gone else None
        row.updated_at, row.updated_by_name = timezone.now(), actor.name[:150]
        row.save()
        _changed()
        _tell(actor, verb, row)
    return row


def uses_of_kind(name: str) -> dict[str, int]:
    """Return how many resources (gone ones too), fields, kinds and relation types use a kind. Four queries."""
    ends = RelationDefinition.objects.values_list("from_kinds", "to_kinds")
    fields = FieldDefinition.objects.filter(kind=NOUN).values_list("subkinds", flat=True)
    found = {
        "resources": Resource.objects.filter(kind=name).count(),
        "fields": sum(1 for each in fields if name in each),
        "kinds": KindDefinition.objects.filter(parent=name).count(),
        "relation_types": sum(1 for from_, to in ends if name in from_ or name in to),
    }
    return {what: count for what, count in found.items() if count}


def _refuse_used(name: str, uses: Mapping[str, int]) -> None:
    if uses:
        raise Conflict(
            "kind.in_use",
            _("%(name)s is in use and cannot be deleted.") % {"name": name},
            field="name",
            value=", ".join(f"{what}: {count:,}" for what, count in uses.items()),
            remedy=_("Retire it instead: nothing new comes, and what there is stays."),
            extra={"uses": dict(uses)},
        )


def delete_kind(*, actor: Actor, row: KindDefinition) -> None:
    """Delete a kind that nothing uses; Conflict kind.in_use says what does. Event kind.deleted."""
    check(actor, MANAGE)
    with transaction.atomic():
        take_turn()
        row = _newest(row)
        _refuse_used(row.name, uses_of_kind(row.name))
        _tell(actor, "kind.deleted", row, old=asdict(draft_of(row)))
        row.delete()
        _changed()


# --- relation types ---------------------------------------------------------------------------------------------------


def create_relation_type(*, actor: Actor, name: str, draft: RelationDraft) -> RelationDefinition:
    """Define a relation type. Event relation_type.created."""
    check(actor, MANAGE)
    with transaction.atomic():
        take_turn()
        _room(RelationDefinition)
        taken = {*RELATION_TYPES, *RelationDefinition.objects.values_list("name", flat=True)}
        row = RelationDefinition(name=_new_name(name, taken), updated_by_name=actor.name[:150])
        _fill_relation(row, draft)
        row.save(force_insert=True)
        _changed()
        _tell(actor, "relation_type.created", row, new=asdict(relation_draft_of(row)))
    return row


def change_relation_type(*, actor: Actor, row: RelationDefinition, draft: RelationDraft) -> RelationDefinition:
    """Change a relation type; relations there are stay. Event relation_type.changed with old and new."""
    check(actor, MANAGE)
    with transaction.atomic():
        take_turn()
        row = _newest(row)
        before = asdict(relation_draft_of(row))
        _fill_relation(row, draft)
        after = asdict(relation_draft_of(row))
        if after == before:
            return row
        row.updated_at, row.updated_by_name = timezone.now(), actor.name[:150]
        row.save()
        _changed()
        _tell(actor, "relation_type.changed", row, **_differing(before, after))
    return row


def retire_relation_type(*, actor: Actor, row: RelationDefinition) -> RelationDefinition:
    """Let people state no more relations of a type; those there are stay. Event relation_type.retired."""
    return _retire(actor, row, "relation_type.retired", gone=True)


def restore_relation_type(*, actor: Actor, row: RelationDefinition) -> RelationDefinition:
    """Offer a retired relation type again. Event relation_type.restored."""
    return _retire(actor, row, "relation_type.restored", gone=False)


def uses_of_relation_type(name: str) -> dict[str, int]:
    """Return how many relations, ended ones too, are of a type. One query."""
    count = Relation.objects.filter(type=name).count()
    return {"relations": count} if count else {}


def delete_relation_type(*, actor: Actor, row: RelationDefinition) -> None:
    """Delete a relation type that was never used; Conflict kind.in_use otherwise. Event relation_type.deleted."""
    check(actor, MANAGE)
    with transaction.atomic():
        take_turn()
        row = _newest(row)
        _refuse_used(row.name, uses_of_relation_type(row.name))
        _tell(actor, "relation_type.deleted", row, old=asdict(relation_draft_of(row)))
        row.delete()
        _changed()
