"""Whether the metrics server that the settings name answers, and how its samples come over."""

from __future__ import annotations

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from tongchou.core.checks import Finding, Surroundings, check, fail, ok, skip, warn
from tongchou.core.problems import Problem
from tongchou.integrations.prometheus_backend.backend import BACKEND


@check("prometheus_backend.answers", _("Metrics server (Prometheus-compatible)"))
def answers(where: Surroundings) -> Finding:
    """Ask the server for nothing much."""
    if not settings.PROMETHEUS_URL:
        return skip(_("TONGCHOU_PROMETHEUS_URL is empty: metrics are read from the own store."))
    try:
        build, way = BACKEND.build(), BACKEND.way()
    except Problem as problem:
        return fail(problem.detail, problem.remedy or "")
    if way == "query":
        return warn(
            _("%(url)s answers, but knows neither remote_read nor export.") % {"url": settings.PROMETHEUS_URL},
            _("Series that ended are seen until the lookback (5 min) is over."),
        )
    return ok(f"{settings.PROMETHEUS_URL} {build} ({way})")
