"""The evaluator: one process evaluates every rule group at its times, a slow group does not delay the others."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import cast
from uuid import UUID

from django.conf import settings
from django.db import OperationalError, close_old_connections, connection

from tongchou.alerting import apply, evaluate
from tongchou.alerting.evaluate import RuleView
from tongchou.alerting.expand import Surroundings
from tongchou.alerting.models import Alert, Rule, RuleFile, RuleGroup
from tongchou.alerting.run_time_settings import INTERVAL
from tongchou.alerting.schedule import missed, offset_seconds, slot, slot_time
from tongchou.alerting.state import PENDING, QUIET, AlertState, RuleFailed, restore
from tongchou.core import settings_store
from tongchou.core.jobs import duty
from tongchou.core.problems import Problem
from tongchou.telemetry.actions import append
from tongchou.telemetry.promql.evaluate import Shared
from tongchou.telemetry.promql.screen import Screen
from tongchou.telemetry.reads import Sample, instant_vector
from tongchou.telemetry.reads import quiet as screened
from tongchou.telemetry.series import STALE_NAN, Labels, SeriesBlock

log = logging.getLogger(__name__)

THREADS = 4
TICK_SECONDS = 0.2
RELOAD_SECONDS = 1.0
# Health figures and values of alerts that stay as they are need not be written at every evaluation.
REFRESH_SECONDS = 10.0
# After a pause longer than the lookback, what fires is kept until scrapes have had time to come back.
LOOKBACK_SECONDS = 240.0
SETTLE_SECONDS = 60.0

_Unwritten = dict[UUID, dict[Labels, float]]  # rule id -> samples


@dataclass(frozen=True, slots=True)
class GroupView:
    """A rule group as the evaluator keeps it between reloads."""

    id: UUID
    name: str
    interval_seconds: float
    query_offset_seconds: float
    last_evaluated_at: float | None
    rules: tuple[tuple[UUID, RuleView], ...]


@dataclass(slots=True)
class GroupMemory:
    """What the evaluator remembers of a group while it runs; all of it may be lost.

    ``missed`` counts evaluation times without an evaluation since the figures were last written.
    """

    slot: int | None = None
    missed: int = 0
    first: bool = True
    hold_until: float = 0.0
    written_at: float = 0.0
    errors: tuple[str, ...] = ()
    series: dict[UUID, set[Labels]] = field(default_factory=dict)
    running: Future[None] | None = None
    runs: Runs | None = None


@dataclass(frozen=True, slots=True)
class Runs:
    """The screens of runs of rules none of which reads what another of the same run records, by the first rule."""

    rules: tuple[tuple[UUID, RuleView], ...]
    screens: Mapping[int, Screen]

    @classmethod
    def of(cls, rules: tuple[tuple[UUID, RuleView], ...]) -> Runs:
        """The runs of a group's rules."""
        views = [view for _id, view in rules]
        starts = evaluate.run_starts(views)
        ends = [*starts[1:], len(views)]
        return cls(
            rules,
            {start: Screen([view.expr for view in views[start:end]]) for start, end in zip(starts, ends, strict=True)},
        )


def load_groups() -> list[GroupView]:
    """Every group with its rules. Three queries."""
    default = float(settings_store.get(INTERVAL))
    rules: dict[UUID, list[tuple[UUID, RuleView]]] = {}
    found = (
        Rule.objects.filter(retired_at__isnull=True, group__isnull=False).select_related("group").order_by("position")
    )
    for rule in found:
        group = cast("RuleGroup", rule.group)  # filtered
        view = evaluate.view_of(rule, group.limit)
        rules.setdefault(group.pk, []).append((rule.pk, view))
    return [
        GroupView(
            id=group.pk,
            name=f"{group.file.name};{group.name}",
            interval_seconds=group.interval_seconds or default,
            query_offset_seconds=group.query_offset_seconds,
            last_evaluated_at=group.evaluated_at.timestamp() if group.evaluated_at else None,
            rules=tuple(rules.get(group.pk, [])),
        )
        for group in RuleGroup.objects.select_related("file").order_by("file__name", "position")
    ]


