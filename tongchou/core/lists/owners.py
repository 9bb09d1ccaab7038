"""A column for whose something is: a person's (`owner`) or a team's (`owner_team`), as a list shows and narrows it."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet


def owner_name(row: Any) -> str | None:
    """Return a person's name, or "team:" and a team's; None where it is nobody's."""
    return row.owner.username if row.owner else f"team:{row.owner_team.name}" if row.owner_team else None


def owned(rows: QuerySet[Any], operator: str, value: str) -> QuerySet[Any]:
    """Return the rows of whom a filter names, written as `owner_name` does; "me" was put as a name before."""
    if operator == "empty":
        nobody = Q(owner__isnull=True, owner_team__isnull=True)
        return rows.filter(nobody if value not in ("0", "no", "false") else ~nobody)
    names = [each for each in value.split(",") if each]
    teams = [each.removeprefix("team:") for each in names if each.startswith("team:")]
    if operator == "contains":
        either = Q(owner__username__icontains=value) | Q(owner_team__name__icontains=value.removeprefix("team:"))
    else:
        either = Q(owner__username__in=names) | Q(owner_team__name__in=teams)
    return rows.exclude(either) if operator == "not" else rows.filter(either)
