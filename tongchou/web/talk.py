"""Comments, files and the watch button of any noun: one part, loaded by the page that shows the noun."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tongchou.core import attachments, audience, comments, inbox, nouns, watching
from tongchou.core.access import allows
from tongchou.core.mentions import written
from tongchou.core.models_talk import Attachment, Comment
from tongchou.core.problems import Invalid, NotFound
from tongchou.core.refs import ref
from tongchou.web.gate import ANY_PERSON, PageRequest, page
from tongchou.web.links import resolve

MOST = 500


@dataclass
class Said:
    """A comment as its reader sees it, with the answers to it."""

    row: Comment
    files: list[Attachment]
    mine: bool
    may_restore: bool
    answers: list[Said] = field(default_factory=list)


def _said(request: PageRequest, rows: Iterable[Comment]) -> list[Said]:
    """Comments with their answers; one that was deleted is left out unless somebody answered or it may come back."""
    now = timezone.now()
    top: dict[UUID, Said] = {}
    for row in rows:
        mine = request.actor.user_id is not None and row.author_id == request.actor.user_id
        fresh = row.deleted_at is not None and now - row.deleted_at < comments.UNDO
        files = [each for each in row.attachments.all() if each.deleted_at is None]
        said = Said(row, files if row.shown else [], mine, mine and fresh)
        if row.parent_id is None:
            top[row.pk] = said
        elif row.parent_id in top and (row.deleted_at is None or said.may_restore):
            top[row.parent_id].answers.append(said)
    return [each for each in top.values() if each.row.deleted_at is None or each.may_restore or each.answers]


def part_context(request: PageRequest, on: str) -> dict[str, Any]:
    """What the part shows of a noun."""
    row = nouns.row(request.actor, on)
    on = ref(row)
    said = _said(request, comments.listing(request.actor, on)[:MOST])
    own = attachments.listing(request.actor, on).filter(comment__isnull=True)
    watch = watching.watch_of(request.actor, on)
    return {
        "on": on,
        "said": said,
        "number": sum(each.row.shown for each in said) + sum(a.row.shown for each in said for a in each.answers),
        "files": list(own[:MOST]),
        "may_write": comments.may_write(request.actor),
        "may_moderate": allows(request.actor, comments.MODERATE),
        "watches": watch is not None and not watch.muted,
        "watch": watch,
        "watchers": watching.watchers(on),
    }


@page(ANY_PERSON)
def talk(request: PageRequest) -> HttpResponse:
    """GET ?ref=: the whole part. 404 for a noun that is not to be seen."""
    response = render(request, "shell/talk_part.html", part_context(request, request.GET.get("ref", "")))
    response.headers["Cache-Control"] = "no-store"
    return response


def _done(request: PageRequest, on: str, **body: Any) -> HttpResponse:
    """Answer a script with JSON, a form without one with the page it came from."""
    if "application/json" in request.headers.get("Accept", ""):
        return JsonResponse({"ok": True, **body})
    link = resolve([on])[on]
    return redirect(f"{link.url}#talk" if link.url else "/")


def _ids(values: Iterable[str], name: str) -> list[UUID]:
    try:
        return [UUID(each) for each in values if each]
    except ValueError as error:
        raise Invalid(
            "comment.id", _("This is no id of ours."), field=name, remedy=_("Reload the page and try again.")
        ) from error


@page(ANY_PERSON)
@require_POST
def talk_comment(request: PageRequest) -> HttpResponse:
    """Write a comment (`ref`, `text`, `reply_to`, `file` any number of times)."""
    row, _event = comments.add(
        actor=request.actor,
        on=request.POST.get("ref", ""),
        text=request.POST.get("text", ""),
        reply_to=next(iter(_ids([request.POST.get("reply_to", "")], "reply_to")), None),
        files=_ids(request.POST.getlist("file"), "file"),
    )
    return _done(request, row.on, id=str(row.pk))


def _edit(request: PageRequest, row: Comment) -> None:
    version = request.POST.get("version", "")
    number = int(version) if version.isascii() and version.isdigit() and len(version) < 9 else 0
    comments.edit(actor=request.actor, comment=row, text=request.POST.get("text", ""), version=number)


def _delete(request: PageRequest, row: Comment) -> None:
    comments.delete(actor=request.actor, comment=row)


def _restore(request: PageRequest, row: Comment) -> None:
    comments.restore(actor=request.actor, comment=row)


def _hide(request: PageRequest, row: Comment) -> None:
    comments.hide(actor=request.actor, comment=row, reason=request.POST.get("reason", ""))


def _unhide(request: PageRequest, row: Comment) -> None:
    comments.unhide(actor=request.actor, comment=row)


COMMENT_ACTS: dict[str, Callable[[PageRequest, Comment], None]] = {
    "edit": _edit,
    "delete": _delete,
    "restore": _restore,
    "hide": _hide,
    "unhide": _unhide,
}


def _no_act() -> NotFound:
    return NotFound("talk.act", _("There is no such action."), remedy=_("Reload the page and use its buttons."))


@page(ANY_PERSON)
@require_POST
def talk_comment_act(request: PageRequest, comment_id: UUID, act: str) -> HttpResponse:
    """Edit, delete, restore, hide or show again."""
    row = comments.get(request.actor, comment_id)
    if act not in COMMENT_ACTS:
        raise _no_act()
    COMMENT_ACTS[act](request, row)
    return _done(request, row.on, id=str(row.pk))


@page(ANY_PERSON)
def talk_editions(request: PageRequest, comment_id: UUID) -> HttpResponse:
    """What a comment said before."""
    row = comments.get(request.actor, comment_id)
    rows = comments.editions(request.actor, row)
    return render(
        request, "shell/talk_editions.html", {"comment": row, "editions": rows, "link": resolve([row.on])[row.on]}
    )


@page(ANY_PERSON)
def talk_people(request: PageRequest) -> HttpResponse:
    """Names for type-ahead (`ref`, `q`): only of people who may see the noun."""
    on = ref(nouns.row(request.actor, request.GET.get("ref", "")))
    comments.check_write(request.actor)
    found = audience.offers(on, request.GET.get("q", ""))
    items = [{"write": written(each.name), "title": each.title, "name": each.name, "kind": each.kind} for each in found]
    return JsonResponse({"items": items}, headers={"Cache-Control": "no-store"})


@page(ANY_PERSON)
@require_POST
def talk_watch(request: PageRequest) -> HttpResponse:
    """Watch or stop watching (`ref`, `on`=1 or 0)."""
    wanted = request.POST.get("ref", "")
    if request.POST.get("on") == "1":
        watching.watch(actor=request.actor, wanted=wanted)
    else:
        watching.unwatch(actor=request.actor, wanted=wanted)
    if request.POST.get("next") == "inbox":
        messages.success(request, _("Saved."))
        return redirect("web:inbox-preferences")
    return _done(request, wanted)


@page(ANY_PERSON)
@require_POST
def talk_read(request: PageRequest) -> HttpResponse:
    """The page of a noun (`ref`) was opened: its row in the inbox is read."""
    on = ref(nouns.row(request.actor, request.POST.get("ref", "")))
    inbox.read_about(request.actor, on)
    return HttpResponse(status=204)
