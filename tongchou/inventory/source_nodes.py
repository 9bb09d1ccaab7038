"""Which node looks for a source: what sees the machine it runs on is for the node that its settings name, alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from tongchou.core import jobs, nodes
from tongchou.core.access import Actor, check
from tongchou.core.problems import Conflict, Invalid
from tongchou.inventory.models import SourceConfig
from tongchou.inventory.ports import NodeSource
from tongchou.inventory.sources import MANAGE, SYNC_JOB, source_kinds


def node_of(config: SourceConfig) -> str:
    """Return the name of the node that looks, "" for whichever takes the job. No query."""
    named = isinstance(source_kinds().get(config.kind), NodeSource)
    return str(config.settings.get("node") or "") if named else ""


def checked(kind: str, settings: Mapping[str, Any] | None) -> None:
    """Raise Invalid when settings name a node that does no jobs, or none where each of several would see its own host.

    One query for a kind that may look at its host, none for others.
    """
    source = source_kinds().get(kind)
    if not isinstance(source, NodeSource):
        return
    settings, known = settings or {}, nodes.taking_jobs(alive=False)
    node = settings.get("node") or ""
    if node and known and node not in known:
        raise Invalid(
            "inventory.source_node",
            _("No node of this name does jobs."),
            field="settings.node",
            value=str(node)[:120],
            remedy=_("Use one of: %(known)s.") % {"known": ", ".join(known)},
        )
    if not node and source.of_node(settings) and len(nodes.taking_jobs()) > 1:
        raise Invalid(
            "inventory.source_node",
            _("Several nodes do jobs, and this source would see the host of whichever takes it."),
            field="settings.node",
            remedy=_("Add one source a node, and name it: %(known)s.") % {"known": ", ".join(known)},
        )


def is_elsewhere(config: SourceConfig) -> bool:
    """Tell whether another node looks for it than the one that answers."""
    return node_of(config) not in ("", nodes.own_name())


def must_be_here(config: SourceConfig) -> None:
    """Raise Conflict when another node looks for it: what this one sees would be taken for the other's."""
    if is_elsewhere(config):
        raise Conflict(
            "inventory.source_node",
            _("This source looks at the node %(node)s, and %(here)s answers here.")
            % {"node": node_of(config), "here": nodes.own_name()},
            field="settings.node",
            value=node_of(config),
            remedy=_("Wait for its next look, or ask at that node."),
        )


def hand_over(*, actor: Actor, source: SourceConfig) -> None:
    """Ask the node of a source to look at once. Raises Conflict when the source is off."""
    check(actor, MANAGE)
    if not source.enabled:
        raise Conflict(
            "inventory.source_off", _("This source is switched off."), remedy=_("Switch it on: it looks at once.")
        )
    key = f"{SYNC_JOB}:{source.name}"
    with transaction.atomic():
        jobs.enqueue(SYNC_JOB, {"source": source.name}, unique_key=key)
        jobs.hurry(key)


def without_node() -> list[tuple[str, str]]:
    """Return (source, node) of those that are on and whose node does no jobs now. Two queries at most."""
    wanted = [(row.name, node_of(row)) for row in SourceConfig.objects.filter(enabled=True).order_by("name")]
    wanted = [(name, node) for name, node in wanted if node]
    alive = {nodes.own_name(), *nodes.taking_jobs()} if wanted else set()
    return [(name, node) for name, node in wanted if node not in alive]
