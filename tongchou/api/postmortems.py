"""Postmortems and their contributing causes."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone, translation
from ninja import Router, Schema, Status
from pydantic import Field

from tongchou.api import custom_values
from tongchou.api.bodies import Body
from tongchou.api.core import actor_of
from tongchou.api.document import bytes_of
from tongchou.api.paging import Offset
from tongchou.core.custom_fields import fields_of, shown
from tongchou.core.field_types import FieldDef
from tongchou.core.refs import ref
from tongchou.incidents import postmortem_actions as actions
from tongchou.incidents import postmortem_document, postmortem_markdown, reads
from tongchou.incidents import postmortem_reads as found
from tongchou.incidents.models import Cause, Postmortem, PostmortemEdition

router = Router(tags=["postmortems"])
KIND = "incidents.postmortem"
Text = str


class PostmortemOut(Schema):
    """A postmortem in lists."""

    id: UUID
    ref: str
    incident: str
    incident_id: UUID
    title: str
    severity: str
    state: str
    version: int
    edition: int
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str
    published_at: datetime | None
    published_by: str
    improvement_count: int
    done_count: int
    custom: dict[str, Any] = Field(default_factory=dict)


class PostmortemPage(Schema):
    """A page of postmortems."""

    items: list[PostmortemOut]
    count: int


class MissingOut(Schema):
    """An incident that needs a postmortem nobody has published, and until when."""

    incident: str
    incident_id: UUID
    title: str
    severity: str
    due_at: datetime
    overdue: bool
    postmortem_id: UUID | None
    state: str | None


class MissingPage(Schema):
    """A page of them; `severities` and `days` are the settings they follow from."""

    items: list[MissingOut]
    count: int
    severities: list[str]
    days: float


class CauseOut(Schema):
    """A contributing cause; `evidence` is a PromQL query or a log search, by `evidence_kind`."""

    id: UUID
    kind: str
    description: str
    ref: str
    evidence_kind: str
    evidence: str


class CauseIn(Body):
    """What a person says about a cause. `ref` points at a suspect, an event or a resource."""

    kind: str
    description: str = Field(max_length=actions.MAX_DESCRIPTION)
    ref: str = Field(default="", max_length=140)
    evidence_kind: Literal["", "query", "logs"] = ""
    evidence: str = Field(default="", max_length=actions.MAX_EVIDENCE)

    def draft(self) -> actions.CauseDraft:
        """The same for the action."""
        return actions.CauseDraft(self.kind, self.description, self.ref, self.evidence_kind, self.evidence)


class PostmortemDetail(PostmortemOut):
    """All of it. `facts` is the snapshot of `facts_at`: codes and figures, free of language."""

    facts_at: datetime
    facts: dict[str, Any]
    marks: dict[str, Any]
    summary: str
    went_well: str
    went_badly: str
    lucky: str
    lessons: str
    causes: list[CauseOut]
    improvements: list[str]
    submitted_at: datetime | None
    submitted_by: str
    content_hash: str
    needs_second_person: bool
    happened_before: list[str]
    happened_after: list[str]


class EventMarkIn(Body):
    """A remark on one event of the timeline, or that it is not shown; the event itself never alters."""

    hidden: bool = False
    note: str = Field(default="", max_length=actions.MAX_MARK)


class EditIn(Body):
    """Sections to write; those left out stay. `version` is the one you read. `marks` by event id, merged."""

    version: int
    summary: str | None = None
    went_well: str | None = None
    went_badly: str | None = None
    lucky: str | None = None
    lessons: str | None = None
    marks: dict[str, EventMarkIn] | None = None
    custom: dict[str, Any] = Field(default_factory=dict)


class ReturnIn(Body):
    """Why."""

    comment: str = Field(default="", max_length=actions.MAX_MARK)


class RecurrenceOut(Schema):
    """Another incident of the same sort. `improvements` are those of the earlier one, `reopened` what opened again."""

    side: Literal["earlier", "later"]
    incident: str
    incident_id: UUID
    reason: str
    found_at: datetime
    reopened: list[str]
    improvements: list[str]


class EditionOut(Schema):
    """One published edition; `content` is what `content_hash` (SHA-256 of its canonical JSON) is over."""

    number: int
    content_hash: str
    submitted_by: str
    published_at: datetime
    published_by: str
    content: dict[str, Any]


def _row(row: Postmortem, fields: list[FieldDef] | None = None) -> dict[str, Any]:
    same = ("id", "state", "version", "edition", "created_at", "updated_at", "published_at", "incident_id")
    counts = {name: getattr(row, name, None) for name in ("improvement_count", "done_count")}
    if counts["improvement_count"] is None:
        states = list(row.improvements.values_list("state", flat=True))
        counts = {"improvement_count": len(states), "done_count": states.count("done")}
    return {
        **{name: getattr(row, name) for name in same},
        **counts,
        "ref": ref(row),
        "incident": row.incident.name,
        "title": row.incident.title,
        "severity": row.incident.severity,
        "created_by": row.created_by_name,
        "updated_by": row.updated_by_name,
        "published_by": row.published_by_name,
        "custom": shown(row, fields),
    }


def _detail(request: HttpRequest, row: Postmortem) -> dict[str, Any]:
    actor = actor_of(request)
    same = ("facts_at", "facts", "marks", *actions.SECTIONS, "submitted_at", "content_hash")
    return {
        **_row(row),
        **{name: getattr(row, name) for name in same},
        "causes": list(row.causes.all()),
        "improvements": [
            f"IMP-{each}" for each in row.improvements.order_by("number").values_list("number", flat=True)
        ],
        "submitted_by": row.submitted_by_name,
        "needs_second_person": actions.needs_second(row),
        "happened_before": [each.incident.name for each in found.happened_before(actor, row.incident)],
        "happened_after": [each.incident.name for each in found.happened_after(actor, row.incident)],
    }


@router.get("/postmortems", response=PostmortemPage)
def list_postmortems(
    request: HttpRequest, state: Text | None = None, limit: int = 100, offset: Offset = 0
) -> dict[str, Any]:
    """List postmortems, newest first; `state` is draft, review or published; cf.<custom field> filters, too."""
    rows = found.listing(actor_of(request), state=state or None)
    rows, fields = custom_values.filtered(request, rows, KIND), fields_of(KIND)
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    return {"items": [_row(each, fields) for each in rows[offset : offset + limit]], "count": rows.count()}


@router.get("/postmortems/missing", response=MissingPage)
def list_missing(request: HttpRequest, limit: int = 100, offset: Offset = 0) -> dict[str, Any]:
    """List incidents that are over and need a postmortem that nobody has published, the longest waiting first."""
    actor, now = actor_of(request), timezone.now()
    rows = found.missing_rows(actor)
    limit, offset = max(1, min(limit, 500)), max(0, offset)
    items = [
        {
            "incident": each.incident.name,
            "incident_id": each.incident.pk,
            "title": each.incident.title,
            "severity": each.incident.severity,
            "due_at": each.due_at,
            "overdue": each.due_at < now,
            "postmortem_id": each.postmortem.pk if each.postmortem else None,
            "state": each.postmortem.state if each.postmortem else None,
        }
        for each in found.missing(rows[offset : offset + limit], actor)
    ]
    days = found.due_in().total_seconds() / 86_400
    return {"items": items, "count": rows.count(), "severities": found.required_severities(), "days": days}


@router.post("/incidents/{uuid:incident_id}/postmortem", response={201: PostmortemDetail})
def start_postmortem(request: HttpRequest, incident_id: UUID) -> Status[dict[str, Any]]:
    """Begin the postmortem of a mitigated or resolved incident, pre-filled; the one that is there when there is one."""
    actor = actor_of(request)
    row = actions.start(actor=actor, incident=reads.get(actor, incident_id))
    return Status(201, _detail(request, found.get(actor, row.pk)))


@router.get("/postmortems/{uuid:postmortem_id}", response=PostmortemDetail)
def get_postmortem(request: HttpRequest, postmortem_id: UUID) -> dict[str, Any]:
    """Return a postmortem with its snapshot, texts and causes."""
    return _detail(request, found.get(actor_of(request), postmortem_id))


@router.patch("/postmortems/{uuid:postmortem_id}", response=PostmortemDetail)
def edit_postmortem(request: HttpRequest, postmortem_id: UUID, body: EditIn) -> dict[str, Any]:
    """Write sections and remarks of a draft.

    409 postmortem.version when somebody wrote in between; the problem carries `version` and the `current` texts.
    """
    actor = actor_of(request)
    changes = body.model_dump(exclude_unset=True, exclude={"version", "custom"})
    if changes.get("marks") is None:
        changes.pop("marks", None)
    row = found.get(actor, postmortem_id)
    with transaction.atomic():
        if changes or not body.custom:
            row = actions.edit(actor=actor, postmortem=row, version=body.version, changes=changes)
        row = custom_values.put(actor, row, body.custom)
    return _detail(request, row)


@router.post("/postmortems/{uuid:postmortem_id}/prefill", response=PostmortemDetail)
def refresh_postmortem(request: HttpRequest, postmortem_id: UUID) -> dict[str, Any]:
    """Take the snapshot of a draft again; what people wrote stays."""
    actor = actor_of(request)
    row = found.get(actor, postmortem_id)
    actions.refresh(actor=actor, postmortem=row)
    return _detail(request, row)


@router.post("/postmortems/{uuid:postmortem_id}/submit", response=PostmortemDetail)
def submit_postmortem(request: HttpRequest, postmortem_id: UUID) -> dict[str, Any]:
    """Send a draft to review: nothing in it changes until it is returned or published."""
    actor = actor_of(request)
    return _detail(request, actions.submit(actor=actor, postmortem=found.get(actor, postmortem_id)))


@router.post("/postmortems/{uuid:postmortem_id}/return", response=PostmortemDetail)
def return_postmortem(request: HttpRequest, postmortem_id: UUID, body: ReturnIn | None = None) -> dict[str, Any]:
    """Return one in review to its writers."""
    actor = actor_of(request)
    row = found.get(actor, postmortem_id)
    return _detail(request, actions.give_back(actor=actor, postmortem=row, comment=body.comment if body else ""))


@router.post("/postmortems/{uuid:postmortem_id}/publish", response=PostmortemDetail)
def publish_postmortem(request: HttpRequest, postmortem_id: UUID) -> dict[str, Any]:
    """Publish what was reviewed as the next edition; of a critical incident by another person."""
    actor = actor_of(request)
    row = found.get(actor, postmortem_id)
    actions.publish(actor=actor, postmortem=row)
    return _detail(request, row)


@router.post("/postmortems/{uuid:postmortem_id}/revise", response=PostmortemDetail)
def revise_postmortem(request: HttpRequest, postmortem_id: UUID) -> dict[str, Any]:
    """Open a published one for writing; its editions stay."""
    actor = actor_of(request)
    return _detail(request, actions.revise(actor=actor, postmortem=found.get(actor, postmortem_id)))


@router.get("/incidents/{uuid:incident_id}/recurrences", response=list[RecurrenceOut])
def list_recurrences(request: HttpRequest, incident_id: UUID) -> list[dict[str, Any]]:
    """Return the earlier incidents this one is again, then the later ones that were this one again; newest first."""
    actor = actor_of(request)
    incident = reads.get(actor, incident_id)
    sides = (("earlier", found.happened_before(actor, incident)), ("later", found.happened_after(actor, incident)))
    return [
        {
            "side": side,
            "incident": each.incident.name,
            "incident_id": each.incident.pk,
            "reason": each.reason,
            "found_at": each.found_at,
            "reopened": each.reopened,
            "improvements": [item.name for item in each.improvements],
        }
        for side, several in sides
        for each in several
    ]


@router.get("/postmortems/{uuid:postmortem_id}/editions", response=list[EditionOut])
def list_editions(request: HttpRequest, postmortem_id: UUID) -> list[dict[str, Any]]:
    """Return the published editions, newest first, as they were."""
    row = found.get(actor_of(request), postmortem_id)
    return [_edition(each) for each in PostmortemEdition.objects.filter(postmortem=row).order_by("-number")]


def _edition(row: PostmortemEdition) -> dict[str, Any]:
    same = ("number", "content_hash", "published_at", "content")
    told = {name: getattr(row, name) for name in same}
    return {**told, "submitted_by": row.submitted_by_name, "published_by": row.published_by_name}


@router.get(
    "/postmortems/{uuid:postmortem_id}.md",
    openapi_extra=bytes_of("text/markdown"),
)
def postmortem_text(request: HttpRequest, postmortem_id: UUID, lang: Literal["en", "zh", ""] = "") -> HttpResponse:
    """Return it as Markdown: facts in `lang` (or the caller's language), people's own text as they wrote it."""
    row = found.get(actor_of(request), postmortem_id)
    language = {"en": "en", "zh": "zh-hans"}.get(lang, translation.get_language() or "en")
    with translation.override(language):
        improvements = list(row.improvements.select_related("owner", "owner_team").order_by("number"))
        text = postmortem_markdown.write(row, postmortem_document.read(row), row.causes.all(), improvements)
    name = f"{row.incident.name}.md"
    headers = {"Content-Disposition": f'inline; filename="{name}"', "Content-Language": language}
    return HttpResponse(text, content_type="text/markdown; charset=utf-8", headers=headers)


@router.post("/postmortems/{uuid:postmortem_id}/causes", response={201: CauseOut})
def add_cause(request: HttpRequest, postmortem_id: UUID, body: CauseIn) -> Status[Cause]:
    """Add a contributing cause to a draft."""
    actor = actor_of(request)
    row = found.get(actor, postmortem_id)
    return Status(201, actions.add_cause(actor=actor, postmortem=row, cause=body.draft()))


@router.put("/postmortem-causes/{uuid:cause_id}", response=CauseOut)
def change_cause(request: HttpRequest, cause_id: UUID, body: CauseIn) -> Cause:
    """Write a cause of a draft anew."""
    actor = actor_of(request)
    return actions.change_cause(actor=actor, cause=found.cause(actor, cause_id), wanted=body.draft())


@router.delete("/postmortem-causes/{uuid:cause_id}", response={204: None})
def remove_cause(request: HttpRequest, cause_id: UUID) -> Status[None]:
    """Take a cause out of a draft; its improvements stay."""
    actor = actor_of(request)
    actions.remove_cause(actor=actor, cause=found.cause(actor, cause_id))
    return Status(204, None)
