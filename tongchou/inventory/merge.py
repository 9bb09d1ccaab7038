"""Makes two resources one, takes them apart, splits one in two, moves keys: people's decisions about identity.

A merge moves everything an absorbed resource has (keys, sightings, words, relations, endpoints, holds) and keeps a
journal of it. The absorbed row stays, without identity, so that every Ref to it leads on to the other. Whose word
counts is decided as everywhere: by the strength of sources, never by which of the two is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Model
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext_lazy as _

from tongchou.core import ledger
from tongchou.core.access import Actor, check
from tongchou.core.problems import Conflict, Invalid, NotFound
from tongchou.core.refs import ref
from tongchou.inventory import absences, checks, refresh
from tongchou.inventory.actions import EDIT
from tongchou.inventory.apply import bump, derive, take_turn
from tongchou.inventory.models import (
    AttributeValue,
    Endpoint,
    Hold,
    Identity,
    Relation,
    Resource,
    ResourceLabel,
    ResourceState,
    Sighting,
)
from tongchou.inventory.models_queues import Acceptance, Merge, QueueItem
from tongchou.inventory.precedence import MANUAL, NAME, OWNER, Weights, strength
from tongchou.inventory.recorded import weights

MOST_STEPS = 100  # of a chain of merges
Journal = dict[str, Any]
SIGHTING = ("source", "last_seen", "missed", "gone_at")
ATTRIBUTE = ("source", "name", "value", "changed_at")
LABEL = ("name", "value", "source")
ENDPOINT = (
    "purpose", "url", "labels", "job", "instance", "interval_seconds", "timeout_seconds", "enabled", "source",
)  # fmt: skip
MOMENTS = frozenset({"last_seen", "gone_at", "changed_at"})


# --- where a merged resource lives on ---------------------------------------------------------------------------------


def successor(resource: Resource) -> Resource:
    """Return the resource that an absorbed one lives on in, along the chain of merges; any other one itself."""
    for _step in range(MOST_STEPS):
        if resource.state != ResourceState.MERGED:
            return resource
        found = Merge.objects.filter(absorbed=resource, undone_at__isnull=True).select_related("kept__owner").first()
        if found is None:
            return resource
        resource = found.kept
    return resource


def absorbed_by(resource_id: UUID) -> list[UUID]:
    """Return the ids that lead to a resource, the newest merge first, those of a chain too; one query a link."""
    found: list[UUID] = []
    ends = [resource_id]
    for _step in range(MOST_STEPS):
        rows = Merge.objects.filter(kept__in=ends, undone_at__isnull=True).order_by("-at")
        ends = list(rows.values_list("absorbed_id", flat=True))
        if not ends:
            break
        found += ends
    return found


def merges_of(resource: Resource) -> list[Merge]:
    """Return the merges in force into a resource, the newest first."""
    rows = Merge.objects.filter(kept=resource, undone_at__isnull=True).select_related("kept", "absorbed")
    return list(rows.order_by("-at", "-id"))


def get_merge(id_: UUID) -> Merge:
    """Return a merge; raises NotFound. Callers check access to both resources."""
    row = Merge.objects.filter(pk=id_).select_related("kept", "absorbed").first()
    if row is None:
        raise NotFound("inventory.merge", _("There is no merge of this id."), field="id", value=id_)
    return row


# --- merge ------------------------------------------------------------------------------------------------------------


def merge_resources(*, actor: Actor, kept: Resource, absorbed: Resource, reason: str = "") -> Merge:
    """Make `absorbed` part of `kept`. Event resource.merged about both. The right to edit both is needed.

    Raises Conflict when `kept` is not active, or `absorbed` is merged already.
    """
    for each in (kept, absorbed):
        check(actor, EDIT, team=each.owner_id)
    if kept.pk == absorbed.pk:
        raise Invalid(
            "inventory.merge_self",
            _("A resource cannot be merged with itself."),
            field="absorbed",
            value=absorbed.name,
            remedy=_("Choose two resources."),
        )
    with transaction.atomic():
        take_turn()
        rows = {
            row.pk: row
            for row in Resource.objects.select_for_update(of=("self",)).filter(pk__in=[kept.pk, absorbed.pk])
        }
        to, gone = rows[kept.pk], rows[absorbed.pk]
        if to.state != ResourceState.ACTIVE or gone.state == ResourceState.MERGED:
            raise Conflict(
                "inventory.merge_state",
                _("Only an active resource can take in another one, and none that is merged already."),
                field="kept" if to.state != ResourceState.ACTIVE else "absorbed",
                value=(to if to.state != ResourceState.ACTIVE else gone).name,
                remedy=_("Follow its pointer, or bring it back first."),
            )
        now = timezone.now()
        journal = _join(to, gone, now)
        made = Merge.objects.create(
            kept=to, absorbed=gone, at=now, by=actor.name[:150], reason=reason.strip()[:500], journal=journal
        )
        QueueItem.objects.filter(resource=gone).delete()
        QueueItem.objects.filter(resource=to, queue="identity").delete()
        bump()
        refresh.bump()
        payload = {"name": to.name, "absorbed": gone.name, "keys": journal["keys"][:50], "reason": made.reason}
        ledger.record(actor=actor, verb="resource.merged", subject=ref(gone), about=[ref(to)], payload=payload)
    return made


def _join(to: Resource, gone: Resource, now: datetime) -> Journal:
    """Move everything; return what moved."""
    weight = weights()
    journal: Journal = {
        "kept": _facts(to),
        "absorbed": _facts(gone),
        "keys": list(gone.identities.order_by("key").values_list("key", flat=True)),
    }
    gone.identities.update(resource=to)
    journal["sightings"] = _join_sightings(to, gone)
    journal["attributes"] = _join_attributes(to, gone)
    journal["labels"] = _join_labels(to, gone, weight)
    journal["relations"] = _join_relations(to, gone, now)
    journal["endpoints"] = _join_endpoints(to, gone)
    holds = Hold.objects.filter(resource=gone, lifted_at__isnull=True)
    journal["holds"] = [str(id_) for id_ in holds.values_list("pk", flat=True)]
    holds.update(resource=to)
    journal["acceptance"] = not hasattr(to, "acceptance") and bool(
        Acceptance.objects.filter(resource=gone).update(resource=to)
    )
    _take_facts(to, gone, weight)
    gone.state, gone.gone_at = ResourceState.MERGED, gone.gone_at or now
    gone.labels = {}
    gone.save(update_fields=["state", "gone_at", "labels"])
    derive([to.pk, gone.pk], weight)
    return journal


def _facts(row: Resource) -> Journal:
    return {
        "kind": row.kind,
        "name": row.name,
        "source": row.source,
        "owner": str(row.owner_id) if row.owner_id else None,
        "owner_source": row.owner_source,
        "custom": row.custom,
        "state": row.state,
        "gone_at": row.gone_at.isoformat() if row.gone_at else None,
    }


def _take_facts(to: Resource, gone: Resource, weight: Weights) -> None:
    """Name and owner by the stronger word; custom values where there is none."""
    names, owners = weight.about(NAME), weight.about(OWNER)
    if strength(gone.source, names) > strength(to.source, names):
        to.kind, to.name, to.source = gone.kind, gone.name, gone.source
    stronger = strength(gone.owner_source, owners) > strength(to.owner_source, owners)
    if gone.owner_id is not None and (stronger or (to.owner_id is None and to.owner_source != MANUAL)):
        to.owner_id, to.owner_source = gone.owner_id, gone.owner_source
    to.custom, to.custom_said = {**gone.custom, **to.custom}, {**gone.custom_said, **to.custom_said}
    to.labels = dict(ResourceLabel.objects.filter(resource=to).values_list("name", "value"))
    to.save(update_fields=["kind", "name", "source", "owner", "owner_source", "custom", "custom_said", "labels"])


def _row(row: Model, names: Iterable[str]) -> Journal:
    found = {name: getattr(row, name) for name in names}
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in found.items()}


def _read(journal: Mapping[str, Any]) -> Journal:
    return {
        name: parse_datetime(value) if name in MOMENTS and isinstance(value, str) else value
        for name, value in journal.items()
    }


def _join_sightings(to: Resource, gone: Resource) -> Journal:
    """Of two sightings by one source the later one holds, and that it has not given up."""
    mine = {row.source: row for row in Sighting.objects.filter(resource=to)}
    moved, folded = [], []
    for row in Sighting.objects.filter(resource=gone).order_by("pk"):
        known = mine.get(row.source)
        if known is None:
            moved.append(row.source)
            continue
        folded.append(row.source)
        known.last_seen = max(known.last_seen, row.last_seen)
        known.missed = min(known.missed, row.missed)
        known.gone_at = None if known.gone_at is None or row.gone_at is None else max(known.gone_at, row.gone_at)
        known.save(update_fields=["last_seen", "missed", "gone_at"])
    Sighting.objects.filter(resource=gone, source__in=folded).delete()
    Sighting.objects.filter(resource=gone).update(resource=to)
    return {"moved": moved, "folded": folded}


def _join_attributes(to: Resource, gone: Resource) -> Journal:
    """Of two words of one source about one attribute the newer one holds."""
    mine = {(row.name, row.source): row for row in AttributeValue.objects.filter(resource=to)}
    moved, dropped, replaced = [], [], []
    for row in AttributeValue.objects.filter(resource=gone).order_by("pk"):
        known = mine.get((row.name, row.source))
        if known is None:
            moved.append([row.name, row.source])
            continue
        dropped.append(_row(row, ATTRIBUTE))
        if row.changed_at > known.changed_at:
            replaced.append(_row(known, ATTRIBUTE))
            known.value, known.changed_at = row.value, row.changed_at
            known.save(update_fields=["value", "changed_at"])
        row.delete()
    AttributeValue.objects.filter(resource=gone).update(resource=to)
    return {"moved": moved, "dropped": dropped, "replaced": replaced}


def _join_labels(to: Resource, gone: Resource, weight: Weights) -> Journal:
    mine = {row.name: row for row in ResourceLabel.objects.filter(resource=to)}
    moved, dropped, replaced = [], [], []
    for row in ResourceLabel.objects.filter(resource=gone).order_by("pk"):
        known = mine.get(row.name)
        if known is None:
            moved.append(row.name)
            continue
        dropped.append(_row(row, LABEL))
        if strength(row.source, weight.about()) > strength(known.source, weight.about()):
            replaced.append(_row(known, LABEL))
            known.value, known.source = row.value, row.source
            known.save(update_fields=["value", "source"])
        row.delete()
    ResourceLabel.objects.filter(resource=gone).update(resource=to)
    return {"moved": moved, "dropped": dropped, "replaced": replaced}


def _join_relations(to: Resource, gone: Resource, now: datetime) -> Journal:
    """Turn open relations to the other one. One between the two ends; of two alike, one ends."""
    open_ = Relation.objects.filter(valid_to__isnull=True)
    moved: dict[str, list[str]] = {"out": [], "in": []}
    closed: list[str] = []
    for word, near, far in (
        ("out", "from_resource_id", "to_resource_id"),
        ("in", "to_resource_id", "from_resource_id"),
    ):
        rows = open_.filter(**{near: gone.pk}).order_by("pk")
        have = set(open_.filter(**{near: to.pk}).values_list(far, "type", "source"))
        for row in rows:
            other = getattr(row, far)
            if other == to.pk or (other, row.type, row.source) in have:
                row.valid_to = now
                row.save(update_fields=["valid_to"])
                closed.append(str(row.pk))
            else:
                setattr(row, near, to.pk)
                row.save(update_fields=[near])
                moved[word].append(str(row.pk))
    return {**moved, "closed": closed}


def _join_endpoints(to: Resource, gone: Resource) -> Journal:
    have = set(Endpoint.objects.filter(resource=to).values_list("purpose", "url", "source"))
    rows = list(Endpoint.objects.filter(resource=gone).order_by("pk"))
    twice = [row for row in rows if (row.purpose, row.url, row.source) in have]
    dropped = [_row(row, ENDPOINT) for row in twice]
    Endpoint.objects.filter(pk__in=[row.pk for row in twice]).delete()
    Endpoint.objects.filter(resource=gone).update(resource=to)
    return {"moved": [str(row.pk) for row in rows if row not in twice], "dropped": dropped}


# --- undo -------------------------------------------------------------------------------------------------------------


def undo_merge(*, actor: Actor, merge: Merge) -> Resource:
    """Take two resources apart again; return the one that was absorbed. Event resource.unmerged about both.

    What was written since stays where it is, and the sources' next look puts right what they see. Raises Conflict for
    a merge that is undone, or upon which another one was built: undo that one first; and when one of the two would be
    left without a key.
    """
    for each in (merge.kept, merge.absorbed):
        check(actor, EDIT, team=each.owner_id)
    with transaction.atomic():
        take_turn()
        to, gone = (
            Resource.objects.select_for_update(of=("self",)).get(pk=each.pk) for each in (merge.kept, merge.absorbed)
        )
        have = set(to.identities.values_list("key", flat=True))
        keys = merge.journal.get("keys", [])
        back = have.intersection(keys)
        if back in (set(), have) and to.state != ResourceState.MERGED:
            raise Conflict(
                "inventory.merge_keys",
                _("One of the two would be known by nothing: keys were split off or moved since."),
                value=gone.name,
                remedy=_("Move those keys back first: %(keys)s.") % {"keys": ", ".join(keys)[:500]},
            )
        newer = Merge.objects.filter(kept=to, undone_at__isnull=True, at__gt=merge.at).exists()
        now = timezone.now()
        undone = {"undone_at": now, "undone_by": actor.name[:150]}
        mine = Merge.objects.filter(pk=merge.pk, undone_at__isnull=True)
        if newer or to.state == ResourceState.MERGED or not mine.update(**undone):
            raise Conflict(
                "inventory.merge_undo",
                _("This merge cannot be undone now: it is undone already, or another one was built upon it."),
                value=gone.name,
                remedy=_("Undo the newest merge first."),
            )
        _part(to, gone, merge.journal, now)
        bump()
        refresh.bump()
        payload = {"name": to.name, "absorbed": gone.name}
        ledger.record(actor=actor, verb="resource.unmerged", subject=ref(gone), about=[ref(to)], payload=payload)
    merge.refresh_from_db()
    return gone


def _part(to: Resource, gone: Resource, journal: Journal, now: datetime) -> None:
    Identity.objects.filter(resource=to, key__in=journal["keys"]).update(resource=gone)
    sightings = journal["sightings"]
    Sighting.objects.filter(resource=to, source__in=sightings["moved"]).update(resource=gone)
    for seen in Sighting.objects.filter(resource=to, source__in=sightings["folded"]):
        # the source saw one thing since: it cannot tell which of the two, and its next look will
        Sighting.objects.create(resource=gone, **{name: getattr(seen, name) for name in SIGHTING})
    _part_words(to, gone, journal)
    _part_relations(to, gone, journal["relations"])
    Endpoint.objects.filter(resource=to, pk__in=journal["endpoints"]["moved"]).update(resource=gone)
    Endpoint.objects.bulk_create([Endpoint(resource=gone, **each) for each in journal["endpoints"]["dropped"]])
    Hold.objects.filter(resource=to, pk__in=journal["holds"]).update(resource=gone)
    if journal["acceptance"]:
        Acceptance.objects.filter(resource=to).update(resource=gone)
    before, own = journal["kept"], journal["absorbed"]
    if (to.kind, to.name, to.source) == (own["kind"], own["name"], own["source"]):
        to.kind, to.name, to.source = before["kind"], before["name"], before["source"]
    if _owner(to) == own["owner"] != before["owner"]:
        to.owner_id = UUID(before["owner"]) if before["owner"] else None
        to.owner_source = before["owner_source"]
    to.custom = {
        name: value for name, value in to.custom.items() if name in before["custom"] or own["custom"].get(name) != value
    }
    for row in (to, gone):
        row.labels = dict(ResourceLabel.objects.filter(resource=row).values_list("name", "value"))
    if own["gone_at"] is None:
        absences.note_return([gone], now)
    gone.state, gone.gone_at = own["state"], parse_datetime(own["gone_at"]) if own["gone_at"] else None
    to.save(update_fields=["kind", "name", "source", "owner", "owner_source", "custom", "labels"])
    gone.save(update_fields=["state", "gone_at", "labels"])
    derive([to.pk, gone.pk], weights())


def _owner(row: Resource) -> str | None:
    return str(row.owner_id) if row.owner_id else None


def _part_words(to: Resource, gone: Resource, journal: Journal) -> None:
    attributes, labels = journal["attributes"], journal["labels"]
    for name, source in attributes["moved"]:
        AttributeValue.objects.filter(resource=to, name=name, source=source).update(resource=gone)
    AttributeValue.objects.bulk_create(
        [AttributeValue(resource=gone, **_read(each)) for each in attributes["dropped"]], ignore_conflicts=True
    )
    taken = {(each["name"], each["source"]): each for each in attributes["dropped"]}
    for each in attributes["replaced"]:
        now = AttributeValue.objects.filter(resource=to, name=each["name"], source=each["source"]).first()
        if now is not None and now.value == taken[each["name"], each["source"]]["value"]:
            now.value, now.changed_at = each["value"], _read(each)["changed_at"]
            now.save(update_fields=["value", "changed_at"])
    ResourceLabel.objects.filter(resource=to, name__in=labels["moved"]).update(resource=gone)
    ResourceLabel.objects.bulk_create(
        [ResourceLabel(resource=gone, **each) for each in labels["dropped"]], ignore_conflicts=True
    )
    for each in labels["replaced"]:
        ResourceLabel.objects.filter(resource=to, name=each["name"]).update(value=each["value"], source=each["source"])


def _part_relations(to: Resource, gone: Resource, moved: Journal) -> None:
    """Turn relations back and open again what the merge ended, unless the like was opened since."""
    Relation.objects.filter(pk__in=moved["out"], from_resource=to).update(from_resource=gone)
    Relation.objects.filter(pk__in=moved["in"], to_resource=to).update(to_resource=gone)
    for row in Relation.objects.filter(pk__in=moved["closed"]):
        alike = Relation.objects.filter(
            from_resource=row.from_resource_id,
            to_resource=row.to_resource_id,
            type=row.type,
            source=row.source,
            valid_to__isnull=True,
        )
        if not alike.exists():
            Relation.objects.filter(pk=row.pk).update(valid_to=None)


# --- split ------------------------------------------------------------------------------------------------------------


def split_resource(
    *, actor: Actor, resource: Resource, keys: Collection[str], name: str = "", reason: str = ""
) -> Resource:
    """Take some identity keys out of a resource into a new one of its kind and owner; return that.

    Event resource.split about both. A person's word upholds the new one; its attributes, relations and endpoints come
    with its sources' next look. Raises Invalid unless some of the keys are named and at least one stays.
    """
    check(actor, EDIT, team=resource.owner_id)
    with transaction.atomic():
        take_turn()
        row = Resource.objects.select_for_update(of=("self",)).get(pk=resource.pk)
        wanted = _some_of(row, keys)
        made = _new_of(row, checks.name(name or row.name), wanted)
        bump()
        payload = {"name": row.name, "new": made.name, "keys": wanted[:50], "reason": reason.strip()[:500]}
        ledger.record(actor=actor, verb="resource.split", subject=ref(row), about=[ref(made)], payload=payload)
    return made


def move_keys(*, actor: Actor, resource: Resource, to: Resource, keys: Collection[str], reason: str = "") -> Resource:
    """Give some identity keys of a resource to another one that is there already; return that.

    Event resource.keys_moved about both. The right to edit both is needed. Attributes, relations and endpoints come
    with the sources' next look. Moved back, all is as before. Raises Invalid unless some of the keys are named and at
    least one stays (else merge the two), Conflict when the other one is not active.
    """
    for each in (resource, to):
        check(actor, EDIT, team=each.owner_id)
    if resource.pk == to.pk:
        raise Invalid(
            "inventory.move_self",
            _("These keys are of this resource already."),
            field="to",
            value=to.name,
            remedy=_("Choose another resource."),
        )
    with transaction.atomic():
        take_turn()
        rows = {
            row.pk: row for row in Resource.objects.select_for_update(of=("self",)).filter(pk__in=[resource.pk, to.pk])
        }
        row, other = rows[resource.pk], rows[to.pk]
        wanted = _some_of(row, keys)
        if other.state != ResourceState.ACTIVE:
            raise Conflict(
                "inventory.move_state",
                _("Only an active resource can be given keys."),
                field="to",
                value=other.name,
                remedy=_("Bring it back first, or choose the one that it lives on in."),
            )
        Identity.objects.filter(resource=row, key__in=wanted).update(resource=other)
        bump()
        payload = {"name": row.name, "to": other.name, "keys": wanted[:50], "reason": reason.strip()[:500]}
        ledger.record(actor=actor, verb="resource.keys_moved", subject=ref(row), about=[ref(other)], payload=payload)
    return other


def _some_of(row: Resource, keys: Collection[str]) -> list[str]:
    """The keys by name if the resource has them and others besides; raises Invalid."""
    wanted = sorted(set(keys))
    have = set(row.identities.values_list("key", flat=True))
    if not wanted or not set(wanted) <= have or set(wanted) == have or row.state == ResourceState.MERGED:
        raise Invalid(
            "inventory.split_keys",
            _("Name one or more of its identity keys, and leave it at least one."),
            field="keys",
            value=", ".join(wanted)[:500],
            remedy=_("It is known by: %(keys)s.") % {"keys": ", ".join(sorted(have))[:500]},
        )
    return wanted


def _new_of(row: Resource, name: str, keys: list[str]) -> Resource:
    made = Resource.objects.create(
        kind=row.kind, name=name, source=MANUAL, owner=row.owner, owner_source=row.owner_source
    )
    Identity.objects.filter(resource=row, key__in=keys).update(resource=made)
    Sighting.objects.create(resource=made, source=MANUAL)
    return made
