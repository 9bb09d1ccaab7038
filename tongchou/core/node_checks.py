"""What core knows to check about several nodes: clocks, versions, that somebody works, shared folders."""

from __future__ import annotations

from pathlib import Path

from django.conf import settings
from django.db import connection
from django.utils.translation import gettext_lazy as _

from tongchou.core import nodes, settings_store
from tongchou.core.checks import Finding, Surroundings, check, fail, ok, skip, warn
from tongchou.core.models_nodes import NodeRole


@check("nodes.together", _("Nodes"))
def together(where: Surroundings) -> Finding:
    """Some node works, clocks agree, one version runs."""
    if not where.has_database:
        return skip(_("There is no database yet."))
    alive = [view for view in nodes.listing() if view.alive]
    if not alive:
        return skip(_("No node is running."))
    if all(view.node.role == NodeRole.WEB for view in alive):
        return fail(
            _("Only web nodes are running: nothing is scraped, no rule is evaluated, no job is done."),
            _("Start a node with --role worker or --role all."),
        )
    skewed = [f"{view.node.name} {view.node.clock_skew_seconds:+.1f} s" for view in alive if view.skewed]
    if skewed:
        return warn(
            _("Clocks differ from the database's: %(nodes)s.") % {"nodes": ", ".join(skewed)},
            _("Run NTP (chrony, systemd-timesyncd) on every host."),
        )
    versions = sorted({view.node.version for view in alive})
    if len(versions) > 1:
        return warn(
            _("Several versions are running: %(versions)s.") % {"versions": ", ".join(versions)},
            _("Fine during an upgrade; finish it."),
        )
    return ok(_("%(count)d running, one version, clocks agree.") % {"count": len(alive)})


@check("nodes.folders", _("Folders that nodes share"))
def folders(where: Surroundings) -> Finding:
    """Attached files and backups lie in a folder that every node reaches, not in one node's data folder.

    Whether a folder elsewhere is really shared cannot be seen from one host.
    """
    if not where.has_database or connection.vendor != "postgresql":
        return skip(_("Only nodes on PostgreSQL share folders."))
    if sum(view.alive for view in nodes.listing()) < 2:
        return skip(_("Fewer than two nodes are running."))
    chosen = Path(str(settings_store.get("backup.folder") or "") or settings.BACKUP_FOLDER)
    if Path(settings.FILES_PATH).resolve().is_relative_to(settings.DATA):
        return warn(
            _("Attached files lie in this node's data folder: other nodes and their backups do not have them."),
            _("Copy %(path)s to one folder that all nodes share, and set TONGCHOU_FILES_PATH to it on every node.")
            % {"path": settings.FILES_PATH},
        )
    if chosen.resolve().is_relative_to(settings.DATA):
        return warn(
            _("Backups lie in the data folder of whichever node makes them."),
            _("Set TONGCHOU_BACKUP_FOLDER on every node, or the setting backup.folder, to one folder that all share."),
        )
    return ok(_("Attached files and backups lie outside this node's data folder."))
