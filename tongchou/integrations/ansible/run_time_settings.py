"""Where ansible steps find playbooks and what they may reach, and the sentences for why such a step failed."""

from __future__ import annotations

from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core.settings_store import register
from tongchou.runbooks.reasons import declare

PROJECT = "ansible.project"
LOCAL = "ansible.local"
ROOTS = "ansible.project_roots"


def problem_of(value: Any) -> str | Promise | None:
    """What is wrong with the folder; None when nothing is."""
    fits = value == "" or (value.startswith("/") and value.isprintable() and ".." not in value.split("/"))
    return None if fits else _("An absolute path is wanted.")


def problem_of_roots(value: Any) -> str | Promise | None:
    """What is wrong with the list; None when nothing is."""
    fits = all(isinstance(each, str) and each and problem_of(each) is None for each in value)
    return None if fits else _("A list of absolute paths is wanted.")


register(
    PROJECT,
    str,
    "",
    _("Folder of the playbooks that ansible steps may name, with their roles. Empty: none, only tasks in a step."),
    validate=problem_of,
)
register(
    ROOTS,
    list,
    [],
    _("Folders in which the folders of playbook projects may lie. Empty: none, no project can be made."),
    validate=problem_of_roots,
)
register(
    LOCAL,
    bool,
    False,
    _("Whether ansible steps may act on the platform's own host (ansible_connection: local)."),
)

declare(
    {
        "ansible_missing": _(
            "ansible-runner is not installed at %(path)s. Run `make tools`, or set TONGCHOU_ANSIBLE_RUNNER."
        ),
        "ansible_altered": _("The playbooks are not the ones that were approved; request the run again."),
        "ansible_refused": _("Not run: %(why)s"),
        "ansible_failed": _("Failed on %(hosts)s: %(why)s"),
        "ansible_unreachable": _("Not reachable: %(hosts)s (%(why)s)"),
        "ansible_no_host": _("The playbook has no play for this host; see the key groups."),
        "ansible_timeout": _("Stopped after %(seconds)s s; what had been done is in the transcript."),
        "ansible_broken": _("Ansible ended with code %(code)s: %(why)s"),
    }
)
