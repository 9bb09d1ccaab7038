"""Batches of a project as the executor does them: what each host is at, what came of it, told once a host and run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from tongchou.changes import playbook
from tongchou.changes.installed import playbooks
from tongchou.changes.models_playbooks import CheckState, HostState, PlaybookCheck, PlaybookHost
from tongchou.changes.playbook_ports import Difference, HostResult
from tongchou.core import ledger
from tongchou.core.access import Actor, system
from tongchou.core.problems import Problem
from tongchou.core.refs import ref
from tongchou.runbooks.models import Run

EXECUTOR: Actor = system("playbook-runs")
FINISHED = (HostState.OK, HostState.CHANGED)
MAX_TOLD = 2_000  # characters of a diff in the ledger


def _check(step: Mapping[str, Any]) -> PlaybookCheck | None:
    return PlaybookCheck.objects.select_related("playbook").filter(pk=UUID(str(step["check"]))).first()


def problems(step: Mapping[str, Any]) -> list[str]:
    """What forbids a batch; none when its check is the one that was shown and the folder is still the same."""
    check = _check(step)
    if check is None or check.state != CheckState.DONE:
        return [_("The check that this was made from is gone; check again.")]
    results = {row.name: _plain(row) for row in check.hosts.all()}
    found = playbook.content_hash(check.setup, results)
    if found != step["content_sha256"] or found != check.content_sha256:
        return [_("What was checked is not what was shown; check again.")]
    strange = [name for name in step["hosts"] if name not in check.setup["hosts"]]
    if strange:
        return [_("The check did not look at %(name)s.") % {"name": strange[0]}]
    try:
        tree = playbooks().tree(check.setup["folder"], check.setup["playbook"])
    except Problem as problem:
        return [str(problem.detail)]
    if tree != check.setup["tree_sha256"]:
        return [_("The playbooks are not the ones that were checked; check again.")]
    return []


def _plain(row: PlaybookHost) -> dict[str, Any]:
    return {"state": row.state, "diff": row.diff}


def setup(step: Mapping[str, Any]) -> dict[str, Any]:
    """All that a batch is run with but secrets: what its check was made with."""
    found = PlaybookCheck.objects.only("setup").get(pk=UUID(str(step["check"]))).setup
    return {**found, "timeout_seconds": step["timeout_seconds"]}


def shown(step: Mapping[str, Any]) -> list[HostResult]:
    """What the check showed of the hosts of a batch."""
    rows = PlaybookHost.objects.filter(of_check_id=UUID(str(step["check"])), name__in=step["hosts"])
    return [HostResult(row.name, row.state, row.counts, row.tasks, _differences(row), row.message) for row in rows]


def _differences(row: PlaybookHost) -> list[Difference]:
    return [Difference("", diff=row.diff)] if row.diff else []


def rows(run_id: UUID, step: Mapping[str, Any]) -> list[PlaybookHost]:
    """The hosts of a batch as they stand."""
    return list(PlaybookHost.objects.filter(run_id=run_id, name__in=step["hosts"]))


def begin(*, run_id: UUID, step: Mapping[str, Any]) -> list[str]:
    """Mark the hosts of a batch as running, but for those an earlier try finished; returns whom it is to do."""
    with transaction.atomic():
        mine = PlaybookHost.objects.select_for_update().filter(run_id=run_id, name__in=step["hosts"])
        todo = mine.exclude(state__in=FINISHED)
        names = list(todo.values_list("name", flat=True))
        todo.update(state=HostState.RUNNING, started_at=timezone.now(), finished_at=None, message="", counts={})
    return names


def note(*, run_id: UUID, results: Iterable[HostResult]) -> None:
    """Keep how far each host is, for whoever watches. No event: it is no transition."""
    for each in results:
        running = PlaybookHost.objects.filter(run_id=run_id, name=each.name, state=HostState.RUNNING)
        running.update(counts=dict(each.counts), message=each.message[:1000])


def finish(
    *, run_id: UUID, step: Mapping[str, Any], todo: Sequence[str], results: Sequence[HostResult], problem: str
) -> None:
    """Write what came of each host. A host without an end was cut off. Event playbook.host_changed about its resource.

    One event a host and run, not one a task; playbook.host_failed for one that failed or was not reached.
    """
    by_name = {each.name: each for each in results}
    run = Run.objects.select_related("procedure").get(pk=run_id)
    with transaction.atomic():
        mine = PlaybookHost.objects.select_for_update().select_related("resource").filter(run_id=run_id)
        for row in mine.filter(name__in=todo):
            result = by_name.get(row.name) or HostResult(row.name, HostState.CUT_OFF, message=problem)
            for name, value in playbook.kept(result).items():
                setattr(row, name, value)
            if result.state == HostState.RUNNING:
                row.state, row.message = HostState.CUT_OFF, problem[:1000]
            row.finished_at = timezone.now()
            row.save()
            _tell(run, row, step)


def _tell(run: Run, row: PlaybookHost, step: Mapping[str, Any]) -> None:
    verb = "playbook.host_changed" if row.state == HostState.CHANGED else "playbook.host_failed"
    if row.resource is None or row.state == HostState.OK:
        return
    check = _check(step)
    project = check.playbook if check is not None else None
    ledger.record(
        actor=EXECUTOR,
        verb=verb,
        subject=ref(row.resource),
        about=[ref(run), *([ref(project)] if project is not None else [])],
        payload={
            "name": row.resource.name,
            "project": str(project or ""),
            "changed": row.counts.get("changed", 0),
            "state": row.state,
            "why": row.message,
            "diff": row.diff[:MAX_TOLD],
        },
        dedupe_key=f"{verb}:{run.pk}:{row.pk}:{row.started_at:%s}"
        if verb == "playbook.host_failed"
        else f"{verb}:{row.pk}",
        correlation_id=ref(run)[:80],
    )


def mark_cut_off(*, run_id: UUID) -> int:
    """Mark hosts that were running when the process died: nobody knows how far they came. Returns how many."""
    running = PlaybookHost.objects.filter(run_id=run_id, state=HostState.RUNNING)
    return running.update(state=HostState.CUT_OFF, finished_at=timezone.now())
