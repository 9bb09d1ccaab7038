"""The sources that feed the inventory: configure, run, dry run."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest
from ninja import Router, Status

from tongchou.api.bodies import Body
from tongchou.api.core import Page, actor_of
from tongchou.core.access import check
from tongchou.inventory import notes, source_nodes, sources
from tongchou.inventory.documents import Document
from tongchou.inventory.models import SourceConfig
from tongchou.inventory.plan import Plan
from tongchou.inventory.plan_lines import lines_of
from tongchou.inventory.reads import VIEW
from tongchou.inventory.runs import runs_of

router = Router(tags=["inventory"])


class SourceIn(Body):
    """A source; what is left out keeps its value, or takes the default of its kind.

    `attribute_precedence`: by the name of an attribute, or owner or name, the precedence that counts there instead.
    """

    kind: str | None = None
    settings: dict[str, Any] | None = None
    interval_seconds: float | None = None
    enabled: bool | None = None
    precedence: int | None = None
    attribute_precedence: dict[str, int] | None = None
    missing_after: int | None = None
    grace_seconds: float | None = None
    declares: bool | None = None


class NewSourceIn(SourceIn):
    """A source with its name."""

    name: str
    kind: str


def _note(stored: dict[str, Any]) -> dict[str, Any]:
    return {**stored, "text": notes.text(stored)}


def _source(row: SourceConfig) -> dict[str, Any]:
    facts = (
        "name", "kind", "settings", "interval_seconds", "enabled", *sources.POLICY, "created_at",
        "last_run_at", "last_success_at", "last_error", "last_remedy", "last_result",
    )  # fmt: skip
    told = [_note(stored) for stored in row.last_result.get("notes", ())]
    return {"id": row.pk, **{name: getattr(row, name) for name in facts}, "notes": told}


def _plan(plan: Plan) -> dict[str, Any]:
    """A plan as people read it: what would be written, and what could not be taken as said. Lists are cut at 500."""
    return {
        "source": plan.source,
        "changes": plan.changes_something,
        "counts": plan.counts(),
        "created": [{"kind": new.kind, "name": new.name, "keys": new.keys} for new in plan.created[:500]],
        "changed": [
            {
                "id": each.id,
                "name": each.name,
                "returned": each.returned,
                "rename": each.rename,
                "owner": each.owner,
                "changes": {name: list(pair) for name, pair in each.effective.items()},
            }
            for each in plan.changed[:500]
        ],
        "gone": plan.gone[:500],
        "lines": lines_of(plan),
        "deferred": plan.deferred[:500],
        "conflicts": [_note(note.as_dict()) for note in plan.conflicts[:500]],
        "warnings": [_note(note.as_dict()) for note in plan.warnings[:500]],
    }


@router.get("/source-kinds", response=list[dict[str, Any]])
def list_source_kinds(request: HttpRequest) -> list[dict[str, Any]]:
    """List the sorts of sources there are, each with the JSON Schema of its settings."""
    check(actor_of(request), sources.MANAGE)
    return [
        {
            "kind": each.kind,
            "title": str(each.title),
            "settings_schema": each.settings_schema,
            "precedence": each.precedence,
            "interval_seconds": each.interval_seconds,
        }
        for _kind, each in sorted(sources.source_kinds().items())
    ]


@router.get("/sources", response=Page)
def list_sources(request: HttpRequest) -> dict[str, Any]:
    """List the configured sources with their last result or error and its remedy."""
    check(actor_of(request), VIEW)
    rows = list(SourceConfig.objects.order_by("name"))
    return {"items": [_source(row) for row in rows], "count": len(rows)}


@router.post("/sources", response={201: dict[str, Any]})
def create_source(request: HttpRequest, body: NewSourceIn) -> Status[dict[str, Any]]:
    """Create or change a source by name; its first sync follows at once."""
    actor = actor_of(request)
    check(actor, sources.MANAGE)
    wanted = sources.Wanted(**body.model_dump(exclude={"name"}))
    source_nodes.checked(wanted.kind or "", wanted.settings)
    return Status(201, _source(sources.configure_source(actor=actor, name=body.name, wanted=wanted)))


@router.get("/sources/{name}", response=dict[str, Any])
def get_source(request: HttpRequest, name: str) -> dict[str, Any]:
    """Return one source."""
    check(actor_of(request), VIEW)
    return _source(sources.get_source(name))


@router.put("/sources/{name}", response=dict[str, Any])
def put_source(request: HttpRequest, name: str, body: SourceIn) -> dict[str, Any]:
    """Create or change a source; what is left out keeps its value."""
    actor = actor_of(request)
    check(actor, sources.MANAGE)
    wanted = sources.Wanted(**body.model_dump())
    known = SourceConfig.objects.filter(name=name).first()
    if known is None or wanted.settings is not None:  # what there is goes on as it was said
        source_nodes.checked(wanted.kind or (known.kind if known is not None else ""), wanted.settings)
    return _source(sources.configure_source(actor=actor, name=name, wanted=wanted))


@router.delete("/sources/{name}", response={204: None})
def delete_source(request: HttpRequest, name: str) -> Status[None]:
    """Delete a source: its endpoints go, its relations close, what it alone saw becomes a tombstone."""
    actor = actor_of(request)
    check(actor, sources.MANAGE)
    sources.delete_source(actor=actor, source=sources.get_source(name))
    return Status(204, None)


@router.post("/sources/{name}/sync", response=dict[str, Any])
def sync_source(request: HttpRequest, name: str) -> dict[str, Any]:
    """Look and apply now; answers with what was done. 409 for a source that another node looks for."""
    actor = actor_of(request)
    check(actor, sources.MANAGE)
    row = sources.get_source(name)
    source_nodes.must_be_here(row)
    return _plan(sources.run_source(actor=actor, source=row))


RUNS = 100


@router.get("/sources/{name}/runs", response=Page)
def list_source_runs(request: HttpRequest, name: str) -> dict[str, Any]:
    """List the newest 100 runs of a source with what each changed; looks in a row without news are one."""
    actor = actor_of(request)
    rows = runs_of(actor=actor, source=sources.get_source(name))
    facts = ("at", "last_at", "looks", "by", "failed", "error", "remedy", "counts", "plan")
    items = [
        {"id": row.pk, **{name: getattr(row, name) for name in facts}, "notes": [_note(each) for each in row.notes]}
        for row in rows[:RUNS]
    ]
    return {"items": items, "count": len(items)}


@router.post(
    "/sources/{name}/documents",
    response=dict[str, Any],
    openapi_extra={
        "requestBody": {
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
            "required": True,
        }
    },
)
def hand_document(request: HttpRequest, name: str, file: str = "document.json", dry_run: bool = True) -> dict[str, Any]:
    """Hand a file to a source that reads files; the body is the file, `file` its name (its ending counts).

    A dry run (the default) answers with what it would do; with dry_run=false it is done. The file itself is not kept.
    """
    actor = actor_of(request)
    check(actor, sources.MANAGE)
    document = Document(file.replace("\\", "/").rpartition("/")[2][:200], request.body)
    act = sources.dry_run if dry_run else sources.run_source
    return _plan(act(actor=actor, source=sources.get_source(name), document=document))


@router.post("/sources/{name}/plan", response=dict[str, Any])
def plan_source(request: HttpRequest, name: str) -> dict[str, Any]:
    """Dry run: look now and answer with what a sync would do, without doing it."""
    actor = actor_of(request)
    check(actor, sources.MANAGE)
    row = sources.get_source(name)
    source_nodes.must_be_here(row)
    return _plan(sources.dry_run(actor=actor, source=row))
