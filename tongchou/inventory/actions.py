"""Every write of the inventory by people, callers and other rooms; sources.py configures and runs sources."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core import ledger
from tongchou.core.access import Actor, check
from tongchou.core.models import Team
from tongchou.core.problems import Conflict, Invalid, NotFound
from tongchou.core.refs import ref
from tongchou.inventory import absences, checks, ip_index, kinds, standard
from tongchou.inventory.apply import bump, endpoint_row, take_turn
from tongchou.inventory.catalogue.shapes import RelationType
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
    SourceConfig,
)
from tongchou.inventory.observation import MAX_KEY, OWN_SERVICE, ObservedEndpoint, service_key
from tongchou.inventory.precedence import MANUAL, derived, effective
from tongchou.inventory.reconcile import canonical
from tongchou.inventory.recorded import as_observed, given_up, weights
from tongchou.inventory.sources import Wanted, configure_source, source_kinds

EDIT = "inventory.edit"
HOST_SOURCE = "this-host"


def create_resource(
    *,
    actor: Actor,
    kind: str,
    name: str,
    owner: Team | None = None,
    labels: Mapping[str, str] | None = None,
    attributes: Mapping[str, Any] | None = None,
    keys: tuple[str, ...] = (),
) -> Resource:
    """Create a resource by a person's word, or bring the tombstone with the same identity back.

    Events resource.created or resource.returned. Raises Conflict when an active resource has one of its keys, Invalid
    for an attribute that does not fit the kind's field, or a required one that is missing.
    A service is known by its name; any other kind without `keys` by kind and name among what people stated.
    """
    check(actor, EDIT, team=owner)
    kind, name = standard.offered(kinds.current(checks.kind(kind))), checks.name(name)
    stated, values = checks.labels(labels or {}), checks.attributes(attributes or {})
    values = standard.stated(kind, values, new=True)
    keys = keys or (service_key(name) if kind == "service" else f"manual:{kind}:{name}",)
    if any(not key or len(key) > MAX_KEY for key in keys):
        raise Invalid("inventory.identity_key", _("An identity key has 1 to 255 characters."), field="keys")
    try:
        with transaction.atomic():
            take_turn()
            tombstone = _by_keys(keys)
            returned = tombstone is not None
            row = tombstone or Resource(kind=kind, name=name, source=MANUAL)
            if returned:
                check(actor, EDIT, team=row.owner_id)
                absences.note_return([row], timezone.now())
                row.state, row.gone_at = ResourceState.ACTIVE, None
            row.owner, row.owner_source = owner, MANUAL if owner else ""
            row.save()
            known = set(row.identities.values_list("key", flat=True))
            Identity.objects.bulk_create([Identity(resource=row, key=key) for key in keys if key not in known])
            Sighting.objects.update_or_create(
                resource=row, source=MANUAL, defaults={"last_seen": timezone.now(), "missed": 0, "gone_at": None}
            )
            _write_labels(row, stated)
            _write_attributes(row, MANUAL, values)
            if ip_index.concerns(kind, row.attributes):
                ip_index.index([row.pk])
            bump()
            verb = "resource.returned" if returned else "resource.created"
            ledger.record(
                actor=actor, verb=verb, subject=ref(row), payload={"kind": kind, "name": name, "source": MANUAL}
            )
    except IntegrityError as error:
        raise _taken(keys) from error
    return row


def _by_keys(keys: tuple[str, ...]) -> Resource | None:
    """The tombstone with one of the keys, locked; None when the keys are free. Raises Conflict for an active one."""
    row = (
        Resource.objects.select_for_update(of=("self",)).filter(identities__key__in=keys).order_by("created_at").first()
    )
    if row is not None and row.state == ResourceState.ACTIVE:
        raise _taken(keys)
    return row


def _taken(keys: tuple[str, ...]) -> Conflict:
    return Conflict(
        "inventory.exists",
        _("A resource with this identity exists already."),
        field="name",
        value=", ".join(keys),
        remedy=_("Change that resource, or choose another name."),
    )


def update_resource(
    *,
    actor: Actor,
    resource: Resource,
    name: str | None = None,
    owner: Team | None = None,
    clear_owner: bool = False,
    labels: Mapping[str, str | None] | None = None,
) -> Resource:
    """Change name, owner or labels by a person's word, which outweighs every source. A label of None is taken back.

    Event resource.changed with old and new, only when something differs.
    """
    check(actor, EDIT, team=resource.owner_id)
    whole(resource)
    if owner is not None:
        check(actor, EDIT, team=owner)
    stated = checks.labels({key: value for key, value in (labels or {}).items() if value is not None})
    dropped = [key for key, value in (labels or {}).items() if value is None]
    with transaction.atomic():
        take_turn()
        row = Resource.objects.select_for_update(of=("self",)).select_related("owner").get(pk=resource.pk)
        changes: dict[str, list[Any]] = {}
        if name is not None and checks.name(name) != row.name:
            changes["name"] = [row.name, checks.name(name)]
            row.name, row.source = checks.name(name), MANUAL
        if (owner is not None or clear_owner) and (owner.pk if owner else None) != row.owner_id:
            changes["owner"] = [row.owner.name if row.owner else None, owner.name if owner else None]
            row.owner, row.owner_source = owner, MANUAL  # also of none: what a person cleared no source fills again
        before = dict(row.labels)
        row.save(update_fields=["name", "source", "owner", "owner_source"])
        _write_labels(row, stated, dropped)
        for key in sorted(before.keys() | row.labels.keys()):
            if before.get(key) != row.labels.get(key):
                changes[f"label {key}"] = [before.get(key), row.labels.get(key)]
        if changes:
            bump()
            ledger.record(
                actor=actor,
                verb="resource.changed",
                subject=ref(row),
                payload={"name": row.name, "source": MANUAL, "changes": changes},
            )
    return row


def whole(resource: Resource) -> None:
    """Raise Conflict for a resource that lives on in another one: what is said of it would be said to nobody."""
    if resource.state == ResourceState.MERGED:
        raise Conflict(
            "inventory.merged",
            _("This resource was merged into another one."),
            field="id",
            value=str(resource.pk),
            remedy=_("GET /api/v1/resources/%(id)s names the other one in merged_into.") % {"id": resource.pk},
        )


def _write_labels(row: Resource, stated: Mapping[str, str], dropped: list[str] | None = None) -> None:
    """Write labels by a person's word and derive Resource.labels; takes back any source's label in `dropped`."""
    ResourceLabel.objects.filter(resource=row, name__in=dropped or []).delete()
    ResourceLabel.objects.bulk_create(
        [ResourceLabel(resource=row, name=key, value=value, source=MANUAL) for key, value in stated.items()],
        update_conflicts=True,
        unique_fields=["resource", "name"],
        update_fields=["value", "source"],
    )
    labels = dict(ResourceLabel.objects.filter(resource=row).values_list("name", "value"))
    if labels != row.labels:
        row.labels = labels
        row.save(update_fields=["labels"])


def set_attributes(*, actor: Actor, resource: Resource, values: Mapping[str, Any], source: str = MANUAL) -> Resource:
    """State attributes in the name of `source`; None takes the source's word back. Other sources' values stay.

    A person's word must fit the fields of the kind; what differs from what counts now is looked at, nothing else.

    Event resource.changed, only when the effective value (precedence.effective) differs.
    """
    check(actor, EDIT, team=resource.owner_id)
    whole(resource)
    checks.attributes(values)
    with transaction.atomic():
        take_turn()
        row = Resource.objects.select_for_update(of=("self",)).get(pk=resource.pk)
        if source == MANUAL:
            new = {name: value for name, value in values.items() if row.attributes.get(name) != value}
            values = {**values, **standard.stated(row.kind, new)}
        changes = _write_attributes(row, source, values)
        if ip_index.concerns(row.kind, values):
            ip_index.index([row.pk])
        bump(graph=False)
        if changes:
            ledger.record(
                actor=actor,
                verb="resource.changed",
                subject=ref(row),
                payload={"name": row.name, "source": source, "changes": changes},
            )
    return row


def _write_attributes(row: Resource, source: str, values: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Write a source's values and derive Resource.attributes; return what a reader sees differ: name -> [old, new]."""
    weight, gone = weights(), given_up([row.pk]).get(row.pk, ())
    before: dict[str, dict[str, Any]] = {}
    for name, by, value in AttributeValue.objects.filter(resource=row, name__in=values).values_list(
        "name", "source", "value"
    ):
        before.setdefault(name, {})[by] = value
    changes: dict[str, list[Any]] = {}
    stated: list[AttributeValue] = []
    all_after: dict[str, dict[str, Any]] = {}
    for name, value in sorted(values.items()):
        known = before.get(name, {})
        after = {by: old for by, old in known.items() if by != source}
        if value is not None:
            after[source] = value
            if source not in known or canonical(known[source]) != canonical(value):
                stated.append(
                    AttributeValue(resource=row, source=source, name=name, value=value, changed_at=timezone.now())
                )
        all_after[name] = after
        pair = [effective(each, weight.about(name, gone)) for each in (known, after)]
        if canonical(pair[0]) != canonical(pair[1]):
            changes[name] = pair
    AttributeValue.objects.filter(
        resource=row, source=source, name__in=[name for name, value in values.items() if value is None]
    ).delete()
    AttributeValue.objects.bulk_create(
        stated,
        update_conflicts=True,
        unique_fields=["resource", "name", "source"],
        update_fields=["value", "changed_at"],
    )
    kept = {name: value for name, value in row.attributes.items() if name not in all_after}
    attributes = {**kept, **derived(all_after, weight, gone)}
    if attributes != row.attributes:
        row.attributes = attributes
        row.save(update_fields=["attributes"])
    return changes


