"""What core knows to check about several nodes: clocks, versions, that somebody works."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from tongchou.core import nodes
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
