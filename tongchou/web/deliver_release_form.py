"""Deliver: the form of a new release. An environment, the services that are rolled out there, a version for each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.contrib import messages
from django.db.models import F, Q, Window
from django.db.models.functions import RowNumber
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from tongchou.changes.models import Deployment
from tongchou.changes.models_release import Artefact, Environment, Release, Rollout
from tongchou.changes.release import actions, reads
from tongchou.changes.release.content import MAX_ITEMS
from tongchou.core.access import allows
from tongchou.core.custom_fields import fields_of, missing
from tongchou.core.problems import Conflict, Invalid, Problem
from tongchou.core.refs import is_uuid
from tongchou.inventory.models import Resource
from tongchou.web import field_forms
from tongchou.web.deliver_releases import told
from tongchou.web.gate import PageRequest, page
from tongchou.web.release_grid import TEXTS

OFFERED = 20  # versions of a service, the newest first
SERVICES = 100  # lines of the form; more are found by a part of the name


@dataclass(frozen=True)
class Line:
    """A service of the form: what is there now, which versions are offered, which is chosen, in which place."""

    service: Resource
    now: str
    versions: list[tuple[str, str]]
    chosen: str
    picked: bool
    order: str


@page(reads.EDIT)
def release_new(request: PageRequest) -> HttpResponse:
    """The form of a new release; `?environment=`, `?service=` and `?version=` fill it in."""
    environments = list(reads.environments(request.actor))
    given = request.POST if request.method == "POST" else request.GET
    asked = given.get("environment", "")
    environment = next((each for each in environments if each.name == asked), None)
    if environment is None and asked:
        environment = reads.environment(request.actor, asked)
    environment = environment or (environments[0] if environments else None)
    problem: Problem | None = None
    if request.method == "POST" and environment is not None:
        try:
            made = _make(request, environment)
        except (Invalid, Conflict) as refused:
            problem = refused
        else:
            messages.success(request, _("%(name)s is planned. Ask for consent next.") % {"name": made.name})
            return redirect("web:release", number=made.number)
    search = given.get("q", "").strip()[:200]
    lines, more = _lines(request, environment, search) if environment is not None else ([], 0)
    post = request.POST if request.method == "POST" else None
    context = {
        "environments": environments,
        "environment": environment,
        "lines": lines,
        "more": more,
        "search": search,
        "several": len(lines) > 1 or bool(search) or bool(more),
        "ahead": environment is not None
        and environment.needs_previous
        and any(each.position < environment.position for each in environments),
        "title": given.get("title", ""),
        "together": "together" in request.POST if post is not None else True,
        "skip_promotion": given.get("skip_promotion", ""),
        "problem": problem,
        "problems": told(problem),
        "cf_form": field_forms.of_new(request.actor, "changes.release", post=post, problem=problem),
    }
    return render(request, "deliver/release_form.html", context, status=problem.status if problem else 200)


def _make(request: PageRequest, environment: Environment) -> Release:
    """Plan it: runs are planned and metrics asked, so custom fields are looked at before and written after."""
    post = request.POST
    fields = fields_of("changes.release")
    values = field_forms.posted(fields, post)
    for each in fields:
        if each.required and each.name in values and values[each.name] is None:
            raise missing(each)
    made = actions.create(
        actor=request.actor,
        environment=environment,
        artefacts=_artefacts(request),
        title=post.get("title", ""),
        together="together" in post,
        skip_promotion=post.get("skip_promotion", "") if "skip" in post else "",
    )
    try:
        field_forms.save(request.actor, made, post, new=True)
    except Invalid as problem:  # it is planned: what is wrong with a field is mended on its page
        messages.warning(request, str(problem.detail))
    return made


def _artefacts(request: PageRequest) -> list[Artefact]:
    """What was chosen, in the order that was written beside it."""
    post = request.POST
    picked = list(dict.fromkeys(post.getlist("pick")))[: MAX_ITEMS + 1]
    if not picked:
        raise Invalid(
            "release.field",
            _("No service is chosen."),
            field="items",
            remedy=_("Tick at least one service and choose its version."),
        )
    wanted = [
        (_place(post.get(f"order-{each}", ""), number), post.get(f"version-{each}", ""))
        for number, each in enumerate(picked)
    ]
    found = []
    for _order, text in sorted(wanted, key=lambda pair: pair[0]):
        artefact = reads.artefacts(request.actor).filter(pk=text).first() if is_uuid(text) else None
        if artefact is None:
            raise Invalid(
                "release.field",
                _("No version is chosen for a service that is ticked."),
                field="items",
                remedy=_("Choose a version, or tell of one under Versions."),
            )
        found.append(artefact)
    return found


def _place(text: str, number: int) -> tuple[int, int]:
    return (int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 9999, number)


def _lines(request: PageRequest, environment: Environment, search: str) -> tuple[list[Line], int]:
    """The services that are rolled out there and that the actor may release, and how many more there are.

    What is ticked or asked for is always among them. Six queries, whatever their number.
    """
    known = reads.rollouts(request.actor).filter(environment=environment)
    asked = {each for each in (*request.POST.getlist("pick"), request.GET.get("service", "")) if is_uuid(each)}
    wanted = Q(service__name__icontains=search) | Q(service__in=asked) if search else Q()
    owned = known.filter(wanted).values_list("pk", "service_id", "service__owner_id")
    mine = [(pk, str(key)) for pk, key, owner in owned if allows(request.actor, reads.EDIT, team=owner)]
    first = [pk for pk, key in mine if key in asked]
    shown = [*first, *(pk for pk, key in mine if key not in asked)][: max(SERVICES, len(first))]
    rows = list(known.filter(pk__in=shown).defer(*TEXTS))
    services = [each.service_id for each in rows]
    everywhere = (
        reads.rollouts(request.actor).filter(service__in=services, environment__retired_at__isnull=True).defer(*TEXTS)
    )
    listed = list(everywhere)
    grid = {each.service.pk: each for each in reads.grid(listed)}
    before = _before(listed, environment)
    offered = _offered(services)
    lines = []
    for number, row in enumerate(rows, start=1):
        where: Mapping[UUID, Deployment | None] = grid[row.service_id].where if row.service_id in grid else {}
        at, ahead = where.get(environment.pk), where.get(before.get(row.service_id, environment.pk))
        lines.append(_line(request, row, number, at, ahead, offered[row.service_id], before))
    return lines, len(mine) - len(rows)


def _before(listed: list[Rollout], environment: Environment) -> dict[UUID, UUID]:
    """The environment each service passes first: the last one before in which it is rolled out."""
    found: dict[UUID, UUID] = {}
    for each in sorted(listed, key=lambda row: row.environment.position):
        if each.environment.position < environment.position:
            found[each.service_id] = each.environment_id
    return found


def _offered(services: list[UUID]) -> dict[UUID, list[Artefact]]:
    """The newest versions of each service that may be rolled out. One query."""
    newest = Window(RowNumber(), partition_by=F("service"), order_by=[F("created_at").desc(), F("id").desc()])
    rows = Artefact.objects.filter(service__in=services, withdrawn_at__isnull=True).annotate(place=newest)
    found: dict[UUID, list[Artefact]] = defaultdict(list)
    for each in rows.filter(place__lte=OFFERED).defer("notes").order_by("place"):
        found[each.service_id].append(each)
    return found


def _line(
    request: PageRequest,
    row: Rollout,
    number: int,
    at: Deployment | None,
    ahead: Deployment | None,
    offered: list[Artefact],
    before: Mapping[UUID, UUID],
) -> Line:
    key = str(row.service_id)
    posted = request.method == "POST"
    passed = ahead.version if ahead is not None and row.service_id in before else ""
    wanted = request.GET.get("version", "") if request.GET.get("service") == key else ""
    by_version = {each.version: str(each.pk) for each in offered}
    missing_ones = [each for each in (wanted, passed) if each and each not in by_version]
    extra = Artefact.objects.filter(service=row.service_id, version__in=missing_ones) if missing_ones else []
    for each in extra:
        offered.append(each)
        by_version[each.version] = str(each.pk)
    suggested = by_version.get(wanted) or by_version.get(passed) or (str(offered[0].pk) if offered else "")
    versions = [(str(each.pk), _words(each, at, passed)) for each in offered]
    if posted:
        picked = key in request.POST.getlist("pick")
        return Line(
            row.service, at.version if at else "", versions, request.POST.get(f"version-{key}", suggested), picked,
            request.POST.get(f"order-{key}", str(number)),
        )  # fmt: skip
    picked = request.GET.get("service") == key
    return Line(row.service, at.version if at else "", versions, suggested, picked, "1" if picked else str(number))


def _words(artefact: Artefact, at: Deployment | None, passed: str) -> str:
    """A version with what is to be known of it when one chooses."""
    notes = []
    if at is not None and at.version == artefact.version:
        notes.append(_("there now"))
    if passed == artefact.version:
        notes.append(_("in the environment before"))
    if artefact.withdrawn_at is not None:
        notes.append(_("withdrawn"))
    return f"{artefact.version} ({', '.join(notes)})" if notes else artefact.version
