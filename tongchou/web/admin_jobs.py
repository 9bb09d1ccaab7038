"""Administration: the job table. What waits, what runs, what failed and what helps, what comes next."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from django.contrib import messages
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tongchou.core import job_control
from tongchou.core.access import Actor, allows, check
from tongchou.core.lists.places import by_keys_if_few
from tongchou.core.models import Job, JobState
from tongchou.core.problems import NotFound
from tongchou.web.gate import PageRequest, page

PAGE = 50
OPEN = (JobState.DEAD, JobState.RUNNING, JobState.QUEUED)


def _place(text: str) -> tuple[datetime, UUID] | None:
    """Where the page before ended (the `next` of its link); None for the newest jobs, and for what is no place."""
    moment, _comma, key = text.partition(",")
    try:
        at = datetime.fromisoformat(moment)
        return (at, UUID(key)) if at.tzinfo else None
    except (ValueError, OverflowError):
        return None


@page("jobs.view")
def jobs(request: PageRequest) -> HttpResponse:
    """Jobs by state and kind; without `?state=` what is not done. `?part=live` renders the tables alone."""
    check(request.actor, "jobs.view")  # jobs have no owner: a team's role does not open them
    state, name = request.GET.get("state", ""), request.GET.get("name", "")[:120]
    rows = Job.objects.order_by("-created_at", "pk")
    rows = rows.filter(state=state) if state in JobState.values else rows.filter(state__in=OPEN)
    if name:
        rows = rows.filter(name=name)
    after = _place(request.GET.get("after", ""))
    if after is not None:
        at, key = after
        rows = rows.filter(Q(created_at__lt=at) | Q(created_at=at, pk__gt=key), created_at__lte=at)
    rows, _few = by_keys_if_few(rows)
    found, kinds = list(rows[: PAGE + 1]), job_control.kinds()
    context = {
        "rows": [{"job": row, "remedy": job_control.remedy(row.error)} for row in found[:PAGE]],
        "next": f"{found[PAGE - 1].created_at.isoformat()},{found[PAGE - 1].pk}" if len(found) > PAGE else None,
        "state": state if state in JobState.values else "",
        "name": name,
        "states": JobState.choices,
        "figures": job_control.figures(kinds),
        "kinds": kinds,
        "schedule": job_control.schedule(),
        "may_manage": allows(request.actor, "jobs.manage"),
    }
    part = request.GET.get("part") == "live"
    return render(request, "admin/jobs_live.html" if part else "admin/jobs.html", context)


ACTS: dict[str, Callable[[Actor, UUID], object]] = {
    "retry": lambda actor, job_id: job_control.retry(actor=actor, job_id=job_id),
    "cancel": lambda actor, job_id: job_control.cancel(actor=actor, job_id=job_id),
}


@page("jobs.manage")
@require_POST
def job_act(request: PageRequest, job_id: UUID, act: str) -> HttpResponse:
    """Try a dead job again, or take a queued one back."""
    if act not in ACTS:
        raise NotFound("job.act", _("There is no such action."), remedy=_("Use the buttons on the page of jobs."))
    ACTS[act](request.actor, job_id)
    messages.success(request, _("The job is queued again.") if act == "retry" else _("The job is taken back."))
    return redirect("web:jobs")