def evaluate_group(group: GroupView, memory: GroupMemory, at: float) -> None:
    """Evaluate the rules of a group in order at ``at`` (Unix seconds), write states, samples and figures."""
    started = time.monotonic()
    rows = apply.load_active(group.id)
    results, unwritten = _evaluate_rules(group, memory, rows, at)
    refresh = time.monotonic() - memory.written_at >= REFRESH_SECONDS
    if not apply.apply_results(group_id=group.id, at=apply.time_of(at), results=results, rows=rows, refresh=refresh):
        return
    memory.first = False
    error = ""
    try:
        _append(memory, unwritten, at - group.query_offset_seconds)
    except Problem as problem:
        error = str(problem.detail)
    _write_health(group, memory, at, results, error, time.monotonic() - started)


def _evaluate_rules(
    group: GroupView, memory: GroupMemory, rows: Mapping[UUID, Mapping[str, Alert]], at: float
) -> tuple[list[apply.RuleResult], _Unwritten]:
    """What came of every rule, and the samples that are not written yet; ``rows`` are the active alerts by rule."""
    query_at = apply.time_of(at - group.query_offset_seconds)
    shared = Shared()

    def query(expr: str) -> Sequence[Sample]:
        return instant_vector(expr, query_at, shared=shared)

    around = Surroundings(evaluate.template_query(query), settings.PUBLIC_URL, at, {})
    hold = _hold(group, memory, at)
    if memory.runs is None or memory.runs.rules is not group.rules:
        memory.runs = Runs.of(group.rules)
    results: list[apply.RuleResult] = []
    unwritten: _Unwritten = {}
    quiet: Mapping[str, float] = {}
    for number, (rule_id, view) in enumerate(group.rules):
        began = time.monotonic()
        step, error = None, ""
        try:
            if number in memory.runs.screens:
                quiet = {}
                _append(memory, unwritten, at - group.query_offset_seconds)
                unwritten = {}
                shared.clear()
                quiet = screened(memory.runs.screens[number], query_at, shared=shared)
                began = time.monotonic()
            samples = [] if view.expr in quiet else query(view.expr)
            if view.kind != "alert":
                written = evaluate.record(view, samples)
            elif samples or rule_id in rows:
                active = _active(group, memory, view, rows.get(rule_id, {}), at)
                step = evaluate.alerts(view, samples, active, around, now=at, hold_resolution=hold)
                written = evaluate.state_series(view, step)
            else:
                step, written = QUIET, {}
            if written or memory.series.get(rule_id):
                unwritten[rule_id] = written
        except Problem as problem:
            error = str(problem.detail)
        except RuleFailed as failed:
            error = str(failed)
        # What was evaluated together took the same time, to the bit: then it is written at once, too.
        seconds = quiet[view.expr] if view.expr in quiet else time.monotonic() - began
        results.append(apply.RuleResult(rule_id, step, error, seconds))
    return results, unwritten


def _hold(group: GroupView, memory: GroupMemory, at: float) -> bool:
    if memory.first and group.last_evaluated_at is not None and at - group.last_evaluated_at > LOOKBACK_SECONDS:
        memory.hold_until = at + SETTLE_SECONDS
    return at < memory.hold_until


def _active(
    group: GroupView, memory: GroupMemory, view: RuleView, rows: Mapping[str, Alert], at: float
) -> dict[str, AlertState]:
    """The alerts active before this evaluation; at the first one after a start, pending ones resume where they were."""
    active = {key: apply.as_state(row) for key, row in rows.items()}
    if not memory.first or group.last_evaluated_at is None:
        return active
    last = group.last_evaluated_at
    pause = at - last
    for key, alert in list(active.items()):
        if alert.state == PENDING and pause > 2 * group.interval_seconds:
            resumed = restore(
                alert, last_evaluated_at=last + group.interval_seconds, now=at, for_seconds=view.for_seconds
            )
            active[key] = resumed or AlertState(
                key, alert.labels, alert.annotations, PENDING, active_at=at, value=alert.value
            )
    return active


def _append(memory: GroupMemory, series: Mapping[UUID, Mapping[Labels, float]], at: float) -> None:
    """Write samples, and staleness markers for what a rule gave before and gives no more. Raises Problem."""
    at_ms = round(at * 1000)
    out: dict[Labels, float] = {}
    for rule_id, values in series.items():
        for gone in memory.series.get(rule_id, set()) - values.keys():
            out[gone] = STALE_NAN
    for values in series.values():
        out.update(values)
    if out:
        block = SeriesBlock.build((labels, [at_ms], [value]) for labels, value in sorted(out.items()))
        append(block, actor=apply.ACTOR)
    for rule_id, values in series.items():
        memory.series[rule_id] = set(values)


