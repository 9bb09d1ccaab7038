"""Plan: where the inventory comes from. Sources, how their last look went, and adding one."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import messages
from django.core.files.uploadedfile import UploadedFile
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from tongchou.core.access import allows, check
from tongchou.core.problems import Conflict, Invalid, Problem
from tongchou.inventory import documents, notes, source_nodes, sources
from tongchou.inventory.documents import Document
from tongchou.inventory.models import SourceConfig
from tongchou.inventory.plan_lines import lines_of
from tongchou.inventory.ports import DocumentSource
from tongchou.inventory.runs import runs_of
from tongchou.web import source_form
from tongchou.web.gate import PageRequest, page


def _kinds() -> list[tuple[str, str]]:
    return sorted(
        ((kind, str(source.title)) for kind, source in sources.source_kinds().items()), key=lambda each: each[1]
    )


def _form(request: PageRequest) -> dict[str, Any]:
    """What the form begins with: a source that is to be changed, or a new one of the kind asked for."""
    row = SourceConfig.objects.filter(name=request.GET.get("name", "")[:120]).first()
    if row is not None:
        return {"name": row.name, "kind": row.kind, "interval": f"{row.interval_seconds:g}", "settings": row.settings}
    known = sources.source_kinds()
    kind = request.GET.get("kind", "")
    source = known.get(kind) or known["http_sd"]
    name = request.GET.get("name", "")[:120]
    return {"name": name, "kind": source.kind, "interval": f"{source.interval_seconds:g}", "settings": {}}


def _context(request: PageRequest, **more: Any) -> dict[str, Any]:
    form = more.pop("form", None) or _form(request)
    source = sources.source_kinds().get(form["kind"])
    kinds = _kinds()
    titles = dict(kinds)
    return {
        "rows": [
            (row, titles.get(row.kind, row.kind), sources.waits(row)) for row in SourceConfig.objects.order_by("name")
        ],
        "kinds": kinds,
        "may_edit": allows(request.actor, "inventory.manage_sources"),
        "form": form,
        "inputs": source_form.inputs(source.settings_schema, form["settings"], wrong=more.get("field", ""))
        if source
        else [],
        **more,
    }


@page("inventory.view")
def resource_sources(request: PageRequest) -> HttpResponse:
    """The sources; POST adds or changes one. The settings come as fields, or as JSON in `settings`."""
    check(request.actor, "inventory.view")  # a source has no owner: a team's role does not open it
    if request.method != "POST":
        fields = request.GET.get("part") == "fields"
        if fields:
            check(request.actor, sources.MANAGE)
        return render(request, "plan/source_fields.html" if fields else "plan/sources.html", _context(request))
    check(request.actor, sources.MANAGE)  # before the form is read: what is wrong in it is no answer to a stranger
    post = request.POST
    form: dict[str, Any] = {key: post.get(key, "").strip() for key in ("name", "kind", "interval")}
    form["settings"] = _typed(form["kind"], post)
    try:
        form["settings"] = _settings(form["kind"], post)
        interval = _seconds(form["interval"])
        source_nodes.checked(form["kind"], form["settings"])
        wanted = sources.Wanted(kind=form["kind"], settings=form["settings"], interval_seconds=interval)
        row = sources.configure_source(actor=request.actor, name=form["name"], wanted=wanted)
    except (Invalid, Conflict) as problem:
        told = {"error": problem.detail, "remedy": problem.remedy, "field": problem.field or ""}
        return render(request, "plan/sources.html", _context(request, form=form, **told), status=problem.status)
    if not row.enabled:
        messages.success(request, _("The source is saved. It is switched off: it does not look."))
    elif sources.waits(row):
        messages.success(request, _("The source is saved. It waits for a file: hand one over here."))
        return redirect("web:resource-source-runs", row.name)
    else:
        messages.success(request, _("The source is saved. It looks now."))
    return redirect("web:resource-sources")


def _typed(kind: str, post: QueryDict) -> dict[str, Any]:
    """What was typed, to be shown again when it is refused, whether it can be read or not."""
    source = sources.source_kinds().get(kind)
    names = source.settings_schema["properties"] if source else ()
    return {name: post[source_form.PREFIX + name] for name in names if source_form.PREFIX + name in post}


def _settings(kind: str, post: QueryDict) -> dict[str, Any]:
    if "settings" not in post:
        return source_form.posted(sources.source_of(kind).settings_schema, post)
    try:
        settings = json.loads(post.get("settings", "").strip() or "{}")
    except ValueError as error:
        raise Invalid("source.settings", str(error), field="settings") from None
    if not isinstance(settings, dict):
        raise Invalid("source.settings", _("The settings are a JSON object."), field="settings")
    return settings


def _seconds(text: str) -> float:
    try:
        return float(text or 60)
    except ValueError:
        detail = _("This is no number of seconds.")
        raise Invalid(
            "source.interval", detail, field="interval", value=text[:80], remedy=_("Give a number.")
        ) from None


@page("inventory.manage_sources")
@require_POST
def resource_source_act(request: PageRequest, name: str) -> HttpResponse:
    """Look now, switch on or off, or delete (`do` = run | enable | disable | delete)."""
    check(request.actor, sources.MANAGE)
    row = sources.get_source(name)
    act = request.POST.get("do", "")
    if act == "run" and source_nodes.is_elsewhere(row):
        source_nodes.hand_over(actor=request.actor, source=row)
        messages.success(request, _("The node %(node)s looks now.") % {"node": source_nodes.node_of(row)})
    elif act == "run":
        try:
            plan = sources.run_source(actor=request.actor, source=row)
        except Problem as problem:
            return _runs(request, name, status=problem.status, error=problem.detail, remedy=problem.remedy)
        count = len(plan.seen)
        text = ngettext("Looked: %(count)d resource seen.", "Looked: %(count)d resources seen.", count) % {
            "count": count
        }
        messages.success(request, text)
    elif act in ("enable", "disable"):
        sources.configure_source(actor=request.actor, name=name, wanted=sources.Wanted(enabled=act == "enable"))
        messages.success(request, _("Saved."))
    elif act == "delete":
        sources.delete_source(actor=request.actor, source=row)
        messages.success(request, _("The source is deleted. What only it knew is marked as gone."))
    return redirect("web:resource-sources")


RUNS = 100


def _runs(request: PageRequest, name: str, *, status: int = 200, **more: Any) -> HttpResponse:
    row = sources.get_source(name)
    rows = list(runs_of(actor=request.actor, source=row)[:RUNS])
    context = {
        "row": row,
        "runs": [(each, [notes.text(note) for note in each.notes]) for each in rows],
        "may_edit": allows(request.actor, sources.MANAGE),
        "reads_files": isinstance(sources.source_kinds().get(row.kind), DocumentSource),
        "waits": sources.waits(row),
        "policy": _policy(row),
        **more,
    }
    return render(request, "plan/source_runs.html", context, status=status)


def _policy(row: SourceConfig) -> dict[str, Any]:
    """How much the word of a source counts, and its patience, as its form shows them."""
    special = "\n".join(f"{name} = {number}" for name, number in sorted(row.attribute_precedence.items()))
    return {
        "precedence": str(row.precedence),
        "attribute_precedence": special,
        "missing_after": str(row.missing_after),
        "grace_seconds": f"{row.grace_seconds:g}",
        "declares": row.declares,
    }


def _number(field: str, text: str) -> float:
    try:
        return float(text) if "." in text else int(text)
    except ValueError:
        detail = _("This is no number.")
        raise Invalid("source.policy", detail, field=field, value=text[:80], remedy=_("Give a number.")) from None


def _special(text: str) -> dict[str, int]:
    """The precedences of single attributes, one a line: name = number."""
    field, found = "attribute_precedence", {}
    for line in filter(None, map(str.strip, text.splitlines())):
        name, equals, number = (part.strip() for part in line.partition("="))
        if not (name and equals) or name in found:
            detail, remedy = _("This line cannot be read."), _("Write one a line, as: name = value. Each name once.")
            raise Invalid("source.policy", detail, field=field, value=line[:200], remedy=remedy)
        found[name] = _number(f"{field}.{name}", number)
    return found  # type: ignore[return-value]  # what is no whole number is refused by who takes it


@page("inventory.manage_sources")
@require_POST
def resource_source_policy(request: PageRequest, name: str) -> HttpResponse:
    """Say how much the word of a source counts, in what, and how long it is patient."""
    check(request.actor, sources.MANAGE)
    row, post = sources.get_source(name), request.POST
    typed: dict[str, Any] = {each: post.get(each, "").strip() for each in sources.POLICY}
    typed["declares"] = post.get("declares") == "on"
    try:
        wanted = sources.Wanted(
            precedence=_number("precedence", typed["precedence"]),  # type: ignore[arg-type]  # refused if no whole one
            attribute_precedence=_special(typed["attribute_precedence"]),
            missing_after=_number("missing_after", typed["missing_after"]),  # type: ignore[arg-type]  # the same
            grace_seconds=_number("grace_seconds", typed["grace_seconds"]),
            declares=typed["declares"],
        )
        sources.configure_source(actor=request.actor, name=row.name, wanted=wanted)
    except Invalid as problem:
        return _runs(request, name, status=problem.status, policy=typed, problem=problem)
    messages.success(request, _("Saved."))
    return redirect("web:resource-source-runs", name)


@page("inventory.view")
@require_GET
def resource_source_runs(request: PageRequest, name: str) -> HttpResponse:
    """The history of a source: what each look came to."""
    check(request.actor, "inventory.view")  # a source has no owner: a team's role does not open it
    return _runs(request, name)


@page("inventory.manage_sources")
@require_POST
def resource_source_plan(request: PageRequest, name: str) -> HttpResponse:
    """Show what a look, or an uploaded file, would do; with do=apply, do it."""
    check(request.actor, sources.MANAGE)
    row = sources.get_source(name)
    upload = request.FILES.get("file")
    document = None
    try:
        if isinstance(upload, UploadedFile):
            if (upload.size or 0) > documents.MAX_BYTES:
                raise documents.too_large(documents.MAX_BYTES)
            document = Document((upload.name or "")[-200:], upload.read())
        source_nodes.must_be_here(row)
        if request.POST.get("do") == "apply":
            sources.run_source(actor=request.actor, source=row, document=document)
            messages.success(request, _("Done. The newest run below says what was changed."))
            return redirect("web:resource-source-runs", name)
        plan = sources.dry_run(actor=request.actor, source=row, document=document)
    except Problem as problem:
        if problem.status in (401, 403, 404):
            raise
        return _runs(request, name, status=problem.status, error=problem.detail, remedy=problem.remedy)
    said = [notes.text(note.as_dict()) for note in (*plan.warnings, *plan.conflicts)][: sources.MAX_NOTES]
    more: dict[str, Any] = {"counts": plan.counts(), "said": said, "of_file": document.name if document else ""}
    return _runs(request, name, lines=lines_of(plan), planned=True, changes=plan.changes_something, **more)
