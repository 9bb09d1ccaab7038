"""Whether the Jenkins servers that are in use answer."""

from __future__ import annotations

from django.utils.translation import gettext_lazy as _

from tongchou.changes.models_builds import BuildServer, BuildServerKind
from tongchou.core.checks import Finding, Surroundings, check, ok, skip, warn


@check("jenkins.answers", _("Jenkins servers"), needs_database=True)
def answers(where: Surroundings) -> Finding:
    """What the last requests brought; asks nobody."""
    rows = list(BuildServer.objects.filter(kind=BuildServerKind.JENKINS, enabled=True).order_by("name"))
    if not rows:
        return skip(_("None is set up."))
    silent = [row for row in rows if row.failing_since is not None]
    if silent:
        first = silent[0]
        words = {"server": first.name, "since": f"{first.failing_since:%Y-%m-%d %H:%M} UTC", "why": first.problem}
        return warn(
            _("%(server)s has not answered since %(since)s: %(why)s") % words,
            _("Test the connection on the page of build servers, or switch the server off."),
        )
    return ok(", ".join(f"{row.name} {row.version}".strip() for row in rows))