def _write_health(
    group: GroupView,
    memory: GroupMemory,
    at: float,
    results: Sequence[apply.RuleResult],
    error: str,
    duration_seconds: float,
) -> None:
    first_error = next((result.error for result in results if result.error), "")
    errors = (error, *(result.error for result in results))
    if errors == memory.errors and time.monotonic() - memory.written_at < REFRESH_SECONDS:
        return
    apply.write_health(
        group_id=group.id,
        at=apply.time_of(at),
        duration_seconds=duration_seconds,
        missed=memory.missed,
        error=error or first_error,
        results=results,
    )
    memory.errors, memory.written_at, memory.missed = errors, time.monotonic(), 0


class Evaluator:
    """The loop: what is due goes to a thread; a group that still runs is not started again, its missed times count."""

    def __init__(self) -> None:
        self._memory: dict[UUID, GroupMemory] = {}
        self._groups: list[GroupView] = []
        self._stamp: object = None
        self._loaded_at = 0.0

    def tick(self, pool: ThreadPoolExecutor, now: float) -> None:
        """Start every group that is due at ``now``."""
        if time.monotonic() - self._loaded_at >= RELOAD_SECONDS:
            self._reload()
        for group in self._groups:
            memory = self._memory.setdefault(group.id, GroupMemory())
            if not group.rules or not _idle(group, memory):
                continue
            offset = offset_seconds(group.name, group.interval_seconds)
            current = slot(now, group.interval_seconds, offset)
            if memory.slot is None:
                memory.slot = current - 1 if group.last_evaluated_at is None else current
                continue
            if current < memory.slot - 1:
                memory.slot = current  # the clock was set back: go on from there
                continue
            if current <= memory.slot:
                continue
            memory.missed += missed(memory.slot, current)
            memory.slot = current
            at = slot_time(current, group.interval_seconds, offset)
            memory.running = pool.submit(_run, group, memory, at)

    def _reload(self) -> None:
        self._loaded_at = time.monotonic()
        stamp = (settings_store.get(INTERVAL), list(RuleFile.objects.order_by("pk").values_list("pk", "digest")))
        if stamp == self._stamp:
            return
        self._groups, self._stamp = load_groups(), stamp
        known = {group.id for group in self._groups}
        for gone in set(self._memory) - known:
            memory = self._memory.pop(gone)
            _end_series(memory.series.values())


def _idle(group: GroupView, memory: GroupMemory) -> bool:
    """Whether the group may be started; a fault of ours in its last run is logged, and it is tried again."""
    if memory.running is None:
        return True
    if not memory.running.done():
        return False
    fault = memory.running.exception()
    if fault is not None:
        log.error("alerting: group %s failed", group.name, exc_info=fault)
    memory.running = None
    return True


def _end_series(series: Iterable[set[Labels]]) -> None:
    """Mark what a removed group wrote as ended."""
    at = time.time()
    memory = GroupMemory(series={})
    key = UUID(int=0)
    memory.series[key] = {labels for each in series for labels in each}
    try:
        _append(memory, {key: {}}, at)
    except Problem as problem:
        log.warning("alerting: series of a removed group could not be ended: %s", problem.detail)


def _run(group: GroupView, memory: GroupMemory, at: float) -> None:
    close_old_connections()
    try:
        evaluate_group(group, memory, at)
    except OperationalError as error:
        log.error("alerting: group %s could not be written, its state stays: %s", group.name, error)
    finally:
        close_old_connections()


@duty("alerting.evaluate")
def run(stop: threading.Event) -> None:
    """Evaluate rule groups until ``stop`` is set."""
    evaluator = Evaluator()
    with ThreadPoolExecutor(THREADS, thread_name_prefix="rules") as pool:
        try:
            while not stop.is_set():
                evaluator.tick(pool, time.time())
                stop.wait(TICK_SECONDS)
        finally:
            # All threads meet, so that each closes its own connection once.
            meeting = threading.Barrier(THREADS)
            for _thread in range(THREADS):
                pool.submit(_leave, meeting)


def _leave(meeting: threading.Barrier) -> None:
    connection.close()
    meeting.wait(30.0)
