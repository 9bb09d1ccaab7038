"""Whether the relational store answers, fits this release and keeps up: schema, clock, jobs, ledger."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.core.address_checks import without_password
from tongchou.core.checks import Finding, Surroundings, check, fail, ok, skip, warn
from tongchou.core.job_control import figures, schedule
from tongchou.core.models import Job, JobState
from tongchou.core.seal import unsealed_count

LEAST_POSTGRESQL = 140000
MOST_UNSEALED = 5_000
LATE = timedelta(minutes=5)


@check("database.reachable", _("Database"), needs_database=True)
def database(where: Surroundings) -> Finding:
    """The relational store answers, and PostgreSQL is set up as the platform expects."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        place = (
            without_password(settings.DATABASE_URL)
            if settings.DATABASE_URL
            else str(settings.DATA / "tongchou.sqlite3")
        )
        return fail(
            _("%(place)s does not answer: %(error)s")
            % {"place": place, "error": re.sub(r"://[^@\s]+@", "://***@", str(error)).strip()[:300]},
            _("Check that it runs, that this host may reach it, and TONGCHOU_DATABASE_URL."),
        )
    if connection.vendor != "postgresql":
        return ok(_("SQLite.")) if where.in_server else _look_at_sqlite()  # reads the whole file
    return _look_at_postgresql()


def _look_at_sqlite() -> Finding:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA quick_check(1)")
        told = str(cursor.fetchone()[0])
    if told != "ok":
        return fail(
            _("SQLite finds its file damaged: %(error)s") % {"error": told[:300]},
            _("Stop the platform and put back the newest backup."),
        )
    return ok(_("SQLite, its file is sound."))


def _look_at_postgresql() -> Finding:
    wanted = ("server_version_num", "server_encoding", "max_connections", "fsync", "synchronous_commit")
    with connection.cursor() as cursor:
        cursor.execute("SELECT name, setting FROM pg_settings WHERE name = ANY(%s)", [list(wanted)])
        found = dict(cursor.fetchall())
    return judge_postgresql(found, threads=settings.JOB_THREADS)


def judge_postgresql(found: Mapping[str, str], *, threads: int) -> Finding:
    """Judge PostgreSQL's settings. Pure."""
    version = int(found["server_version_num"])
    told = _("PostgreSQL %(major)s.%(minor)s") % {"major": version // 10000, "minor": version % 10000}
    if version < LEAST_POSTGRESQL:
        return fail(told, _("Use PostgreSQL 14 or newer."))
    if found["server_encoding"] != "UTF8":
        return fail(
            _("The database's encoding is %(encoding)s.") % {"encoding": found["server_encoding"]},
            _("Create the database again with ENCODING 'UTF8'."),
        )
    if found["fsync"] != "on" or found["synchronous_commit"] == "off":
        return warn(
            _("fsync or synchronous_commit is off: a power cut loses what was acknowledged."),
            _("Switch both on in postgresql.conf."),
        )
    needed = threads + 16 + 20  # job threads, kept request threads, duties and their keepers
    if int(found["max_connections"]) < needed:
        return warn(
            _("max_connections is %(found)s; one server may use %(needed)s.")
            % {"found": found["max_connections"], "needed": needed},
            _("Raise max_connections in postgresql.conf, or lower TONGCHOU_JOB_THREADS."),
        )
    return ok(told)


@check("database.migrations", _("Schema"), needs_database=True)
def migrations(where: Surroundings) -> Finding:
    """The schema is this release's: neither behind it nor ahead of it."""
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if pending:
        return warn(
            _("%(count)s migrations wait, the first is %(name)s.")
            % {"count": len(pending), "name": f"{pending[0][0].app_label}.{pending[0][0].name}"},
            _("Start the server (it migrates by itself), or run tongchou migrate."),
        )
    known = set(executor.loader.graph.nodes)
    ahead = sorted(set(executor.loader.applied_migrations) - known)
    labels = {label for label, _name in known}
    newer = [f"{label}.{name}" for label, name in ahead if label in labels]
    if newer:
        return warn(
            _("The database was changed by a newer release (%(names)s).") % {"names": ", ".join(newer[:3])},
            _("Run the newer release, unless you went back on purpose: one release back works."),
        )
    return ok(_("Up to date."))


@check("database.clock", _("Clock beside the database's"), needs_database=True)
def database_clock(where: Surroundings) -> Finding:
    """Leases and schedules compare this clock with rows other nodes wrote."""
    if connection.vendor != "postgresql":
        return skip(_("SQLite has no clock of its own."))
    before = timezone.now()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        told = cursor.fetchone()[0]
    middle = before + (timezone.now() - before) / 2
    return judge_offset((told - middle).total_seconds())


def judge_offset(seconds: float) -> Finding:
    """Judge how far two clocks are apart. Pure."""
    told = _("%(seconds)s s apart.") % {"seconds": f"{seconds:+.3f}"}
    remedy = _("Let both hosts keep their clocks by NTP (chrony, systemd-timesyncd).")
    if abs(seconds) > 5:
        return fail(told, remedy)
    return warn(told, remedy) if abs(seconds) > 1 else ok(told)


@check("jobs", _("Jobs and duties"), needs_database=True)
def jobs(where: Surroundings) -> Finding:
    """Nothing failed for good, nothing waits for long, and somebody holds every duty."""
    counts = figures()
    if counts[JobState.DEAD]:
        return warn(
            _("%(count)s jobs failed for good.") % {"count": counts[JobState.DEAD]},
            _("Open Jobs: each says what failed and what helps."),
        )
    if not (where.in_server or where.running):
        return skip(_("The server is stopped; %(count)s jobs wait.") % {"count": counts[JobState.QUEUED]})
    late = Job.objects.filter(state=JobState.QUEUED, run_at__lt=timezone.now() - LATE).count()
    if late:
        return warn(
            _("%(count)s jobs are overdue by more than 5 minutes.") % {"count": late},
            _("Open Jobs to see of which kind; raise TONGCHOU_JOB_THREADS if all are merely slow."),
        )
    unheld = [turn.name for turn in schedule() if turn.kind == "duty" and not turn.held]
    if unheld:
        return warn(
            _("Nobody holds the duties: %(names)s.") % {"names": ", ".join(unheld)},
            _("If it stays so for a minute, see the log for why they end."),
        )
    return ok(_("%(count)s jobs wait.") % {"count": counts[JobState.QUEUED]})


@check("ledger", _("Ledger"), needs_database=True)
def ledger(where: Surroundings) -> Finding:
    """Sealing keeps up."""
    waiting = unsealed_count()
    if waiting > MOST_UNSEALED:
        return warn(
            _("%(count)s events are not sealed yet.") % {"count": waiting},
            _("See under Jobs whether core.seal_ledger fails."),
        )
    return ok(_("%(count)s events wait for their seal.") % {"count": waiting})
