"""Review: postmortems. The list with what is missing, one document to read, print and write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from tongchou.core.access import allows_anywhere
from tongchou.core.problems import AccessDenied, Conflict, Invalid, NotFound, Problem
from tongchou.core.refs import is_ref
from tongchou.incidents import actions as incident_actions
from tongchou.incidents import postmortem_actions as write
from tongchou.incidents import postmortem_document, reads
from tongchou.incidents import postmortem_reads as found
from tongchou.incidents.models import CauseKind, Improvement, Incident, Postmortem, PostmortemState
from tongchou.web.gate import PageRequest, page
from tongchou.web.links import resolve
from tongchou.web.review import TONES

PAGE = 50
LANGUAGES = {"en": "en", "zh": "zh-hans"}
TABS = ("missing", *PostmortemState.values)


@page("incidents.view")
def postmortems(request: PageRequest) -> HttpResponse:
    """What is missing, what is being written, what was published."""
    state = request.GET.get("state", "missing")
    state = state if state in TABS else "missing"
    missing = found.missing_rows(request.actor)
    rows: Any = missing if state == "missing" else found.listing(request.actor, state=state)
    shown = Paginator(rows, PAGE).get_page(request.GET.get("page"))
    context: dict[str, Any] = {
        "state": state,
        "page": shown,
        "missing_count": shown.paginator.count if state == "missing" else missing.count(),
        "states": PostmortemState.choices,
        "now": timezone.now(),
        "may_begin": allows_anywhere(request.actor, "incidents.respond"),
        "severities": [postmortem_document.severity_word(each) for each in found.required_severities()],
    }
    if state == "missing":
        context["missing"] = found.missing(shown.object_list, request.actor)
    return render(request, "review/postmortems.html", context)


def may_write(request: PageRequest, incident: Incident) -> bool:
    """Whether the person may respond to this incident, and so write about it."""
    try:
        incident_actions.check_respond(request.actor, incident)
    except AccessDenied:
        return False
    return True


def _moments(document: postmortem_document.Document) -> list[dict[str, Any]]:
    """The moments that are shown; `day` is set where another day begins in the reader's time zone."""
    days = [timezone.localtime(each.at).date() for each in document.shown]
    return [
        {"moment": each, "tone": TONES.get(each.tone, "unknown"), "day": day if day != before else None}
        for each, day, before in zip(document.shown, days, [None, *days], strict=False)
    ]


def _document(request: PageRequest, row: Postmortem) -> dict[str, Any]:
    """All that the document and its frame show, in the active language."""
    document = postmortem_document.read(row)
    causes = list(row.causes.all())
    improvements: list[Improvement] = list(
        row.improvements.select_related("owner", "owner_team", "cause").order_by("number")
    )
    refs = {each["ref"] for each in (*document.affected, *document.runs, *document.objectives)}
    refs |= {each.ref for each in document.suspects} | {each.ref for each in causes if each.ref}
    may = may_write(request, row.incident)
    return {
        "row": row,
        "incident": row.incident,
        "document": document,
        "unsettled": postmortem_document.unsettled(row.facts),
        "moments": _moments(document),
        "causes": causes,
        "improvements": improvements,
        "links": resolve(refs),
        "before": found.happened_before(request.actor, row.incident),
        "after": found.happened_after(request.actor, row.incident),
        "editions": list(row.editions.defer("content").order_by("-number")),
        "may_write": may,
        "may_publish": may and (not write.needs_second(row) or row.submitted_by_id != request.user.pk),
        "today": found.today(),
    }


@page("incidents.view")
def postmortem(request: PageRequest, number: int) -> HttpResponse:
    """The document. `?lang=en|zh` draws it in that language, `?print=1` as paper."""
    row = found.of_incident(request.actor, number)
    told = request.GET.get("lang", "")
    language = LANGUAGES.get(told, translation.get_language() or "en")
    template = "review/postmortem_print.html" if request.GET.get("print") == "1" else "review/postmortem.html"
    with translation.override(language):
        context = _document(request, row) | {"lang": told, "languages": [("en", "English"), ("zh", "简体中文")]}
        response = render(request, template, context)
    response.headers["Content-Language"] = language
    return response


@page("incidents.respond")
def postmortem_edit(request: PageRequest, number: int) -> HttpResponse:
    """Write a draft. When somebody else saved in between, both texts are shown and nothing of either is lost."""
    row = found.of_incident(request.actor, number)
    incident_actions.check_respond(request.actor, row.incident)
    if request.method != "POST":
        return _editor(request, row, {name: getattr(row, name) for name in write.SECTIONS}, row.marks, status=200)
    form = request.POST
    texts = {name: form.get(name, "").replace("\r\n", "\n") for name in write.SECTIONS}
    marks = {
        str(each["id"]): {
            "hidden": f"hide-{each['id']}" in form,
            "note": form.get(f"note-{each['id']}", "").strip(),
        }
        for each in row.facts["timeline"]
        if f"note-{each['id']}" in form
    }
    version = form.get("version", "")
    try:
        told = int(version) if version.isascii() and version.isdigit() and len(version) < 10 else 0
        write.edit(actor=request.actor, postmortem=row, version=told, changes={**texts, "marks": marks})
    except (Conflict, Invalid) as problem:
        row.refresh_from_db()
        return _editor(request, row, texts, marks, status=problem.status, problem=problem)
    messages.success(request, _("Saved."))
    return redirect("web:postmortem-edit" if "stay" in form else "web:postmortem", number=number)


