"""Runs each source when its interval has passed, and keeps the work queues true."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from tongchou.core import settings_store
from tongchou.core.access import system
from tongchou.core.jobs import enqueue, job, periodic
from tongchou.core.ledger import follow
from tongchou.core.models import Event
from tongchou.core.problems import Problem
from tongchou.inventory import expiries, refresh, source_nodes, uses
from tongchou.inventory.apply import derive, take_turn
from tongchou.inventory.catalogue.shapes import NOUN
from tongchou.inventory.given import sending, subscriptions
from tongchou.inventory.models import AttributeValue, SourceConfig
from tongchou.inventory.recorded import chunks, weights
from tongchou.inventory.sources import DERIVE_JOB, SYNC_JOB, run_source, waits

log = logging.getLogger(__name__)


def _node_of(payload: dict[str, Any]) -> str:
    source = SourceConfig.objects.filter(name=payload.get("source")).only("kind", "settings").first()
    return source_nodes.node_of(source) if source is not None else ""


@job(SYNC_JOB, max_attempts=1, timeout_seconds=300, node=_node_of)
def sync(payload: dict[str, Any]) -> None:
    """Sync one source. A failure is on the source with its remedy; the next interval is the retry."""
    source = SourceConfig.objects.filter(name=payload["source"], enabled=True).first()
    if source is None or waits(source):
        return
    if source_nodes.is_elsewhere(source):  # its node was named since the job was added: the next one is for that
        return
    try:
        run_source(actor=system(f"source:{source.name}"), source=source)
    except Problem as problem:
        log.warning("source %s: %s", source.name, problem)


@job(DERIVE_JOB, timeout_seconds=900)
def derive_again(payload: dict[str, Any]) -> None:
    """Derive the attributes of all that a source spoke of whose weight changed."""
    said = AttributeValue.objects.filter(source=payload["source"]).order_by("resource_id")
    _derive(said.values_list("resource_id", flat=True).distinct())


@periodic("inventory.derive_all", every_seconds=86_400)
def derive_all() -> None:
    """Derive all attributes: what an older release wrote while it still ran beside this one is found by then."""
    _derive(AttributeValue.objects.order_by("resource_id").values_list("resource_id", flat=True).distinct())


@follow("custom_field.created")
@follow("custom_field.restored")
def fill_new_field(event: Event) -> None:
    """What sources said under the name of a field before there was one fills it now."""
    if event.payload.get("kind") == NOUN:
        said = AttributeValue.objects.filter(name=event.payload["name"]).order_by("resource_id")
        _derive(said.values_list("resource_id", flat=True).distinct())


def _derive(ids: Iterable[UUID]) -> None:
    """In parts, so that nobody waits long for the turn."""
    for part in chunks(ids, 1000):
        with transaction.atomic():
            take_turn()
            derive(part, weights())


@periodic("inventory.sync_due", every_seconds=5)
def sync_due() -> None:
    """Enqueue every enabled source whose interval has passed since its last run; those that wait for files are not."""
    now = timezone.now()
    for row in SourceConfig.objects.filter(enabled=True).only(
        "name", "kind", "settings", "interval_seconds", "last_run_at"
    ):
        last = row.last_run_at
        due = last is None or last > now or now - last >= timedelta(seconds=row.interval_seconds)
        if due and not waits(row):
            with transaction.atomic():
                enqueue(SYNC_JOB, {"source": row.name}, unique_key=f"{SYNC_JOB}:{row.name}")


@job(refresh.JOB, max_attempts=2, timeout_seconds=600)
def refresh_queues(_payload: dict[str, Any]) -> None:
    """Bring every queue to what is true now: a minute or more where there is very much."""
    refresh.refresh_now()


@periodic("inventory.queues_due", every_seconds=60)
def refresh_queues_due() -> None:
    """Enqueue that when something was recorded since, as often as it is cheap."""
    if refresh.due():
        with transaction.atomic():
            enqueue(refresh.JOB, {}, unique_key=refresh.JOB)


@periodic("inventory.expiries", every_seconds=3600)
def tell_of_ends() -> None:
    """Tell of ends that came near or passed, each once."""
    expiries.tell_near(system("expiries"))


@periodic("inventory.fade_uses", every_seconds=3600)
def fade_uses() -> None:
    """Let relations that were seen in use fade when their source sees nothing any more, for whatever reason."""
    uses.fade(actor=system("inventory"), now=timezone.now())


@job(subscriptions.JOB, max_attempts=3, timeout_seconds=60)
def deliver(payload: dict[str, Any]) -> None:
    """One turn of a subscription; another one when there is more."""
    id_ = UUID(payload["subscription"])
    if sending.work(id_):
        with transaction.atomic():
            subscriptions.wake(id_)


@periodic("inventory.deliver_due", every_seconds=3)
def deliver_due() -> None:
    """Wake the subscriptions that are on, due and held by nobody, and for which the ledger has news or a row waits."""
    ids = sending.with_work(timezone.now())
    with transaction.atomic():
        for id_ in ids:
            subscriptions.wake(id_)


@periodic("inventory.forget_deliveries", every_seconds=3600)
def forget_deliveries() -> None:
    """The log of deliveries is kept for days, not for ever."""
    days = int(settings_store.get(subscriptions.KEEP_DAYS))
    subscriptions.forget_deliveries(before=timezone.now() - timedelta(days=days))
