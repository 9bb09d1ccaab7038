"""Plan: who is told of changes of the inventory, made and changed in a form, with the log of what was sent."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tongchou.core.access import check
from tongchou.core.problems import Conflict, Invalid, NotFound
from tongchou.inventory.given import outbox, subscriptions
from tongchou.inventory.given.subscriptions import MANAGE, Wanted
from tongchou.inventory.models_given import Delivery, Mode, Subscription
from tongchou.web.gate import PageRequest, page

SHOWN = 100


def _words(text: str) -> tuple[str, ...]:
    return tuple(each for each in text.replace(",", " ").split() if each)


@page(MANAGE)
def resource_subscriptions(request: PageRequest) -> HttpResponse:
    """The subscriptions; POST makes one."""
    check(request.actor, MANAGE)
    form = {"name": "", "url": "", "verbs": "resource.* relation.*", "kinds": "", "mode": Mode.STRUCTURED.value}
    problem: Invalid | Conflict | None = None
    if request.method == "POST":
        form = {name: request.POST.get(name, "").strip() for name in form}
        wanted = Wanted(
            url=form["url"],
            secret=request.POST.get("secret", ""),
            verbs=_words(form["verbs"]),
            kinds=_words(form["kinds"]),
            mode=form["mode"],
        )
        try:
            row = subscriptions.create(actor=request.actor, name=form["name"], wanted=wanted)
        except (Invalid, Conflict) as error:
            problem = error
        else:
            messages.success(request, _("The subscription is saved; it is told of what happens from now on."))
            return redirect("web:resource-subscription", subscription_id=row.pk)
    context = {
        "rows": [{"row": row, "url": subscriptions.shown_url(row)} for row in Subscription.objects.order_by("name")],
        "form": form,
        "problem": problem,
        "modes": Mode.choices,
        "verbs": outbox.VERBS,
    }
    return render(request, "plan/subscriptions.html", context, status=422 if problem else 200)


@page(MANAGE)
def resource_subscription(request: PageRequest, subscription_id: UUID) -> HttpResponse:
    """One subscription and its last deliveries; POST changes it. A secret left empty stays."""
    row = subscriptions.find(request.actor, subscription_id)
    problem: Invalid | None = None
    form: dict[str, Any] = {
        "url": subscriptions.shown_url(row),
        "verbs": " ".join(row.verbs),
        "kinds": " ".join(row.kinds),
        "mode": row.mode,
    }
    if request.method == "POST":
        form = {name: request.POST.get(name, "").strip() for name in form}
        wanted = Wanted(
            url=form["url"],
            secret=request.POST.get("secret") or None,
            verbs=_words(form["verbs"]),
            kinds=_words(form["kinds"]),
            mode=form["mode"],
        )
        had = bool(row.secret)
        try:
            row = subscriptions.change(actor=request.actor, subscription=row, wanted=wanted)
        except Invalid as error:
            problem = error
        else:
            messages.success(request, _("Saved."))
            if had and not row.secret:
                messages.warning(request, _("It goes elsewhere now, so its secret was dropped: enter it again."))
            return redirect("web:resource-subscription", subscription_id=row.pk)
    found = Delivery.objects.filter(subscription=row).order_by("-id")
    context = {
        "row": row,
        "lost": outbox.lost(row, outbox.pruned_months()),
        "form": form,
        "problem": problem,
        "modes": Mode.choices,
        "verbs": outbox.VERBS,
        "deliveries": list(found[:SHOWN]),
        "count": found.count(),
    }
    return render(request, "plan/subscription.html", context, status=422 if problem else 200)


@page(MANAGE)
@require_POST
def resource_subscription_act(request: PageRequest, subscription_id: UUID, act: str) -> HttpResponse:
    """Switch on or off, delete, or send a delivery once more (`act` = enable | disable | delete | redeliver)."""
    row = subscriptions.find(request.actor, subscription_id)
    if act in ("enable", "disable"):
        subscriptions.change(actor=request.actor, subscription=row, wanted=Wanted(enabled=act == "enable"))
        messages.success(request, _("Saved."))
    elif act == "delete":
        subscriptions.delete(actor=request.actor, subscription=row)
        messages.success(request, _("The subscription is deleted."))
        return redirect("web:resource-subscriptions")
    elif act == "redeliver":
        number = request.POST.get("delivery", "")
        known = number.isascii() and number.isdigit() and len(number) < 18
        delivery = Delivery.objects.filter(subscription=row, pk=int(number)).first() if known else None
        if delivery is None:
            raise NotFound("delivery.unknown", _("There is no delivery of this id."), field="delivery", value=number)
        subscriptions.redeliver(actor=request.actor, delivery=delivery)
        messages.success(request, _("It is sent once more, with the same id."))
    else:
        raise NotFound("subscription.act", _("There is no such action."), remedy=_("Use the buttons on the page."))
    return redirect("web:resource-subscription", subscription_id=row.pk)