def _editor(
    request: PageRequest,
    row: Postmortem,
    texts: dict[str, str],
    marks: dict[str, Any],
    *,
    status: int,
    problem: Problem | None = None,
) -> HttpResponse:
    document = postmortem_document.read(row)
    conflict = problem is not None and problem.code == "postmortem.version"
    context: dict[str, Any] = {
        "row": row,
        "incident": row.incident,
        "problem": problem,
        "conflict": conflict,
        "sections": [
            {
                "section": each,
                "text": texts[each.name],
                "theirs": each.text if conflict and each.text != texts[each.name] else None,
            }
            for each in document.sections
        ],
        "moments": [{"moment": each, "mark": marks.get(str(each.event_id), {})} for each in document.moments],
        "causes": list(row.causes.all()),
        "kinds": CauseKind.choices,
        "refs": _pointable(row),
        "cause": {},
    }
    return render(request, "review/postmortem_edit.html", context, status=status)


def _pointable(row: Postmortem) -> list[tuple[str, str]]:
    """What a cause may point at: the suspects, and what was affected."""
    facts = row.facts
    pairs = [(each["ref"], f"{each['rank']}. {each['title']}") for each in facts["suspects"]]
    pairs += [(each["ref"], each["name"]) for each in facts["affected"]]
    return list({ref: (ref, title) for ref, title in reversed(pairs)}.values())[::-1]


Act = Callable[[PageRequest, Postmortem], str]


def _prefill(request: PageRequest, row: Postmortem) -> str:
    changed = write.refresh(actor=request.actor, postmortem=row)
    return _("The facts are new.") if changed else _("The facts say what they said.")


def _submit(request: PageRequest, row: Postmortem) -> str:
    write.submit(actor=request.actor, postmortem=row)
    return _("Sent to review: nothing in it changes until it is published or returned.")


def _return(request: PageRequest, row: Postmortem) -> str:
    write.give_back(actor=request.actor, postmortem=row, comment=request.POST.get("comment", ""))
    return _("Returned to its writers.")


def _publish(request: PageRequest, row: Postmortem) -> str:
    write.publish(actor=request.actor, postmortem=row)
    return _("Published.")


def _revise(request: PageRequest, row: Postmortem) -> str:
    write.revise(actor=request.actor, postmortem=row)
    return _("It can be written again; the published editions stay.")


def _cause(request: PageRequest, row: Postmortem) -> str:
    form = request.POST
    ref = form.get("ref", "")
    draft = write.CauseDraft(
        kind=form.get("kind", ""),
        description=form.get("description", ""),
        ref=ref if is_ref(ref) else "",
        evidence_kind=form.get("evidence_kind", "") if form.get("evidence", "").strip() else "",
        evidence=form.get("evidence", ""),
    )
    write.add_cause(actor=request.actor, postmortem=row, cause=draft)
    return _("The cause is added.")


def _uncause(request: PageRequest, row: Postmortem) -> str:
    for each in row.causes.all():
        if str(each.pk) == request.POST.get("cause"):
            write.remove_cause(actor=request.actor, cause=each)
    return _("The cause is removed.")


ACTS: dict[str, Act] = {
    "prefill": _prefill,
    "submit": _submit,
    "return": _return,
    "publish": _publish,
    "revise": _revise,
    "cause": _cause,
    "uncause": _uncause,
}


@page("incidents.respond")
@require_POST
def postmortem_act(request: PageRequest, number: int, act: str) -> HttpResponse:
    """Begin it, or move it on: prefill, submit, return, publish, revise, cause, uncause."""
    if act == "start":
        incident = reads.visible(request.actor).select_related("commander", "previous").filter(number=number).first()
        if incident is None:
            raise NotFound("incident.unknown", _("There is no such incident."), remedy=_("Open the list of incidents."))
        write.start(actor=request.actor, incident=incident)
        return redirect("web:postmortem", number=number)
    if act not in ACTS:
        raise NotFound("postmortem.act", _("There is no such action."), remedy=_("Use the buttons of the page."))
    row = found.of_incident(request.actor, number)
    messages.success(request, ACTS[act](request, row))
    return redirect("web:postmortem-edit" if act in ("cause", "uncause") else "web:postmortem", number=number)
