"""Takes the reports of agents. One row a machine: the newest report replaces the one before, in one commit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core import jobs, ledger
from tongchou.core.access import Actor, check, system
from tongchou.core.problems import Invalid, TooLarge, TooMany
from tongchou.core.refs import ref
from tongchou.inventory import claims, identity, sources
from tongchou.inventory.claims import Claim
from tongchou.inventory.models import SourceConfig
from tongchou.inventory.models_agents import AgentReport
from tongchou.inventory.reads import VIEW
from tongchou.wire.host.reading import CONNECTIONS, PARTS, VERSION

REPORT = "agent.report"
KIND, SOURCE = "agent", "agents"  # of the source that is made with the first report
MOST_BYTES = 2_000_000  # of a report, as JSON
MOST_MACHINES = 2_000
WAKE_SECONDS = 5.0  # many machines that start at once are one look
# a report of a former run of the agent that is older than what is there is late on its way, for no longer than this;
# after that, the machine's clock was put back
LATE_SECONDS = 120.0
ALIVE_INTERVALS = 3  # silent for longer than so many intervals, a machine may have come back with other interfaces
_SHARED_MAC = "00:00:5e:"  # of VRRP: whoever is master has it


@dataclass(frozen=True, slots=True)
class Report:
    """What an agent sends, its form checked. `at` is by the clock of its machine."""

    run: str
    number: int
    at: datetime
    agent_version: str
    interval_seconds: float
    reading: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of a report. One that was not stored is known already, or older than what is known: no fault."""

    row: AgentReport
    stored: bool


def take(*, actor: Actor, report: Report) -> Taken:
    """Store a report if it is the newest of its machine; committed when this returns.

    Raises AccessDenied, Invalid for a version of the reading that is not known, TooLarge, TooMany machines. The first
    report of a machine is the event agent.appeared; a new machine, or other facts than before, wake the look.
    """
    check(actor, REPORT)
    reading = report.reading
    if reading["version"] != VERSION:
        raise Invalid(
            "agent.version",
            _("This platform reads version %(known)s of what an agent reads of its machine.") % {"known": VERSION},
            field="reading.version",
            value=reading["version"],
            remedy=_("Use an agent of the same release as the platform, or an older one."),
        )
    size = len(json.dumps(reading))
    if size > MOST_BYTES:
        raise TooLarge(
            "agent.too_large",
            _("A report is at most %(most)s bytes.") % {"most": f"{MOST_BYTES:,}"},
            field="reading",
            value=f"{size:,}",
            remedy=_("See which list is that long; an agent of ours sends no such report."),
        )
    try:
        with transaction.atomic():
            return _take(actor, report)
    except IntegrityError:  # two first reports of one machine at once: now there is a row
        with transaction.atomic():
            return _take(actor, report)


def _take(actor: Actor, report: Report) -> Taken:
    now, about = timezone.now(), report.reading["machine"]
    machine, macs = machine_key(about), macs_of(report.reading.get("interfaces", ()))
    rows = list(AgentReport.objects.select_for_update().filter(machine=machine).order_by("twin"))
    row = _row_of(rows, about["hostname"], macs, now)
    if row is not None and _known(row, report, now):
        return Taken(row, stored=False)
    new = row is None
    if row is None:
        row = _new(machine, rows)
    changed = _put(row, report, macs, now)
    row.sender_id, row.sender_name = actor.user_id, actor.name
    row.save(force_insert=new)
    if new:
        _appeared(row)
    if changed:
        _wake(now)
    return Taken(row, stored=True)


def machine_key(about: Mapping[str, Any]) -> str:
    """Return what the reports of one machine are found by: its machine id, else its name."""
    return identity.machine_id_key(about.get("machine_id")) or identity.key("hostname", about["hostname"])


