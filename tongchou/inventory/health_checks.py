"""What the inventory knows to check: whether subscribers are still told, whether sources have the node they look at."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from tongchou.core.checks import Finding, Surroundings, check, ok, warn
from tongchou.inventory import source_nodes
from tongchou.inventory.models_given import Subscription


@check("inventory.subscriptions", _("Subscriptions"), needs_database=True)
def subscriptions(where: Surroundings) -> Finding:
    """None was stopped by failures."""
    stopped = list(Subscription.objects.filter(stopped_at__isnull=False).values_list("name", flat=True))
    if stopped:
        return warn(
            _("Stopped after failing too often: %(names)s.") % {"names": ", ".join(stopped)[:300]},
            _("Open Resources, Use elsewhere, Subscriptions: each says why; switched on, it goes on."),
        )
    return ok(_("%(count)s subscriptions.") % {"count": Subscription.objects.count()})


@check("inventory.source_nodes", _("Nodes of sources"), needs_database=True)
def nodes_of_sources(where: Surroundings) -> Finding:
    """Every source that looks at the host of a node has that node."""
    alone = source_nodes.without_node()
    if alone:
        named = ", ".join(f"{name} ({node})" for name, node in alone)[:300]
        return warn(
            _("Sources whose node does no jobs, so that nobody looks: %(names)s.") % {"names": named},
            _("Start the node, name another one in the source's settings, or switch the source off."),
        )
    return ok(_("Every source has the node that looks for it."))
