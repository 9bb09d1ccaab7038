"""Files of nouns and comments: sent in, shown, given out. The gate is the noun's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote
from uuid import UUID

from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tongchou.core import attachments
from tongchou.core.models_talk import Attachment
from tongchou.core.problems import Invalid, NotFound
from tongchou.web.gate import ANY_PERSON, PageRequest, page
from tongchou.web.links import resolve

MOST_AT_ONCE = 10
# A file runs nothing, loads nothing and is framed by nobody, whatever it turns out to be.
FILE_POLICY = "default-src 'none'; sandbox; frame-ancestors 'none'"


@page(ANY_PERSON)
@require_POST
def talk_files(request: PageRequest) -> HttpResponse:
    """Attach files (`ref`, `file` any number of times, `staged`=1: for a comment that is being written)."""
    on = request.POST.get("ref", "")
    attachments.check_room(request.actor, on, 0)
    sent = [each for each in request.FILES.getlist("file") if isinstance(each, UploadedFile)]
    if not 0 < len(sent) <= MOST_AT_ONCE:
        raise Invalid(
            "file.none",
            _("Send 1 to %(most)s files at once.") % {"most": MOST_AT_ONCE},
            field="file",
            value=len(sent),
            remedy=_("Choose a file first."),
        )
    staged = request.POST.get("staged") == "1"
    rows = [
        attachments.add(
            actor=request.actor,
            on=on,
            name=each.name or "",
            chunks=each.chunks(),
            size=each.size or 0,
            staged=staged,
        )
        for each in sent
    ]
    if "application/json" in request.headers.get("Accept", ""):
        return JsonResponse({"items": [_told(row) for row in rows]})
    link = resolve([rows[0].on])[rows[0].on]
    return redirect(f"{link.url}#talk" if link.url else "/")


def _told(row: Attachment) -> dict[str, Any]:
    return {"id": str(row.pk), "name": row.name, "size": row.size, "picture": row.inline, "sha256": row.sha256}


ACTS: dict[str, Callable[..., Attachment]] = {"delete": attachments.delete, "restore": attachments.restore}


@page(ANY_PERSON)
@require_POST
def talk_file_act(request: PageRequest, attachment_id: UUID, act: str) -> HttpResponse:
    """Delete or restore a file."""
    row = attachments.get(request.actor, attachment_id)
    if act not in ACTS:
        raise NotFound("talk.act", _("There is no such action."), remedy=_("Reload the page and use its buttons."))
    ACTS[act](actor=request.actor, attachment=row)
    if "application/json" in request.headers.get("Accept", ""):
        return JsonResponse({"ok": True, "id": str(row.pk)})
    link = resolve([row.on])[row.on]
    return redirect(f"{link.url}#talk" if link.url else "/")


@page(ANY_PERSON)
def talk_file(request: PageRequest, attachment_id: UUID) -> HttpResponse:
    """Give out a file: a picture to look at, everything else to save."""
    row = attachments.get(request.actor, attachment_id)
    return file_response(row, inline=row.inline and "save" not in request.GET)


def file_response(row: Attachment, *, inline: bool) -> HttpResponse:
    """Return the bytes with headers that let a browser show a picture and nothing more."""
    kept = f"{row.content_type}; charset=utf-8" if row.content_type == "text/plain" else row.content_type
    response = HttpResponse(b"".join(attachments.content(row)), content_type=kept)
    how = "inline" if inline else "attachment"
    response.headers["Content-Disposition"] = f"{how}; filename*=UTF-8''{quote(row.name, safe='')}"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Content-Security-Policy"] = FILE_POLICY
    response.headers["Cross-Origin-Resource-Policy"] = "same-origin"
    response.headers["Cache-Control"] = "private, max-age=300"
    return response