def retire_resource(*, actor: Actor, resource: Resource, reason: str = "") -> Resource:
    """Make a resource a tombstone. A source that sees it again brings it back. Event resource.gone; no-op when gone."""
    check(actor, EDIT, team=resource.owner_id)
    now = timezone.now()
    with transaction.atomic():
        take_turn()
        if Resource.objects.filter(pk=resource.pk, state=ResourceState.ACTIVE).update(
            state=ResourceState.TOMBSTONE, gone_at=now
        ):
            Sighting.objects.filter(resource=resource, source=MANUAL).update(gone_at=now)
            if ip_index.concerns(resource.kind, resource.attributes):
                ip_index.index([resource.pk])
            bump()
            ledger.record(
                actor=actor,
                verb="resource.gone",
                subject=ref(resource),
                payload={"kind": resource.kind, "name": resource.name, "source": MANUAL, "reason": reason[:500]},
            )
    resource.refresh_from_db()
    return resource


def restore_resource(*, actor: Actor, resource: Resource) -> Resource:
    """Bring a tombstone back as the same resource. Event resource.returned; no-op when it is active."""
    check(actor, EDIT, team=resource.owner_id)
    with transaction.atomic():
        take_turn()
        gone = Resource.objects.filter(pk=resource.pk, state=ResourceState.TOMBSTONE)
        absences.note_return(gone, timezone.now())
        if gone.update(state=ResourceState.ACTIVE, gone_at=None):
            Sighting.objects.update_or_create(
                resource=resource, source=MANUAL, defaults={"last_seen": timezone.now(), "gone_at": None}
            )
            if ip_index.concerns(resource.kind, resource.attributes):
                ip_index.index([resource.pk])
            bump()
            payload = {"name": resource.name, "source": MANUAL, "changes": {}}
            ledger.record(actor=actor, verb="resource.returned", subject=ref(resource), payload=payload)
    resource.refresh_from_db()
    return resource


