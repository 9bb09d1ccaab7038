"""Where somebody is signed in: one's own sessions, and for administrators those of anybody."""

from __future__ import annotations

from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from tongchou.core import sessions, sign_on
from tongchou.core.models import User
from tongchou.core.problems import Conflict, NotFound
from tongchou.web.gate import ANY_PERSON, PageRequest, page


def _rows(request: PageRequest, user: User) -> list[dict[str, object]]:
    return [
        {
            "session": each,
            "device": sessions.device_of(each.user_agent),
            "method": str(each.data.get("method", "")) if isinstance(each.data, dict) else "",
            "current": each.session_key == request.session.session_key,
        }
        for each in sessions.of_user(user)
    ]


def _person(user_id: UUID) -> User:
    row = User.objects.filter(pk=user_id).first()
    if row is None:
        raise NotFound("user.unknown", _("There is no such person."), remedy=_("Reload the page."))
    return row


def _told(request: PageRequest, count: int) -> None:
    messages.success(request, ngettext("%(n)s session has ended.", "%(n)s sessions have ended.", count) % {"n": count})


@page(ANY_PERSON)
def account_sessions(request: PageRequest) -> HttpResponse:
    """One's own sessions; POST ends all but this one."""
    if request.method == "POST":
        kept = request.session.session_key or ""
        _told(request, sessions.end_all(actor=request.actor, user=request.user, keep=kept))
        return redirect("web:account-sessions")
    return render(request, "access/sessions.html", {"person": request.user, "rows": _rows(request, request.user)})


@page(ANY_PERSON)
@require_POST
def account_session_end(request: PageRequest, number: int) -> HttpResponse:
    """End one of one's own sessions; for the one in use there is signing out."""
    row = sessions.find(number)
    if row.user_id != request.user.pk:
        raise sessions.gone()
    if row.session_key == request.session.session_key:
        return redirect("account_logout")
    sessions.end(actor=request.actor, session=row)
    _told(request, 1)
    return redirect("web:account-sessions")


@page("access.manage")
def people_sessions(request: PageRequest, user_id: UUID) -> HttpResponse:
    """Somebody's sessions; POST ends one (its number) or all of them."""
    person = _person(user_id)
    if request.method == "POST":
        wanted = request.POST.get("session", "")
        if wanted.isascii() and wanted.isdigit() and len(wanted) < 19:
            row = sessions.find(int(wanted))
            if row.user_id != person.pk:
                raise sessions.gone()
            sessions.end(actor=request.actor, session=row)
            _told(request, 1)
        else:
            own = (request.session.session_key or "") if person.pk == request.user.pk else ""
            _told(request, sessions.end_all(actor=request.actor, user=person, keep=own))
        return redirect("web:people-sessions", user_id=person.pk)
    return render(request, "access/sessions.html", {"person": person, "rows": _rows(request, person), "others": True})


@page(ANY_PERSON)
@require_POST
def account_disconnect(request: PageRequest, number: int) -> HttpResponse:
    """Disconnect one of one's own sign-ins elsewhere."""
    try:
        sign_on.disconnect(actor=request.actor, user=request.user, number=number)
        messages.success(request, _("The sign-in is disconnected."))
    except Conflict as problem:
        messages.error(request, " ".join(str(each) for each in (problem.detail, problem.remedy) if each))
    return redirect("web:account")
