"""Administration: the installation itself. Its health, its own charts, the nodes it runs on."""

from __future__ import annotations

from django.http import HttpResponse, JsonResponse
from django.shortcuts import render

from tongchou.alerting import self_rules
from tongchou.alerting.models import RuleFile
from tongchou.core import checks, nodes
from tongchou.core.access import allows, check
from tongchou.core.models_nodes import NodeRole
from tongchou.web import platform_panels
from tongchou.web.gate import PageRequest, page


@page("platform.view")
def doctor(request: PageRequest) -> HttpResponse:
    """What `tongchou doctor` says, asked from inside the server."""
    check(request.actor, "platform.view")  # the installation has no owner: a team's role does not open it
    results = checks.run(checks.Surroundings(in_server=True, running=True))
    context = {"results": results, "worst": checks.worst(results), "counts": checks.report(results)["counts"]}
    return render(request, "admin/doctor.html", context)


@page("platform.view")
def platform(request: PageRequest) -> HttpResponse:
    """How the platform itself runs: its charts. `?format=grafana` is the same as a dashboard for Grafana."""
    check(request.actor, "platform.view")
    if request.GET.get("format") == "grafana":
        name = 'attachment; filename="tongchou-grafana.json"'
        return JsonResponse(
            platform_panels.grafana(), json_dumps_params={"indent": 2}, headers={"Content-Disposition": name}
        )
    context = {
        "panels": platform_panels.PANELS if allows(request.actor, "telemetry.view") else (),
        "rule_file": RuleFile.objects.filter(name=self_rules.NAME).first(),
    }
    return render(request, "admin/platform.html", context)


@page("platform.view")
def node_list(request: PageRequest) -> HttpResponse:
    """The processes of this platform; `?part=live` renders the table alone."""
    check(request.actor, "platform.view")  # the installation has no owner: a team's role does not open it
    views = nodes.listing()
    alive = [view for view in views if view.alive]
    context = {
        "rows": views,
        "own": nodes.own_name(),
        "no_worker": bool(alive) and all(view.node.role == NodeRole.WEB for view in alive),
    }
    part = request.GET.get("part") == "live"
    return render(request, "admin/nodes_live.html" if part else "admin/nodes.html", context)
