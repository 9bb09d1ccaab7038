"""The tables whose own pages show more than rows: their plain pages."""

from __future__ import annotations

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from tongchou.web.tables import cells
from tongchou.web.tables.look import Look, register
from tongchou.web.templatetags.ui import chip, duration, when

NONE = _("Nothing here yet")

register(
    Look(
        "alerting.silence",
        "",
        "matchers",
        cells={
            "status": lambda row, _about: chip(row.state_at(timezone.now()).value, row.state_at(timezone.now()).label),
            "starts": lambda row, _about: when(row.starts_at),
            "ends": lambda row, _about: when(row.ends_at),
        },
        icon="bell-off",
        empty=NONE,
        back="web:silences",
    )
)
register(
    Look(
        "alerting.objective",
        "",
        "title",
        url=lambda row: reverse("web:slo", args=[row.name]),
        cells={
            "window": lambda row, _about: duration(row.window_seconds),
        },
        icon="target",
        empty=NONE,
        back="web:slos",
    )
)
register(Look("alerting.channel", "", "name", icon="send", empty=NONE, back="web:alert-channels"))
register(Look("core.user", "", "username", icon="users", empty=NONE, back="web:people"))
register(Look("core.team", "", "name", icon="users-round", empty=NONE, back="web:people"))
register(
    Look(
        "core.apitoken",
        "",
        "token",
        cells={"token": lambda row, _about: cells.second(row.name, f"{row.prefix}…", "mono")},
        icon="key-round",
        empty=NONE,
        back="web:people",
    )
)
register(
    Look(
        "core.job",
        "",
        "name",
        cells={
            "status": lambda row, _about: chip(row.state, row.get_state_display()),
            "name": lambda row, _about: cells.second(row.name, row.error[:300], "s-critical"),
        },
        icon="list-checks",
        empty=NONE,
        back="web:jobs",
    )
)
register(
    Look(
        "core.approval",
        "",
        "action",
        url=lambda row: f"{reverse('web:approvals')}?id={row.pk}",
        cells={"status": lambda row, _about: chip(row.state, row.get_state_display())},
        icon="badge-check",
        empty=NONE,
        back="web:approvals",
    )
)
register(
    Look(
        "incidents.postmortem",
        "",
        "incident",
        url=lambda row: reverse("web:postmortem", args=[row.incident.number]),
        cells={
            "severity": lambda row, _about: chip(row.incident.severity, row.incident.get_severity_display()),
            "status": lambda row, _about: chip(row.state, row.get_state_display()),
            "done": lambda row, _about: f"{row.done_count} / {row.improvement_count}",
        },
        icon="notebook-pen",
        empty=NONE,
        back="web:postmortems",
    )
)
register(
    Look(
        "core.event",
        "",
        "verb",
        cells={"time": lambda row, _about: when(row.at)},
        icon="scroll-text",
        empty=NONE,
        back="web:events",
    )
)
