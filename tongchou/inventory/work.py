"""Working the queues: every decision of a person about an item, with its event in the ledger."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core import jobs, ledger
from tongchou.core.access import Actor, check
from tongchou.core.problems import Conflict, Invalid, NotFound
from tongchou.core.refs import ref
from tongchou.inventory import actions, queues
from tongchou.inventory.apply import resource_ref, take_turn
from tongchou.inventory.models import AttributeValue, Resource, ResourceState, Sighting
from tongchou.inventory.models_queues import Acceptance, ItemState, QueueItem, QueueName
from tongchou.inventory.precedence import MANUAL
from tongchou.inventory.recorded import given_up, weights
from tongchou.inventory.refresh import JOB, bump

EDIT = "inventory.edit"
MOST_IGNORED = timedelta(days=366)


def item(actor: Actor, id_: UUID | str) -> QueueItem:
    """Return an item the actor may see; raises NotFound."""
    row = queues.items(actor).select_related("resource__owner").filter(pk=id_).first()
    if row is None:
        raise NotFound(
            "queue.item",
            _("There is no such item, or it has left its queue."),
            field="id",
            value=str(id_),
            remedy=_("Look at the queue once more."),
        )
    return row


def may(actor: Actor, row: QueueItem) -> None:
    """Raise AccessDenied unless the actor may decide about the item."""
    check(actor, EDIT, team=row.resource.owner_id if row.resource is not None else None)


def must_be(row: QueueItem, *wanted: QueueName) -> None:
    """Raise Conflict when the decision is none of the item's queue."""
    if row.queue not in wanted:
        raise Conflict(
            "queue.other",
            _("This is decided about items of another queue."),
            field="queue",
            value=row.queue,
            remedy=_("Choose among: %(queues)s.") % {"queues": ", ".join(str(each.label) for each in wanted)},
        )


def _subject(row: QueueItem) -> str:
    return resource_ref(row.resource_id) if row.resource_id is not None else ref(row)


def _record(actor: Actor, verb: str, row: QueueItem, **facts: Any) -> None:
    name = row.resource.name if row.resource is not None else row.key
    payload = {"name": name, "queue": row.queue, "key": row.key, **facts}
    ledger.record(actor=actor, verb=verb, subject=_subject(row), payload=payload)


def _reason(text: str) -> str:
    if not text.strip():
        raise Invalid(
            "queue.reason", _("A decision needs a reason."), field="reason", remedy=_("Say why, for who comes next.")
        )
    return text.strip()[:500]


def observed_now(row: QueueItem) -> tuple[str, Any]:
    """Return (source, value) of the strongest observing source now; Conflict when it agrees by now, or says nothing."""
    must_be(row, QueueName.DIFFERS)
    declared_by = queues.declaring()
    said = AttributeValue.objects.filter(resource=_resource(row), name=row.key)
    weight, gone = weights(), given_up([_resource(row).pk]).get(_resource(row).pk, ())
    # a source that is not configured any more neither declares nor observes
    configured = said.filter(source__in=declared_by | weight.sources.keys())
    words = dict(configured.values_list("source", "value"))
    found = queues.disagreement(words, declared_by, weight.about(row.key, gone))
    if found is None:
        raise Conflict(
            "queue.settled", _("Declared and observed agree by now."), remedy=_("Look at the queue once more.")
        )
    return found["observed_by"], words[found["observed_by"]]


def accept_observed(*, actor: Actor, row: QueueItem) -> None:
    """State what is observed as declared, by the actor's word. Event drift.accepted beside resource.changed."""
    may(actor, row)
    with transaction.atomic():
        source, value = observed_now(row)
        actions.set_attributes(actor=actor, resource=_resource(row), values={row.key: value})
        _record(actor, "drift.accepted", row, declared=row.facts.get("declared"), observed=value, source=source)
        _leave(row)


def keep_declared(*, actor: Actor, row: QueueItem, reason: str) -> None:
    """Stay with what is declared until another value is observed. Event drift.kept."""
    may(actor, row)
    must_be(row, QueueName.DIFFERS)
    facts = {name: row.facts.get(name) for name in ("declared", "observed")}
    _decide(actor, row, ItemState.KEPT, "drift.kept", reason=_reason(reason), **facts)


def ignore(*, actor: Actor, row: QueueItem, reason: str, until: datetime) -> None:
    """Leave an item alone until a moment, at most a year away. Event queue_item.ignored."""
    may(actor, row)
    now = timezone.now()
    if not now < until <= now + MOST_IGNORED:
        raise Invalid(
            "queue.until",
            _("An item is ignored until a day in the future, at most a year away."),
            field="until",
            value=until.isoformat(),
            remedy=_("Give such a day; the item is back then."),
        )
    _decide(actor, row, ItemState.IGNORED, "queue_item.ignored", reason=_reason(reason), until=until)


