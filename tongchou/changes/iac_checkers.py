"""What checkers outside of us say to a plan, as findings: warnings, for their rules are not this house's."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from tongchou.changes import iac_tools
from tongchou.changes.iac_policy import MAX_NAMED, Finding

MOST = 200


def findings(document: Any) -> list[Finding]:
    """One finding a rule, with the resources that break it; one that says so where a checker could not be run."""
    out: list[Finding] = []
    found = iac_tools.checkers()
    if not found:
        out.append(Finding("checker_missing", "warn", _("No checker is installed on this host."), (), 0, "checker"))
    for each in found:
        said = each.check(document)
        if said is None:
            why = _("%(name)s could not be run.") % {"name": each.checker}
            out.append(Finding("checker_failed", "warn", why, (), 0, each.checker))
            continue
        about: dict[tuple[str, str], list[str]] = {}
        for one in said:
            about.setdefault((one.rule, one.title), []).append(one.address)
        out += [
            Finding(rule, "warn", title, tuple(addresses[:MAX_NAMED]), len(addresses), each.checker)
            for (rule, title), addresses in sorted(about.items())[:MOST]
        ]
    return out