def relate(
    *,
    actor: Actor,
    from_resource: Resource,
    to_resource: Resource,
    type: str,  # noqa: A002  # the name of the field it fills
    source: str = MANUAL,
    origin: str = "declared",
    confidence: float = 1.0,
) -> Relation:
    """Open a relation, or return the open one. Needs the right to edit both ends. Event relation.added when new.

    People keep to what the type allows: Invalid for ends of other kinds, Conflict where people stated another one and
    there may be one only. Sources are believed, and told of it.
    """
    for end in (from_resource, to_resource):
        check(actor, EDIT, team=end.owner_id)
        whole(end)
    checks.relation_type(type)
    of = standard.check_ends(type, from_resource.kind, to_resource.kind) if source == MANUAL else None
    if from_resource.pk == to_resource.pk:
        raise Invalid(
            "inventory.self_relation",
            _("A resource cannot be related to itself."),
            field="to",
            value=to_resource.name,
            remedy=_("Choose another resource at one end."),
        )
    if not 0.0 < confidence <= 1.0:
        raise Invalid(
            "inventory.confidence", _("Confidence is above 0 and at most 1."), field="confidence", value=confidence
        )
    ends = {"from_resource": from_resource, "to_resource": to_resource, "type": type, "source": source}
    with transaction.atomic():
        take_turn()
        if of is not None:
            _check_only(of, from_resource, to_resource)
        row, created = Relation.objects.get_or_create(
            **ends, valid_to=None, defaults={"origin": origin, "confidence": confidence}
        )
        if created:
            bump()
            _record_relation(actor, "relation.added", row)
    return row


