"""How much room data takes, how long it lasts, and what retention would delete."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Query, Router

from tongchou.api.core import actor_of
from tongchou.core import retention, settings_store, storage
from tongchou.core.access import check

router = Router(tags=["storage"])


@router.get("/storage", response=dict[str, Any])
def get_storage(request: HttpRequest) -> dict[str, Any]:
    """Bytes by class, growth a day, days to the budget and to a full disk (each with an interval), retention."""
    check(actor_of(request), "storage.view")
    found = storage.figures()
    told = asdict(found)
    told["why_not"] = str(found.why_not)
    for line in told["lines"]:
        line["title"] = str(line["title"])
    told["retention"] = [
        {
            "name": each.name,
            "title": str(each.title),
            "days": settings_store.get(each.days_key, each.default_days),
            "days_setting": each.days_key,
            "size_setting": each.size_key if each.shrink is not None else None,
        }
        for each in retention.classes()
    ]
    return told


@router.get("/storage/retention/{name}", response=dict[str, Any])
def preview_retention(
    request: HttpRequest, name: str, days: Annotated[int | None, Query(ge=0, le=retention.MAX_DAYS)] = None
) -> dict[str, Any]:
    """What would be deleted of a class now, or with other `days`; nothing is. Bytes are estimated."""
    actor = actor_of(request)
    check(actor, "storage.view")
    before, found = retention.preview(retention.find(name), actor=actor, days=days)
    return {"name": name, "before": before, **asdict(found)}
