"""DORA's five metrics of one service over some days, from deployments and what incidents say of them. Pure.

Source: https://dora.dev/guides/dora-metrics/ (five metrics, 2026-01). What is not known is None with a reason, never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Any, Literal
from uuid import UUID

Reason = Literal["", "no_deployment", "no_new_commit", "no_commit_time", "no_failed", "not_recovered"]


@dataclass(frozen=True, slots=True)
class Blame:
    """An incident that names a deployment as its cause. `recovered_at`: its impact ended; None while it goes on."""

    number: int
    started_at: datetime
    recovered_at: datetime | None


@dataclass(frozen=True, slots=True)
class Deployed:
    """A deployment to production. `at` is its end; `commits` are (hash, time or None) that it brought as news.

    `succeeded` is false for one that did not succeed but is named by an incident: it counts all the same.
    """

    id: UUID
    title: str
    started_at: datetime
    at: datetime
    succeeded: bool = True
    commits: tuple[tuple[str, datetime | None], ...] = ()
    unplanned: bool = False
    incident_number: int | None = None
    blames: tuple[Blame, ...] = ()


@dataclass(frozen=True, slots=True)
class Row:
    """What one deployment gives to the five: the list behind each number is made of these."""

    deployed: Deployed
    lead_seconds: tuple[float, ...]
    commits_untimed: int
    failed: bool
    recovery_seconds: float | None
    rework: bool


@dataclass(frozen=True, slots=True)
class Number:
    """A metric: its value or None, why there is none, and of how many things it is made (`known` of `of`)."""

    value: float | None
    reason: Reason = ""
    known: int = 0
    of: int = 0


@dataclass(frozen=True, slots=True)
class Five:
    """The five of one service. Times in seconds, frequency in deployments a day, rates as shares of 1."""

    days: int
    lead_time: Number
    frequency: Number
    recovery_time: Number
    fail_rate: Number
    rework_rate: Number
    rows: tuple[Row, ...] = field(default=(), repr=False)
    unplanned_unexplained: int = 0  # said to be unplanned, but not because of which incident: no rework by definition


def row_of(deployed: Deployed) -> Row:
    """Return what a deployment gives. A commit later than its deployment has a wrong clock: its time is not known.

    Recovery runs from when the failed deployment was in production (its end; the incident's beginning if it hurt
    earlier, but not before the deployment began) to the end of the last incident it caused; None while one goes on.
    """
    leads = [
        (deployed.at - at).total_seconds() for _sha, at in deployed.commits if at is not None and at <= deployed.at
    ]
    recovery: float | None = None
    if deployed.blames and all(each.recovered_at is not None for each in deployed.blames):
        hurt = max(deployed.started_at, min(each.started_at for each in deployed.blames))
        ends = [each.recovered_at for each in deployed.blames if each.recovered_at is not None]
        recovery = max(0.0, (max(ends) - min(deployed.at, hurt)).total_seconds())
    return Row(
        deployed=deployed,
        lead_seconds=tuple(leads),
        commits_untimed=len(deployed.commits) - len(leads),
        failed=bool(deployed.blames),
        recovery_seconds=recovery,
        rework=deployed.unplanned and deployed.incident_number is not None,
    )


def five(deployments: Iterable[Deployed], days: int) -> Five:
    """Return the five of one service's deployments of the last `days` days, which the caller chose."""
    rows = tuple(row_of(each) for each in sorted(deployments, key=lambda each: (each.at, str(each.id)), reverse=True))
    count = len(rows)
    return Five(
        days=days,
        lead_time=_lead_time(rows),
        frequency=Number(count / days, known=count, of=count),
        recovery_time=_recovery(rows),
        fail_rate=_share(sum(row.failed for row in rows), count),
        rework_rate=_share(sum(row.rework for row in rows), count),
        rows=rows,
        unplanned_unexplained=sum(row.deployed.unplanned and not row.rework for row in rows),
    )


def _lead_time(rows: Sequence[Row]) -> Number:
    """The median over all commits that came to production; a commit counts where it came first."""
    leads = [lead for row in rows for lead in row.lead_seconds]
    of = len(leads) + sum(row.commits_untimed for row in rows)
    if leads:
        return Number(median(leads), known=len(leads), of=of)
    if not rows:
        return Number(None, "no_deployment")
    return Number(None, "no_commit_time" if of else "no_new_commit", 0, of)


def _recovery(rows: Sequence[Row]) -> Number:
    failed = [row for row in rows if row.failed]
    known = [row.recovery_seconds for row in failed if row.recovery_seconds is not None]
    if known:
        return Number(median(known), known=len(known), of=len(failed))
    return Number(None, "not_recovered" if failed else ("no_failed" if rows else "no_deployment"), 0, len(failed))


def _share(part: int, whole: int) -> Number:
    return Number(part / whole, known=part, of=whole) if whole else Number(None, "no_deployment")


def news(
    commits: Sequence[Mapping[str, Any]], head: str, head_at: datetime | None, seen: set[str]
) -> list[tuple[str, datetime | None]]:
    """Return the commits of a deployment that `seen` does not hold, and put them there. Times as they were told.

    `commits` = [{sha, at}] as kept on a deployment; without any, the head alone. A deployment whose commit nobody
    told is one commit without a name.
    """
    listed: list[tuple[str, datetime | None]] = [
        (str(each["sha"]), datetime.fromisoformat(each["at"]) if each.get("at") else None) for each in commits
    ]
    if head and head not in {sha for sha, _at in listed}:
        listed.append((head, head_at))
    elif head:
        listed = [(sha, at or (head_at if sha == head else None)) for sha, at in listed]
    if not listed:
        return [("", head_at)]
    fresh = [(sha, at) for sha, at in listed if sha not in seen]
    seen.update(sha for sha, _at in fresh)
    return fresh
