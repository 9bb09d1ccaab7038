"""Whether ansible steps could run."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from tongchou.core.checks import Finding, Surroundings, check, ok, skip
from tongchou.integrations.ansible.launch import installed, tool


@check("steps.ansible", _("ansible-runner"))
def ansible(where: Surroundings) -> Finding:
    """It is there with ansible-playbook beside it; only ansible steps need it."""
    if not installed():
        return skip(
            _("Not at %(path)s; only ansible steps need it (make tools, or TONGCHOU_ANSIBLE_RUNNER).")
            % {"path": tool()}
        )
    return ok(str(tool()))