def reopen(*, actor: Actor, row: QueueItem) -> None:
    """Take a decision about an item back. Event queue_item.reopened; no-op for one that is open."""
    may(actor, row)
    if row.state != ItemState.OPEN:
        _decide(actor, row, ItemState.OPEN, "queue_item.reopened")


def _decide(
    actor: Actor,
    row: QueueItem,
    state: ItemState,
    verb: str,
    *,
    reason: str = "",
    until: datetime | None = None,
    **facts: Any,
) -> None:
    with transaction.atomic():
        decided = {"decided_by": actor.name[:150], "decided_at": timezone.now()} if state != ItemState.OPEN else {}
        same = QueueItem.objects.filter(pk=row.pk, mark=row.mark)
        if not same.update(state=state, reason=reason, until=until, **decided):
            raise Conflict("queue.changed", _("The item has changed meanwhile."), remedy=_("Look at it once more."))
        _record(actor, verb, row, reason=reason, until=until.isoformat() if until else None, **facts)
        bump()
    row.refresh_from_db()


def accept(*, actor: Actor, row: QueueItem, reason: str = "") -> None:
    """Take what was only observed into the inventory: from now on it is recorded. Event resource.recorded.

    Of an instance in the metrics a resource of kind "instance" is made that its series find.
    """
    may(actor, row)
    must_be(row, QueueName.UNRECORDED)
    with transaction.atomic():
        if row.resource is None:
            _make_instance(actor, row)
        else:
            values = {"by": actor.name[:150], "at": timezone.now(), "reason": reason.strip()[:500]}
            Acceptance.objects.get_or_create(resource=row.resource, defaults=values)
        _record(actor, "resource.recorded", row, reason=reason.strip()[:500])
        _leave(row)


def _make_instance(actor: Actor, row: QueueItem) -> None:
    job, instance = str(row.facts.get("job", "")), str(row.facts.get("instance", ""))
    made = actions.create_resource(
        actor=actor, kind="instance", name=instance[:253] or row.key[:253], keys=(f"instance:{job}/{instance}"[:255],)
    )
    labels = {"job": job, "instance": instance}
    url = f"http://{quote(instance, safe=':[].') or 'unknown'}/metrics"
    actions.register_endpoint(actor=actor, resource=made, url=url, labels=labels, purpose="pushed")


def confirm(*, actor: Actor, row: QueueItem) -> None:
    """Say that an unseen resource is there, by the actor's own eyes: seen by a person now. Event resource.confirmed.

    From then on a person's word upholds it, too: it does not become a tombstone when its sources give it up.
    """
    may(actor, row)
    must_be(row, QueueName.UNSEEN)
    with transaction.atomic():
        take_turn()
        there = Resource.objects.filter(pk=_resource(row).pk, state=ResourceState.ACTIVE)
        if not there.exists():
            raise Conflict("queue.gone", _("It is marked as gone by now."), remedy=_("Bring it back on its page."))
        Sighting.objects.update_or_create(
            resource=_resource(row),
            source=MANUAL,
            defaults={"last_seen": timezone.now(), "missed": 0, "gone_at": None},
        )
        _record(actor, "resource.confirmed", row)
        _leave(row)


def retire(*, actor: Actor, row: QueueItem, reason: str = "") -> None:
    """Declare the item's resource gone (event resource.gone); it leaves every queue."""
    may(actor, row)
    resource = _resource(row)
    with transaction.atomic():
        actions.retire_resource(actor=actor, resource=resource, reason=reason)
        QueueItem.objects.filter(resource=resource).delete()
        bump()


def own(*, actor: Actor, row: QueueItem, team: Any) -> None:
    """Give the item's resource an owner (event resource.changed)."""
    may(actor, row)
    must_be(row, QueueName.UNOWNED)
    with transaction.atomic():
        actions.update_resource(actor=actor, resource=_resource(row), owner=team)
        _leave(row)


def _resource(row: QueueItem) -> Resource:
    if row.resource is None:
        raise Conflict("queue.no_resource", _("There is no resource yet."), remedy=_("Accept it first."))
    return row.resource


def _leave(row: QueueItem) -> None:
    """The matter is settled; should it come to be true again, it comes back as a new item."""
    QueueItem.objects.filter(pk=row.pk).delete()
    bump()


def ask_refresh(*, actor: Actor) -> None:
    """Have the queues looked at anew, soon. No event: nothing that people decided changes."""
    check(actor, EDIT)
    with transaction.atomic():
        jobs.enqueue(JOB, {}, unique_key=JOB)
