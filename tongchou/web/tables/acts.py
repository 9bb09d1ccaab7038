"""What people do with a list itself: its columns, its saved views."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tongchou.core.lists import views
from tongchou.core.models import Team
from tongchou.core.models_lists import SavedView
from tongchou.core.problems import NotFound
from tongchou.web.gate import ANY_PERSON, PageRequest, page
from tongchou.web.tables.listing import show, view_url
from tongchou.web.tables.look import Look, list_look


def _back(look: Look, query: str) -> HttpResponse:
    return redirect(f"{look.address}?{query}" if query else look.address)


def _team(text: str) -> Team | None:
    try:
        return Team.objects.filter(pk=UUID(text)).first()
    except ValueError:
        return None


@page(ANY_PERSON)
def list_page(request: PageRequest, kind: str) -> HttpResponseBase:
    """The plain page of a table, for those whose own page shows more than rows."""
    look = list_look(request.actor, kind)
    if look.page:
        query = request.META.get("QUERY_STRING", "")
        return redirect(f"{look.address}?{query}" if query else look.address)
    return show(request, look, "tables/page.html")


@page(ANY_PERSON)
@require_POST
def list_columns(request: PageRequest, kind: str) -> HttpResponse:
    """Keep which columns the person sees, in which order, and how many rows; `reset` takes it back."""
    post = request.POST
    query = post.get("query", "")
    look = list_look(request.actor, kind).at(QueryDict(query).dict())
    own = {each.name for _after, each in look.beside}
    names = [each for each in post.getlist("column") if each in own or look.table.column(each)]
    rows = post.get("rows", "")
    views.prefer(
        actor=request.actor,
        wanted=look.table,
        memory=look.memory,
        columns=[] if "reset" in post else names,
        rows=int(rows) if rows.isdecimal() and len(rows) < 6 else None,
        beside=own,
    )
    return _back(look, query)


@page(ANY_PERSON)
@require_POST
def list_view_new(request: PageRequest, kind: str) -> HttpResponse:
    """Keep the list as it is now under a name."""
    look = list_look(request.actor, kind)
    post = request.POST
    view = views.save(
        actor=request.actor,
        kind=kind,
        name=post.get("name", ""),
        query=post.get("query", ""),
        shared=post.get("shared", "nobody"),
        team=_team(post.get("team", "")),
    )
    messages.success(request, _("The view %(name)s is kept.") % {"name": view.name})
    return redirect(view_url(look, view))


def _change(request: PageRequest, look: Look, view: SavedView) -> HttpResponse:
    post = request.POST
    row = views.change(
        actor=request.actor,
        view=view,
        name=post.get("name"),
        shared=post.get("shared"),
        team=_team(post.get("team", "")),
    )
    messages.success(request, _("The view %(name)s is changed.") % {"name": row.name})
    return redirect(view_url(look, row))


def _update(request: PageRequest, look: Look, view: SavedView) -> HttpResponse:
    row = views.change(actor=request.actor, view=view, query=request.POST.get("query", ""))
    messages.success(request, _("The view %(name)s now holds this filter.") % {"name": row.name})
    return redirect(view_url(look, row))


def _copy(request: PageRequest, look: Look, view: SavedView) -> HttpResponse:
    return redirect(view_url(look, views.copy(actor=request.actor, view=view)))


def _delete(request: PageRequest, look: Look, view: SavedView) -> HttpResponse:
    views.delete(actor=request.actor, view=view)
    return _back(look, f"view=none&undo_view={view.pk}")


def _restore(request: PageRequest, look: Look, view: SavedView) -> HttpResponse:
    return redirect(view_url(look, views.restore(actor=request.actor, view=view)))


def _default(request: PageRequest, look: Look, view: SavedView) -> HttpResponse:
    on = "off" not in request.POST
    views.set_default(actor=request.actor, kind=look.kind, view=view if on else None)
    messages.success(
        request,
        _("This list now opens with %(name)s.") % {"name": view.name} if on else _("This list opens as it comes."),
    )
    return redirect(view_url(look, view))


ACTS: dict[str, Callable[[PageRequest, Look, SavedView], HttpResponse]] = {
    "change": _change,
    "update": _update,
    "copy": _copy,
    "delete": _delete,
    "restore": _restore,
    "default": _default,
}


@page(ANY_PERSON)
@require_POST
def list_view_act(request: PageRequest, kind: str, view_id: UUID, act: str) -> HttpResponse:
    """Rename or share a view, keep another filter in it, copy it, delete it or bring it back, open with it."""
    look = list_look(request.actor, kind)
    if act not in ACTS:
        raise NotFound("view.act", _("There is no such action."), remedy=_("Use the buttons of the view."))
    view = views.get(request.actor, view_id, deleted=act == "restore")
    if view.kind != kind:
        raise NotFound("view.unknown", _("There is no such view."), remedy=_("Choose one from the list's tabs."))
    return ACTS[act](request, look, view)
