"""Which version is where: a row a service, a column an environment, what comes next for each cell."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from tongchou.changes.models import Deployment
from tongchou.changes.models_release import Environment, Rollout
from tongchou.changes.release import reads, record
from tongchou.core.access import Actor, allows
from tongchou.inventory.models import Resource

SHOWN = 40  # services above the list of releases; all are on a page of their own
MOST = 200
TEXTS = (
    "procedure__text", "procedure__matches", "procedure__custom", "rollback_procedure__text",
    "rollback_procedure__matches", "rollback_procedure__custom",
)  # fmt: skip
_OURS = re.compile(r"REL-([0-9]{1,9}):")


@dataclass(frozen=True)
class Cell:
    """A service in an environment. `row` None: never deployed there. `next_url`: the form that takes it on."""

    environment: Environment
    known: bool
    row: Deployment | None = None
    behind: bool = False
    by: str = ""
    by_url: str = ""
    next_name: str = ""
    next_url: str = ""
    newest_url: str = ""


@dataclass
class Row:
    """A service with its cells in the order of environments."""

    service: Resource
    newest: str
    cells: list[Cell] = field(default_factory=list)


def where(actor: Actor, environments: list[Environment], *, search: str = "", most: int = SHOWN) -> dict[str, Any]:
    """Return the grid of what an actor may see: environments, rows, how many services are not shown. Four queries."""
    ways = reads.rollouts(actor).filter(environment__retired_at__isnull=True)
    if search:
        ways = ways.filter(service__name__icontains=search[:200])
    services = list(dict.fromkeys(ways.values_list("service_id", flat=True)))
    lines = reads.grid(ways.filter(service__in=services[:most]).defer(*TEXTS)) if services else []
    return {
        "environments": environments,
        "rows": [_row(actor, line, environments) for line in lines],
        "services": len(services),
        "more": max(0, len(services) - most),
    }


def of_rollouts(actor: Actor, rows: list[Rollout]) -> list[Row]:
    """Return the rows of these rollouts alone, with the environments they name. Two queries."""
    environments = list({each.environment_id: each.environment for each in rows}.values())
    return [_row(actor, line, environments) for line in reads.grid(rows)]


def _row(actor: Actor, line: reads.Line, environments: list[Environment]) -> Row:
    may_edit = allows(actor, reads.EDIT, team=line.service.owner_id)
    newest = line.newest.version if line.newest else ""
    row = Row(line.service, newest)
    passed = [each for each in environments if each.pk in line.where]
    for each in environments:
        if each.pk not in line.where:
            row.cells.append(Cell(each, known=False))
            continue
        at = line.where[each.pk]
        after = passed[passed.index(each) + 1 :]
        there = line.where[after[0].pk] if after else None
        goes_on = may_edit and at is not None and bool(after) and (there is None or there.version != at.version)
        first = each == passed[0]
        returned = at is not None and at.rollback and at.previous_version == newest
        behind = bool(newest) and at is not None and at.version != newest
        name, url = made_by(at) if at else ("", "")
        row.cells.append(
            Cell(
                environment=each,
                known=True,
                row=at,
                behind=behind,
                by=name,
                by_url=url,
                next_name=after[0].name if goes_on else "",
                next_url=form_url(after[0], line.service, at.version) if goes_on and at else "",
                newest_url=form_url(each, line.service, newest)
                if may_edit and first and newest and (at is None or behind) and not returned
                else "",
            )
        )
    return row


def made_by(row: Deployment) -> tuple[str, str]:
    """Return who or what deployed it, and where to read of it: the release of ours, else the deployment."""
    found = _OURS.match(row.delivery_id) if row.source == record.SOURCE else None
    if found:
        return f"REL-{found[1]}", reverse("web:release", args=[int(found[1])])
    return row.actor_name or row.source, reverse("web:deployment", args=[row.pk])


def form_url(environment: Environment, service: Resource, version: str) -> str:
    """Return the address of the form of a new release, filled."""
    query = {"environment": environment.name, "service": str(service.pk), "version": version}
    return f"{reverse('web:release-new')}?{urlencode(query)}"
