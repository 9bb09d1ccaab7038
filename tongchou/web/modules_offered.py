"""What an installation may switch off: parts of the menu, and the endpoints of each integration."""

from __future__ import annotations

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from tongchou.core.modules import Module, offer
from tongchou.core.problems import Text

API = "/api/v1"


def _part(
    name: str, title: Text, help_: Text, *paths: str, work: tuple[str, ...] = (), api: tuple[str, ...] = ()
) -> None:
    offer(Module(name, title, help_, (*paths, *(f"{API}/{each}" for each in api)), work))


_part(
    "logs",
    _("Logs"),
    _("Search, live tail and saved searches of log lines. Lines kept so far are kept, and no line is deleted."),
    "/logs",
    api=("logs",),
    work=("telemetry.saved_searches", "telemetry.log_retention"),
)
_part(
    "slo",
    _("Objectives"),
    _("Error budgets and burn rates. The alert rules they made go on like any other rule file."),
    "/slos",
    "/slo-form",
    api=("slos",),
    work=("alerting.objectives",),
)
_part(
    "runbooks",
    _("Procedures and runs"),
    _("Procedures, runs and every execution. A run under way waits and goes on when this is on again."),
    "/procedures",
    "/runs",
    "/execution",
    api=("procedures", "runs", "execution"),
    work=("runbooks.",),
)
_part(
    "postmortems",
    _("Postmortems and improvements"),
    _("Postmortems, improvements and the checks that prove them. Proofs under way stand still."),
    "/postmortems",
    "/improvements",
    api=("postmortems", "postmortem-causes", "improvements", "improvement-checks"),
    work=("incidents.improvement_checks", "incidents.overdue_improvements"),
)
_part(
    "deployments",
    _("Deployments"),
    _("The list of deployments. Incidents then have no new deployment among their suspects."),
    "/deployments",
    api=("deployments", "deployment-sources", "build-servers"),
    work=("changes.poll_builds", "changes.build_servers_due"),
)
_part("map", _("Service map"), _("The map of services and what they call."), "/map", api=("map",))
_part(
    "impact",
    _("What incidents cost"),
    _("The estimate of revenue lost. Estimates made so far are kept."),
    work=("incidents.impact",),
)
_NEEDS = {"loki": ("logs",), "otlp": ("logs",), "deployments": ("deployments",), "tail": ("logs",)}
for _each in settings.INTEGRATIONS:
    _work = (f"{_each.name}.",) if _each.name == "tail" else ()
    if _each.urls or _work:
        offer(
            Module(
                f"integration-{_each.name}",
                _each.title,
                _("What this integration receives and answers."),
                (f"/{_each.urls[0]}",) if _each.urls else (),
                _work,
                _NEEDS.get(_each.name, ()),
            )
        )