def _check_only(of: RelationType, from_resource: Resource, to_resource: Resource) -> None:
    """Conflict when people stated a relation of this type with another end, and there may be one only."""
    said = Relation.objects.filter(type=of.name, source=MANUAL, valid_to__isnull=True)
    said = said.select_related("from_resource", "to_resource")
    others = []
    if of.one_to:
        others.append(said.filter(from_resource=from_resource).exclude(to_resource=to_resource).first())
    if of.one_from:
        others.append(said.filter(to_resource=to_resource).exclude(from_resource=from_resource).first())
    for other in filter(None, others):
        words = f"{other.from_resource.name} {of.title} {other.to_resource.name}"
        raise Conflict(
            "inventory.relation_once",
            _("There may be one relation of this type only, and there is another: %(other)s.") % {"other": words},
            field="type",
            value=of.name,
            remedy=_("End that one first."),
        )


def unrelate(*, actor: Actor, relation: Relation) -> Relation:
    """Close a relation; its past stays. Event relation.removed; no-op when it is closed."""
    for end in (relation.from_resource, relation.to_resource):
        check(actor, EDIT, team=end.owner_id)
    with transaction.atomic():
        take_turn()
        if Relation.objects.filter(pk=relation.pk, valid_to__isnull=True).update(valid_to=timezone.now()):
            bump()
            _record_relation(actor, "relation.removed", relation)
    relation.refresh_from_db()
    return relation


def forget_word(*, actor: Actor, resource: Resource, keep: Collection[str] = ()) -> None:
    """Take back what people said of a resource: attributes but `keep`, labels, and relations from it to others.

    What sources say stays, and so does the past. Events relation.removed, resource.changed; nothing where nothing is.
    The right to edit this end is enough: what is over for it is over, whoever owns the other end.
    """
    check(actor, EDIT, team=resource.owner_id)
    with transaction.atomic():
        take_turn()
        said = Relation.objects.filter(from_resource=resource, source=MANUAL, valid_to__isnull=True)
        for row in said.select_related("from_resource", "to_resource"):
            Relation.objects.filter(pk=row.pk).update(valid_to=timezone.now())
            bump()
            _record_relation(actor, "relation.removed", row)
        names = ResourceLabel.objects.filter(resource=resource, source=MANUAL).values_list("name", flat=True)
        update_resource(actor=actor, resource=resource, labels=dict.fromkeys(names))
        values = AttributeValue.objects.filter(resource=resource, source=MANUAL).exclude(name__in=keep)
        set_attributes(actor=actor, resource=resource, values=dict.fromkeys(values.values_list("name", flat=True)))


def _record_relation(actor: Actor, verb: str, row: Relation) -> None:
    payload = {"type": row.type, "from": row.from_resource.name, "to": row.to_resource.name, "source": row.source}
    ledger.record(actor=actor, verb=verb, subject=ref(row.from_resource), about=[ref(row.to_resource)], payload=payload)


def place_hold(
    *,
    actor: Actor,
    resource: Resource,
    kind: str,
    reason: str,
    until: datetime | None = None,
    opened_by: str | None = None,
) -> Hold:
    """Stop what lower rooms would do to a resource until `until` or until it is lifted. Event hold.placed.

    `opened_by` is a Ref when a room places it for a noun of its own (an incident, a change), else the actor's name.
    """
    check(actor, EDIT, team=resource.owner_id)
    whole(resource)
    now = timezone.now()
    if until is not None and until <= now:
        raise Invalid(
            "inventory.hold_until",
            _("A hold ends in the future."),
            field="until",
            value=until.isoformat(),
            remedy=_("Give a later time, or none to hold until it is lifted."),
        )
    if not reason.strip():
        raise Invalid(
            "inventory.hold_reason",
            _("A hold needs a reason."),
            field="reason",
            remedy=_("Say why, for who comes next."),
        )
    with transaction.atomic():
        row = Hold.objects.create(
            resource=resource,
            kind=checks.kind(kind),
            reason=reason.strip()[:2000],
            opened_by=(opened_by or actor.name)[:150],
            opened_at=now,
            until=until,
        )
        payload = {
            "kind": row.kind,
            "reason": row.reason,
            "name": resource.name,
            "until": until.isoformat() if until else None,
        }
        about = [ref(resource)] + ([opened_by] if opened_by and ":" in opened_by else [])
        ledger.record(actor=actor, verb="hold.placed", subject=ref(row), about=about, payload=payload)
    return row


