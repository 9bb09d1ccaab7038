"""Deliver: the environments a version passes, in order, and the form of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.contrib import messages
from django.db.models import Count, Q
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from tongchou.changes.models_release import Consent, Environment
from tongchou.changes.release import reads, setup
from tongchou.core import ledger
from tongchou.core.access import allows
from tongchou.core.problems import Conflict, Invalid, Problem
from tongchou.web.gate import PageRequest, page
from tongchou.web.review import entries
from tongchou.web.visibility import readable

UNITS = (
    ("60", gettext_lazy("minutes")),
    ("3600", gettext_lazy("hours")),
    ("86400", gettext_lazy("days")),
    ("1", gettext_lazy("seconds")),
)
STEP = 10  # between the positions that are proposed


@page(reads.VIEW)
def release_environments(request: PageRequest) -> HttpResponse:
    """The environments; `?name=` opens the form of one. POST saves one: for administrators."""
    problem: Problem | None = None
    if request.method == "POST":
        try:
            saved = _save(request)
        except (Invalid, Conflict) as refused:
            problem = refused
        else:
            messages.success(request, _("%(name)s is saved.") % {"name": saved.name})
            return redirect("web:release-environments")
    used = Count("rollouts", filter=Q(rollouts__retired_at__isnull=True))
    rows = list(reads.environments(request.actor, retired=True).annotate(used=used))
    edited = next((each for each in rows if each.name == request.GET.get("name", "")), None)
    context = {
        "rows": [each for each in rows if each.retired_at is None],
        "retired": [each for each in rows if each.retired_at is not None],
        "edited": edited,
        "values": request.POST.dict() if request.method == "POST" else _values(edited, rows),
        "problem": problem,
        "units": UNITS,
        "consents": Consent.choices,
        "may_manage": allows(request.actor, setup.MANAGE),
        "lines": entries(
            readable(request.actor, ledger.events(verbs=("environment.changed", "environment.retired"), limit=20))
        ),
    }
    status = problem.status if problem else 200
    return render(request, "deliver/release_environments.html", context, status=status)


def _values(row: Environment | None, rows: Sequence[Environment]) -> dict[str, Any]:
    if row is None:
        last = max((each.position for each in rows if each.retired_at is None), default=0)
        return {"position": last + STEP, "needs_previous": "on", "soak": "0", "unit": "3600", "consent": Consent.EACH}
    unit = next(size for size in (86400, 3600, 60, 1) if row.soak_seconds % size == 0) if row.soak_seconds else 3600
    return {
        "name": row.name,
        "position": row.position,
        "needs_previous": "on" if row.needs_previous else "",
        "soak": row.soak_seconds // unit,
        "unit": str(unit),
        "consent": row.consent,
    }


def _save(request: PageRequest) -> Environment:
    post = request.POST
    unit = post.get("unit", "1")
    size = int(unit) if unit in {key for key, _word in UNITS} else 1
    return setup.put_environment(
        actor=request.actor,
        name=post.get("name", "").strip(),
        position=whole(post, "position"),
        needs_previous="needs_previous" in post,
        soak_seconds=whole(post, "soak") * size,
        consent=post.get("consent", Consent.EACH),
    )


def whole(post: QueryDict, field: str) -> int:
    """Return the whole number a form says in a field; Invalid names the field."""
    text = post.get(field, "").strip()
    if text.isascii() and text.isdecimal() and len(text) < 9:
        return int(text)
    raise Invalid("release.field", _("A whole number is wanted."), field=field, value=text)


@page(setup.MANAGE)
@require_POST
def release_environment_retire(request: PageRequest) -> HttpResponse:
    """Take an environment out of use; saved again it is back."""
    row = reads.environment(request.actor, request.POST.get("name", ""))
    setup.retire_environment(actor=request.actor, environment=row)
    messages.success(request, _("%(name)s is out of use. Save it again to bring it back.") % {"name": row.name})
    return redirect("web:release-environments")
