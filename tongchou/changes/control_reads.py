"""Named reads of change control: what an actor may see, the content of a change, what it collides with, its risk."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.changes import change_states, conflicts, risk
from tongchou.changes.change_content import Bound, Content, Task, digest
from tongchou.changes.conflicts import Conflict, Opening, Plan
from tongchou.changes.draft import invalid
from tongchou.changes.gate import INCIDENT
from tongchou.changes.models_control import (
    Change,
    ChangeKind,
    ChangeResource,
    ChangeState,
    ChangeTask,
    ChangeTemplate,
    Outcome,
)
from tongchou.core import calendars
from tongchou.core.access import Actor, check_anywhere, visible_teams
from tongchou.core.consent import declare
from tongchou.core.models import ApprovalState, Team
from tongchou.core.models_calendars import Window, WindowKind
from tongchou.core.problems import NotFound
from tongchou.core.refs import is_uuid, parse, ref
from tongchou.core.spans import Span
from tongchou.inventory import holds
from tongchou.inventory.graph import Graph, load_graph
from tongchou.inventory.models import AttributeValue, Hold, Resource
from tongchou.inventory.reads import active_holds
from tongchou.runbooks.models import Procedure

VIEW, EDIT = "changes.view", "changes.edit"
ACTION = declare("changes.implement", _("Carry out a change"))
PAST = timedelta(days=365)
MOST_NAMED = 20  # collisions that an approver reads one by one
FELT = 3  # so many steps away a change may still be felt


def visible(actor: Actor) -> QuerySet[Change]:
    """Return the changes an actor may see, newest first: all, or their teams' and those that touch what these own."""
    check_anywhere(actor, VIEW)
    found = Change.objects.select_related("team", "assignee", "template").order_by("-number")
    teams = visible_teams(actor)
    if teams is not None:
        owned = ChangeResource.objects.filter(change=OuterRef("pk"), resource__owner__in=teams)
        found = found.filter(Q(team__in=teams) | Q(requested_by_id=actor.user_id) | Exists(owned))
    return found


def get(actor: Actor, number: int) -> Change:
    """Return one change by its number; NotFound for one that is not there or not to be seen."""
    found = visible(actor).filter(number=number).first()
    if found is None:
        raise NotFound("change.unknown", _("There is no such change."), field="number", value=number)
    return found