def lift_hold(*, actor: Actor, hold: Hold, reason: str = "") -> Hold:
    """End a hold. Event hold.lifted; no-op when it is lifted already (by guarded UPDATE, so two lifts tell it once)."""
    check(actor, EDIT, team=hold.resource.owner_id)
    with transaction.atomic():
        if Hold.objects.filter(pk=hold.pk, lifted_at__isnull=True).update(
            lifted_at=timezone.now(), lifted_by=actor.name[:150]
        ):
            payload = {"kind": hold.kind, "name": hold.resource.name, "reason": reason[:2000]}
            ledger.record(
                actor=actor, verb="hold.lifted", subject=ref(hold), about=[ref(hold.resource)], payload=payload
            )
    hold.refresh_from_db()
    return hold


def register_endpoint(
    *,
    actor: Actor,
    resource: Resource,
    url: str,
    labels: Mapping[str, str],
    purpose: str = "metrics",
    interval_seconds: float = 15.0,
    timeout_seconds: float = 10.0,
    source: str = MANUAL,
) -> Endpoint:
    """Say where a resource can be read, or change how; one row for each (resource, purpose, url, source).

    `labels` should carry `job` and `instance`: by them a series finds its resource. Event endpoint.registered when
    something differs.
    """
    check(actor, EDIT, team=resource.owner_id)
    whole(resource)
    checks.url(url)
    checks.seconds(interval_seconds, field="interval_seconds", least=0.5, most=86_400)
    checks.seconds(timeout_seconds, field="timeout_seconds", least=0.1, most=interval_seconds)
    wanted = ObservedEndpoint("", url, checks.labels(labels), purpose, interval_seconds, timeout_seconds)
    with transaction.atomic():
        known = Endpoint.objects.select_for_update(of=("self",)).filter(
            resource=resource, purpose=purpose, url=url, source=source
        )
        old = known.first()
        if old is not None and as_observed(old) == wanted and old.enabled:
            return old
        row = endpoint_row(resource.pk, wanted, source, old.pk if old else None)
        row.save(force_insert=old is None, force_update=old is not None)
        payload = {"name": resource.name, "url": url, "purpose": purpose}
        ledger.record(actor=actor, verb="endpoint.registered", subject=ref(row), about=[ref(resource)], payload=payload)
    return row


def set_endpoint_enabled(*, actor: Actor, endpoint: Endpoint, enabled: bool) -> Endpoint:
    """Switch the reading of an endpoint on or off. Events endpoint.enabled, endpoint.disabled; no-op when it is so."""
    check(actor, EDIT, team=endpoint.resource.owner_id)
    with transaction.atomic():
        if Endpoint.objects.filter(pk=endpoint.pk, enabled=not enabled).update(enabled=enabled):
            verb = "endpoint.enabled" if enabled else "endpoint.disabled"
            payload = {"name": endpoint.resource.name, "url": endpoint.url}
            ledger.record(
                actor=actor, verb=verb, subject=ref(endpoint), about=[ref(endpoint.resource)], payload=payload
            )
    endpoint.refresh_from_db()
    return endpoint


def service(*, actor: Actor, name: str) -> Resource:
    """Return the service of this name, creating it (event resource.created) when there is none.

    For rooms that hear of a service before any source does, such as a deployment event.
    """
    known = Resource.objects.filter(identities__key=service_key(name), state=ResourceState.ACTIVE).first()
    if known is not None:
        return known
    try:
        return create_resource(actor=actor, kind="service", name=name)
    except Conflict:  # another caller was faster
        return Resource.objects.get(identities__key=service_key(name))


def ensure_default_sources(*, actor: Actor, own_url: str) -> None:
    """At every start: this host as a source, and the platform itself as the service "tongchou" with its /metrics.

    `own_url` is the platform's base URL. Idempotent: what an administrator changed or disabled stays so.
    """
    if HOST_SOURCE not in SourceConfig.objects.values_list("name", flat=True) and "host" in source_kinds():
        configure_source(actor=actor, name=HOST_SOURCE, wanted=Wanted(kind="host"))
    own = service(actor=actor, name=OWN_SERVICE)
    url = f"{own_url.rstrip('/')}/metrics"
    if not Endpoint.objects.filter(resource=own, url=url).exists():
        labels = {"job": OWN_SERVICE, "instance": urlsplit(own_url).netloc, "service": OWN_SERVICE}
        Endpoint.objects.filter(resource=own, source=MANUAL, job=OWN_SERVICE).delete()
        register_endpoint(actor=actor, resource=own, url=url, labels=labels)


def get_resource(id_: UUID) -> Resource:
    """Return the resource of this id, whatever its state; raises NotFound. Callers check access."""
    row = Resource.objects.select_related("owner").filter(pk=id_).first()
    if row is None:
        raise NotFound("inventory.resource", _("There is no resource of this id."), field="id", value=id_)
    return row
