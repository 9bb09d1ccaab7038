"""What telemetry knows to check: the engine's release, and whether its store answers."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from tongchou.core.checks import Finding, Surroundings, check, fail, ok, skip, warn
from tongchou.core.problems import Problem
from tongchou.telemetry import reads
from tongchou.telemetry.backend import open_engine
from tongchou.telemetry.store.embedded import Engine

WANTED_CHDB = "4.4"
NEARLY_FULL = 0.9  # of the series that may be kept


@check("telemetry.engine", _("Telemetry engine"))
def engine(where: Surroundings) -> Finding:
    """The release of chDB is the one this release was tested with."""
    try:
        found = version("chdb")
    except PackageNotFoundError:
        return fail(_("chDB is not installed."), _("Set the platform up again with its hashed requirements."))
    if not found.startswith(WANTED_CHDB):
        return warn(
            _("chDB %(found)s, tested with %(wanted)s.") % {"found": found, "wanted": WANTED_CHDB},
            _("Set the platform up again with its hashed requirements."),
        )
    return ok(f"chDB {found}")


@check("telemetry.store", _("Telemetry store"))
def store(where: Surroundings) -> Finding:
    """The store answers: this process's own, the server's by /readyz, else the folder is opened for a moment."""
    if where.in_server:
        if not reads.ready():
            return fail(_("The telemetry store does not answer."), _("See the log of the server."))
        return _room_for_series()
    if where.running:
        if where.answers is None:
            return warn(
                _("The server holds the store and does not answer."), _("See the log of the server, or restart it.")
            )
        code = (where.answers.get("failing") or {}).get("telemetry")
        if code:
            return fail(_("The server says of its store: %(code)s") % {"code": code}, _("See the log of the server."))
        return ok(_("The running server's store answers."))
    return _ask_the_server() if settings.CLICKHOUSE_URL else _open_for_a_moment()


def _room_for_series() -> Finding:
    stats = reads.store_stats()
    if stats["series"] > NEARLY_FULL * settings.TELEMETRY_MAX_SERIES:
        return warn(
            _("%(count)s series of at most %(most)s are kept; beyond that new ones are refused.")
            % {"count": int(stats["series"]), "most": settings.TELEMETRY_MAX_SERIES},
            _("Find the metric with too many series, or raise TONGCHOU_TELEMETRY_MAX_SERIES."),
        )
    return ok(_("%(count)s series.") % {"count": int(stats["series"])})


def _ask_the_server() -> Finding:
    """Sign in to ClickHouse and ask for one row."""
    try:
        found = open_engine()
    except Problem as problem:
        return fail(problem.detail, problem.remedy or "")
    try:
        found.fetch("SELECT 1 AS one", timeout_seconds=5.0)
    except Problem as problem:
        return fail(problem.detail, problem.remedy or "")
    finally:
        found.close()
    return ok(_("ClickHouse answers."))


def _open_for_a_moment() -> Finding:
    """Open the folder and ask for one row; a folder nothing was ever written to is left alone."""
    folder = settings.TELEMETRY_PATH
    if not folder.exists():
        return skip(_("Nothing was kept yet."))
    found = Engine(folder, read_threads=1)
    try:
        rows = found.fetch("SELECT 1 AS one", timeout_seconds=5.0).num_rows
    finally:
        found.close()
    if rows != 1:
        return fail(_("The telemetry store does not answer."), _("Put back the newest backup of it."))
    return ok(_("It opens and answers."))