def find(
    actor: Actor,
    *,
    state: str | None = None,
    kind: str | None = None,
    resource: UUID | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> QuerySet[Change]:
    """Return visible changes by state, kind, a resource they touch, and a time that their window meets."""
    found = visible(actor)
    if state:
        found = found.filter(state=state)
    if kind:
        found = found.filter(kind=kind)
    if resource is not None:
        found = found.filter(touched__resource=resource)
    if since is not None:
        found = found.filter(ends_at__gt=since)
    if until is not None:
        found = found.filter(starts_at__lt=until)
    return found


def team_called(name: str) -> UUID | None:
    """Return the team of this name, None for ""; Invalid."""
    if not name:
        return None
    found = Team.objects.filter(name=name).values_list("pk", flat=True).first()
    if found is None:
        raise invalid("team", name, _("There is no such team."))
    return found


def templates(actor: Actor, *, retired: bool = False) -> QuerySet[ChangeTemplate]:
    """Return the catalogue of standard changes, by name; it is common knowledge."""
    check_anywhere(actor, VIEW)
    found = ChangeTemplate.objects.select_related("team", "approval", "backout_procedure")
    return found if retired else found.filter(retired_at__isnull=True)


def template(actor: Actor, name: str) -> ChangeTemplate:
    """Return one standard change; NotFound."""
    found = templates(actor, retired=True).filter(name=name).first()
    if found is None:
        raise NotFound(
            "change.template_unknown", _("The catalogue has no such change."), field="template", value=name[:63]
        )
    return found


# --- content --------------------------------------------------------------------------------------------------------


def hash_of_template(row: ChangeTemplate) -> str:
    """Return the hash of what a standard change says and may touch, with the texts of its procedures."""
    hashes = _hashes([each.get("procedure", "") for each in row.tasks])
    return digest(
        {
            "name": row.name,
            "title": row.title,
            "kinds": sorted(row.kinds),
            "max_resources": row.max_resources,
            "max_minutes": row.max_minutes,
            "tasks": [{**each, "procedure_hash": hashes.get(each.get("procedure", ""), "")} for each in row.tasks],
            "backout": row.backout,
            "backout_procedure": [row.backout_procedure.name, row.backout_procedure.content_hash]
            if row.backout_procedure
            else [],
            "verification": row.verification,
            **({"covers_runs": True} if row.covers_runs else {}),
        }
    )


def _hashes(names: Iterable[str]) -> dict[str, str]:
    wanted = {each for each in names if each}
    return dict(Procedure.objects.filter(name__in=wanted).values_list("name", "content_hash")) if wanted else {}


def content_of(row: Change) -> Content:
    """Return what consent to a change covers, read now: procedures count with the text they have now."""
    tasks = list(ChangeTask.objects.filter(change=row).select_related("procedure").order_by("position"))
    touched = ChangeResource.objects.filter(change=row).values_list("resource_id", flat=True)
    back = row.backout_procedure
    return Content(
        kind=row.kind,
        title=row.title,
        description=row.description,
        environment=row.environment,
        template_hash=hash_of_template(row.template) if row.template else "",
        resources=[str(each) for each in touched],
        starts_at=row.starts_at,
        ends_at=row.ends_at,
        tasks=[
            Task(
                each.title,
                each.procedure.name if each.procedure else "",
                each.procedure.content_hash if each.procedure else "",
                each.params,
                tuple(each.targets),
            )
            for each in tasks
        ],
        backout=row.backout,
        backout_procedure=back.name if back else "",
        backout_hash=back.content_hash if back else "",
        verification=row.verification,
        quiet=row.quiet,
        exclude_slo=row.exclude_slo,
        bound=[Bound(each["what"], each["ref"], each["sha256"]) for each in row.bound],
        runs=row.covered_runs,
    )


def scope_of(row: Change) -> dict[str, str]:
    """Return what policies of approval may ask about a change."""
    return {
        "kind": row.kind,
        "risk": row.risk,
        "environment": row.environment,
        "team": row.team.name if row.team else "",
    }


@dataclass(frozen=True, slots=True)
class Standing:
    """What a change says now, and whether that is agreed on. `ran_out`: when consent to exactly that ended."""

    content_hash: str
    agreed: bool
    ran_out: datetime | None = None


def standing(row: Change) -> Standing:
    """Return what a change says now as a hash, and whether it is agreed on."""
    content = content_of(row).sha256
    agreed = _is_agreed(row, content)
    lapsed = not agreed and row.kind != ChangeKind.STANDARD and _is_agreed(row, content, still=False)
    return Standing(content, agreed, row.approval.expires_at if lapsed and row.approval else None)


def is_agreed(row: Change) -> bool:
    """Tell whether what the change says now is what was agreed on, and the consent still counts.

    Of a standard change the catalogue's entry is what was agreed on. An emergency that broke the glass has no consent.
    """
    return _is_agreed(row, content_of(row).sha256)


def was_agreed(row: Change) -> bool:
    """Tell the same of a consent that may be over by now: who agreed to a change agreed to its way back."""
    return _is_agreed(row, content_of(row).sha256, still=False)


def _is_agreed(row: Change, content: str, *, still: bool = True) -> bool:
    if not row.asked_hash or content != row.asked_hash:
        return False
    if row.kind == ChangeKind.STANDARD:
        return row.template is not None and template_agreed(row.template) and not row.bound
    found = row.approval
    return (
        found is not None
        and found.state == ApprovalState.APPROVED
        and found.content_hash == content
        and (not still or found.expires_at > timezone.now())
    )


def template_agreed(row: ChangeTemplate) -> bool:
    """Tell whether a standard change may be used: it was agreed on as it reads now, and is not retired."""
    return row.retired_at is None and bool(row.approved_hash) and row.approved_hash == hash_of_template(row)


def says_its_entry(row: Change, template: ChangeTemplate) -> bool:
    """Tell whether a standard change says what its entry of the catalogue says now: it was made from an earlier one."""
    tasks = ChangeTask.objects.filter(change=row).select_related("procedure").order_by("position")
    said = [(each.title, each.procedure.name if each.procedure else "", each.params, each.targets) for each in tasks]
    entry = [(each["title"].strip(), each["procedure"], each["params"], each["targets"]) for each in template.tasks]
    ends = ("backout", "backout_procedure_id", "verification")
    return said == entry and all(getattr(row, name) == getattr(template, name) for name in ends)


# --- collisions -----------------------------------------------------------------------------------------------------


def plan_of(row: Change, graph: Graph) -> Plan | None:
    """Return a change as far as collisions go; None while it has no window."""
    if row.starts_at is None or row.ends_at is None:
        return None
    touches = frozenset(each.resource_id for each in row.touched.all())
    related = frozenset().union(*(graph.neighbours(each) for each in touches)) - touches
    return Plan(row.pk, row.name, Span(row.starts_at, row.ends_at), touches, related, row.assignee_id)


def planned(since: datetime, until: datetime) -> QuerySet[Change]:
    """Return the changes that are planned or under way and whose window meets the time. Of everybody."""
    return Change.objects.filter(
        state__in=change_states.PLANNED, starts_at__lt=until, ends_at__gt=since
    ).prefetch_related("touched")


def conflicts_of(row: Change, graph: Graph | None = None) -> list[Conflict]:
    """Return what a change collides with as things are now. A constant number of queries, plus windows of its time."""
    graph = graph or load_graph()
    plan = plan_of(row, graph)
    if plan is None:
        return []
    within = frozenset().union(*(holds.containers(graph, each) for each in plan.touches)) - plan.touches
    plan = replace(plan, within=within)
    others = [
        found
        for each in planned(plan.span.start, plan.span.end).exclude(pk=row.pk)
        if (found := plan_of(each, graph)) is not None
    ]
    freezes = openings(windows_of(WindowKind.FREEZE), plan.span)
    maintained = [each for each in windows_of(WindowKind.MAINTENANCE) if each[1] & plan.touches]
    maintenance = openings(maintained, plan.span)
    by_resource = {
        resource: [each for each in maintenance if resource in each.about] for resource in sorted(plan.touches)
    }
    having = plan.touches & {resource for _window, about in maintained for resource in about}
    return [
        *conflicts.with_others(plan, others),
        *conflicts.with_freezes(plan, freezes),
        *conflicts.outside_maintenance(plan, by_resource, having),
        *_holds_in(row, plan, timezone.now()),
    ]


def _holds_in(row: Change, plan: Plan, now: datetime) -> list[Conflict]:
    """The holds in force that last into its window, each with the part of it that they last."""
    return [
        Conflict(
            conflicts.HOLD,
            ref(each),
            each.reason[:120],
            Span(plan.span.start, min(each.until or plan.span.end, plan.span.end)),
            (each.resource_id,),
        )
        for each in stopping(plan.places, now)
        if _collides(each, row, plan.span, now)
    ]


def accepted(row: Change) -> set[tuple[str, str]]:
    """Return the collisions, as (kind, Ref), that a reason was given for."""
    return {(kind, about) for kind, about in row.accepted_conflicts} if row.conflicts_accepted else set()


def in_spite_of(row: Change) -> dict[str, Any]:
    """Return what an approver reads of the collisions that were accepted, for the scope: {} when there are none."""
    lines = [": ".join(filter(None, [each["kind"], each["name"]])) for each in row.conflicts]
    if not lines:
        return {}
    more = [f"+{len(lines) - MOST_NAMED}"] if len(lines) > MOST_NAMED else []
    return {"collides": [*lines[:MOST_NAMED], *more], "in_spite": row.conflicts_accepted}


def _collides(hold: Hold, row: Change, window: Span, now: datetime) -> bool:
    """Tell whether a hold that is in force now is one in the window of a change, as far as anybody knows."""
    if row.because and hold.opened_by == row.because:  # a fix collides with no hold of what it answers
        return False
    if hold.opened_by.startswith(INCIDENT):  # over when that is mitigated, which does not wait for a window to come
        return window.start <= now
    return hold.until is None or hold.until > window.start


def stopping(resources: Iterable[UUID], at: datetime) -> QuerySet[Hold]:
    """Return the holds that stop deployments to the resources at a moment, oldest first."""
    return active_holds(resources, at=at).filter(kind__in=holds.STOPS_DEPLOYMENTS)


def _ids(row: Window, what: str) -> set[UUID]:
    """The ids of what a window is for that is a "core.team" or an "inventory.resource"."""
    found = [parse(each) for each in row.about]
    return {UUID(each.id) for each in found if f"{each.room}.{each.noun}" == what and is_uuid(each.id)}


def windows_of(kind: WindowKind) -> list[tuple[Window, frozenset[UUID]]]:
    """Return the windows of a kind, each with the resources it is for; none: everything. At most two queries.

    One for a team is for what that owns now. Left out are those for what is neither: `put_window` refuses it by now.
    """
    rows = list(Window.objects.filter(kind=kind, ended_at__isnull=True).select_related("calendar"))
    teams = {row.pk: _ids(row, "core.team") for row in rows}
    owned: dict[UUID, set[UUID]] = {each: set() for found in teams.values() for each in found}
    if owned:
        for resource, team in Resource.objects.filter(owner__in=owned).values_list("pk", "owner_id"):
            owned[team].add(resource)
    about = {
        row.pk: frozenset().union(_ids(row, "inventory.resource"), *(owned[each] for each in teams[row.pk]))
        for row in rows
    }
    return [(row, about[row.pk]) for row in rows if about[row.pk] or not row.about]


def openings(windows: Iterable[tuple[Window, frozenset[UUID]]], span: Span) -> list[Opening]:
    """Return every occurrence of windows in a time."""
    return [
        Opening(ref(row), row.name, each, about)
        for row, about in windows
        for each in calendars.spans(row, span.start, span.end)
    ]


# --- risk -----------------------------------------------------------------------------------------------------------


def felt_by(touched: Iterable[UUID], graph: Graph) -> set[UUID]:
    """Return the services that need what is touched, within FELT steps, without those touched themselves."""
    own = set(touched)
    found = {other for each in own for other in graph.upstream(each, depth=FELT)}
    return {each for each in found - own if graph.nodes[each].kind == "service"}


def risk_of(row: Change, graph: Graph | None = None) -> risk.Risk:
    """Return the risk of a change as things are now. Three queries beside the graph."""
    graph = graph or load_graph()
    touched = {each.resource_id for each in row.touched.all()}
    felt = felt_by(touched, graph)
    criticalities = AttributeValue.objects.filter(resource__in=touched | felt, name="criticality").values_list(
        "value", flat=True
    )
    return risk.assess(
        kind=row.kind,
        answers=row.answers,
        touched=len(touched),
        felt_by=len(felt),
        criticalities=[str(each) for each in criticalities],
        past=past_of(row),
    )


def past_of(row: Change) -> risk.Past:
    """Return how the closed changes of the same kind, team and catalogue entry went in the last year."""
    rows = Change.objects.filter(
        kind=row.kind, team=row.team_id, template=row.template_id, closed_at__gte=timezone.now() - PAST
    ).exclude(outcome="")
    counted: dict[str, Any] = rows.aggregate(
        count=Count("pk"), successful=Count("pk", filter=Q(outcome=Outcome.SUCCESSFUL))
    )
    return risk.Past(counted["count"], counted["successful"])


def implementing(
    resources: Iterable[UUID], at: datetime, *, slack: timedelta = timedelta(0), since: datetime | None = None
) -> QuerySet[Change]:
    """Return the changes that were carried out at a time within their window, and touch one of the resources.

    `slack`: so long before the beginning and after the end counts, too: clocks differ, and looks come later. `since`:
    what was carried out at any time from then on counts, where only that is known.
    """
    ended = (since or at) - slack
    return (
        Change.objects.filter(touched__resource__in=list(resources), began_at__lte=at + slack)
        .filter(Q(finished_at__isnull=True) | Q(finished_at__gte=ended))
        .filter(Q(ends_at__isnull=True) | Q(ends_at__gte=ended))
        .exclude(state=ChangeState.CANCELLED)
        .distinct()
        .order_by("number")
    )
