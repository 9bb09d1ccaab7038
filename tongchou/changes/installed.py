"""Who runs playbooks and who asks build servers, if an integration brings them."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from tongchou.changes.build_ports import Builds
from tongchou.changes.playbook_ports import Playbooks
from tongchou.core.problems import Unavailable
from tongchou.core.registry import implementations


def playbooks() -> Playbooks:
    """Return the Playbooks that is installed; raises Unavailable."""
    found = implementations(Playbooks)  # type: ignore[type-abstract]  # a Protocol is meant
    if not found:
        raise Unavailable("playbook.none", _("Nothing that runs playbooks is installed."))
    return found[0]


def builds(kind: str) -> Builds:
    """Return who asks build servers of a kind; raises Unavailable."""
    for each in implementations(Builds):  # type: ignore[type-abstract]  # a Protocol is meant
        if each.server_kind == kind:
            return each
    raise Unavailable("build_server.kind", _("Nothing that asks servers of this kind is installed."), value=kind)
