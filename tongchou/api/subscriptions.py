"""Subscriptions to changes of the inventory, as CloudEvents over HTTP, and the log of their deliveries."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from ninja import Router, Schema, Status
from pydantic import Field

from tongchou.api.bodies import Body
from tongchou.api.core import Page, actor_of
from tongchou.api.paging import Offset, page_of
from tongchou.core.access import Actor, check
from tongchou.core.problems import NotFound
from tongchou.inventory.given import outbox, subscriptions
from tongchou.inventory.given.subscriptions import MANAGE, Wanted
from tongchou.inventory.models_given import Delivery, Subscription

router = Router(tags=["inventory"])


class SubscriptionIn(Body):
    """What is told where. `verbs`: names of events, "resource.*" or "*"; `kinds`: of resources, none for all.

    `secret` signs every request (Standard Webhooks) and is never shown.
    """

    name: str
    url: str
    verbs: list[str] = Field(default_factory=lambda: ["*"], max_length=60)
    kinds: list[str] = Field(default_factory=list, max_length=60)
    mode: Literal["structured", "binary"] = "structured"
    headers: dict[str, str] = Field(default_factory=dict, max_length=20)
    secret: str = ""
    enabled: bool = True


class SubscriptionPatch(Body):
    """What to change; a secret of "" is taken away."""

    url: str | None = None
    verbs: list[str] | None = Field(default=None, max_length=60)
    kinds: list[str] | None = Field(default=None, max_length=60)
    mode: Literal["structured", "binary"] | None = None
    headers: dict[str, str] | None = Field(default=None, max_length=20)
    secret: str | None = None
    enabled: bool | None = None


class SubscriptionOut(Schema):
    """A subscription; the address without its keys, the secret not at all.

    `lost_events`: events of all sorts, up to `lost_month`, that the ledger pruned before the subscription read them.
    """

    id: UUID
    name: str
    url: str
    signed: bool
    verbs: list[str]
    kinds: list[str]
    mode: str
    enabled: bool
    failures: int
    last_error: str
    last_sent_at: datetime | None
    stopped_at: datetime | None
    lost_events: int
    lost_month: str
    created_at: datetime


class DeliveryOut(Schema):
    """One event for one subscription and what became of it; `event_id` is the id the receiver sees at every try."""

    id: int
    event_id: str
    event_number: int
    verb: str
    subject: str
    state: str
    attempts: int
    status: int | None
    detail: str
    created_at: datetime
    finished_at: datetime | None


def _out(row: Subscription, months: list[tuple[str, int]]) -> dict[str, Any]:
    events, month = outbox.lost(row, months)
    shown = ("id", "name", "verbs", "kinds", "mode", "enabled", "failures", "last_error", "last_sent_at")
    return {
        **{name: getattr(row, name) for name in (*shown, "stopped_at", "created_at")},
        "url": subscriptions.shown_url(row),
        "signed": bool(row.secret),
        "lost_events": events,
        "lost_month": month,
    }


def _delivery(row: Delivery) -> dict[str, Any]:
    return {name: getattr(row, name) for name in DeliveryOut.model_fields}


@router.get("/inventory/subscriptions", response=Page)
def list_subscriptions(request: HttpRequest, limit: int = 100, offset: Offset = 0) -> dict[str, Any]:
    """List subscriptions by name."""
    check(actor_of(request), MANAGE)
    found, months = Subscription.objects.order_by("name"), outbox.pruned_months()
    return {
        "items": [_out(row, months) for row in page_of(found, max(0, offset), max(1, min(limit, 500)))],
        "count": found.count(),
    }


@router.post("/inventory/subscriptions", response={201: SubscriptionOut})
def create_subscription(request: HttpRequest, body: SubscriptionIn) -> Status[dict[str, Any]]:
    """Tell an address of what is recorded about the inventory from now on."""
    wanted = Wanted(body.url, body.headers, body.secret, tuple(body.verbs), tuple(body.kinds), body.mode, body.enabled)
    row = subscriptions.create(actor=actor_of(request), name=body.name, wanted=wanted)
    return Status(201, _out(row, outbox.pruned_months()))


@router.get("/inventory/subscriptions/{id}", response=SubscriptionOut)
def get_subscription(request: HttpRequest, id: UUID) -> dict[str, Any]:  # noqa: A002  # the path's own name
    """Return one subscription."""
    return _out(subscriptions.find(actor_of(request), id), outbox.pruned_months())


@router.patch("/inventory/subscriptions/{id}", response=SubscriptionOut)
def change_subscription(request: HttpRequest, id: UUID, body: SubscriptionPatch) -> dict[str, Any]:  # noqa: A002  # the path's own name
    """Change, switch off or on; one that was stopped by failures goes on where it stopped."""
    actor = actor_of(request)
    verbs = None if body.verbs is None else tuple(body.verbs)
    kinds = None if body.kinds is None else tuple(body.kinds)
    wanted = Wanted(body.url, body.headers, body.secret, verbs, kinds, body.mode, body.enabled)
    row = subscriptions.change(actor=actor, subscription=subscriptions.find(actor, id), wanted=wanted)
    return _out(row, outbox.pruned_months())


@router.delete("/inventory/subscriptions/{id}", response={204: None})
def delete_subscription(request: HttpRequest, id: UUID) -> Status[None]:  # noqa: A002  # the path's own name
    """Delete a subscription and the log of its deliveries."""
    actor = actor_of(request)
    subscriptions.delete(actor=actor, subscription=subscriptions.find(actor, id))
    return Status(204, None)


@router.get("/inventory/subscriptions/{id}/deliveries", response=Page)
def list_deliveries(
    request: HttpRequest,
    id: UUID,  # noqa: A002  # the path's own name
    state: Literal["queued", "sent", "refused"] | None = None,
    limit: int = 100,
    offset: Offset = 0,
) -> dict[str, Any]:
    """List the deliveries of a subscription, newest first."""
    row = subscriptions.find(actor_of(request), id)
    found = Delivery.objects.filter(subscription=row, **({"state": state} if state else {})).order_by("-id")
    return {
        "items": [_delivery(each) for each in page_of(found, max(0, offset), max(1, min(limit, 500)))],
        "count": found.count(),
    }


@router.post("/inventory/deliveries/{id}/redeliver", response=DeliveryOut)
def redeliver(request: HttpRequest, id: int) -> dict[str, Any]:  # noqa: A002  # the path's own name
    """Send a delivery once more: the same bytes, the same id."""
    actor = actor_of(request)
    return _delivery(subscriptions.redeliver(actor=actor, delivery=_one(actor, id)))


def _one(actor: Actor, id_: int) -> Delivery:
    check(actor, MANAGE)
    row = Delivery.objects.select_related("subscription").filter(pk=id_).first()
    if row is None:
        raise NotFound("delivery.unknown", _("There is no delivery of this id."), field="id", value=id_)
    return row