def macs_of(interfaces: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return the MAC addresses that tell a machine from its clones, sorted."""
    found = {identity.mac(each.get("mac")) for each in interfaces}
    return sorted(each for each in found if each and not each.startswith(_SHARED_MAC))


def claim_of(row: AgentReport, keys: tuple[str, ...] = ()) -> Claim:
    """Return what the machine of a report says it is."""
    return Claim(row.name, keys, frozenset(row.macs))


def alive(row: AgentReport, now: datetime) -> bool:
    """Tell whether a machine still reports, as often as it said it would."""
    return now - row.received_at <= timedelta(seconds=ALIVE_INTERVALS * row.interval_seconds)


def _row_of(rows: Sequence[AgentReport], name: str, macs: list[str], now: datetime) -> AgentReport | None:
    """The row of this machine among those that share its key: the same interface, or its name when that fell silent."""
    mine = Claim(name, (), frozenset(macs))
    found = next((row for row in rows if claims.same(claim_of(row), mine)), None)
    return found or next((row for row in rows if row.name == name and not alive(row, now)), None)


def _known(row: AgentReport, report: Report, now: datetime) -> bool:
    """Whether a report is no news: of one run numbers count, of two runs the clock."""
    if row.run == report.run:
        return report.number <= row.number
    return report.at < row.reported_at and (now - row.received_at).total_seconds() < LATE_SECONDS


def _new(machine: str, rows: Sequence[AgentReport]) -> AgentReport:
    if AgentReport.objects.count() >= MOST_MACHINES:
        raise TooMany(
            "agent.too_many",
            _("Agents of %(most)s machines report here already.") % {"most": f"{MOST_MACHINES:,}"},
            field="reading.machine",
            remedy=_("Forget silent ones sooner: the setting retention.agent_reports_days."),
        )
    return AgentReport(machine=machine, twin=max((row.twin for row in rows), default=-1) + 1)


def _put(row: AgentReport, report: Report, macs: list[str], now: datetime) -> bool:
    """Write a report into its row; tell whether it says other facts. What it could not read stands as it was."""
    reading = dict(report.reading)
    about = reading.pop("machine")
    refused = [part for part in PARTS if part in reading.get("refused", {}) and part not in reading]
    kept = {part: row.kept.get(part, row.received_at.isoformat()) for part in refused if part in row.body}
    reading |= {part: row.body[part] for part in kept}
    before = (row.name, row.about, _facts(row.body))
    row.name, row.about, row.body, row.kept = about["hostname"], about, reading, kept
    row.macs = row.macs if "interfaces" in kept else macs
    row.run, row.number, row.reported_at, row.received_at = report.run, report.number, report.at, now
    row.agent_version, row.interval_seconds = report.agent_version, report.interval_seconds
    return before != (row.name, row.about, _facts(row.body))


def _facts(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != CONNECTIONS}


def _appeared(row: AgentReport) -> None:
    """Tell of a machine that was not heard before; the first one brings the source that reads what agents told."""
    configured = SourceConfig.objects.filter(kind=KIND).order_by("name").first()
    if (
        configured is None
        and AgentReport.objects.count() == 1
        and not SourceConfig.objects.filter(name=SOURCE).exists()
    ):
        wanted = sources.Wanted(kind=KIND)
        configured = sources.configure_source(actor=system("agents"), name=SOURCE, wanted=wanted)
    if configured is not None:
        payload = {"name": row.name, "version": row.agent_version, "by": row.sender_name}
        ledger.record(actor=system("agents"), verb="agent.appeared", subject=ref(configured), payload=payload)


def _wake(now: datetime) -> None:
    for name in SourceConfig.objects.filter(kind=KIND, enabled=True).values_list("name", flat=True):
        at = now + timedelta(seconds=WAKE_SECONDS)
        jobs.enqueue(sources.SYNC_JOB, {"source": name}, unique_key=f"{sources.SYNC_JOB}:{name}", run_at=at)


def reports(*, actor: Actor) -> QuerySet[AgentReport]:
    """Return the machines whose agents report, by name, without what they told."""
    check(actor, VIEW)
    return AgentReport.objects.defer("body").order_by("name", "id")
