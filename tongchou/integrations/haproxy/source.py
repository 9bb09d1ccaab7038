"""The inventory source "haproxy": a load balancer, its backends and the servers behind, asked over its Runtime API.

Reads `show info` and `show stat`; changes nothing. Servers are ends that the inventory recognises by their address.
"""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from tongchou.core import settings_store
from tongchou.core.http import Failed, Refused
from tongchou.core.problems import Invalid, Unavailable
from tongchou.integrations.haproxy.client import RuntimeApi, endpoint
from tongchou.integrations.haproxy.run_time_settings import SOCKETS
from tongchou.inventory import identity, source_settings
from tongchou.inventory.connections import ADDRESS, SeenUse
from tongchou.inventory.gather import facts, plain
from tongchou.inventory.observation import Observation, ObservedResource

LOOK_SECONDS = 15.0
MOST_BACKENDS = 200  # named in the attribute


class HaproxySource:
    """Looks at one HAProxy. A server in maintenance is not used; all others are, in one look as much as in the next."""

    kind: str = "haproxy"
    title: Any = _("HAProxy")
    precedence: int = 280
    interval_seconds: float = 60.0
    settings_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "additionalProperties": False,
        "required": ["runtime_api"],
        "properties": {
            "runtime_api": {
                "type": "string",
                "maxLength": 500,
                "description": _("host:port of the Runtime API, or unix: and a path that haproxy.sockets lists"),
            },
        },
    }

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Fill in defaults; raises Invalid naming the field."""
        return source_settings.filled(self.settings_schema, settings)

    def fetch(self, settings: Mapping[str, Any], *, source: str) -> Observation:
        """Ask twice. Raises Invalid for a place that may not be asked, Unavailable when it does not answer."""
        at = endpoint(settings["runtime_api"])
        if at is None or (at.path and at.path not in (settings_store.get(SOCKETS) or [])):
            raise Invalid(
                "haproxy.runtime_api",
                _("This Runtime API may not be asked."),
                field="settings.runtime_api",
                value=settings["runtime_api"],
                remedy=_("Write host:port, or unix: and a path that the setting %(setting)s lists.")
                % {"setting": SOCKETS},
            )
        api = RuntimeApi(at, time.monotonic() + LOOK_SECONDS)
        try:
            info, stat = api.ask("show", "info"), api.ask("show", "stat")
        except (Failed, Refused) as error:
            raise Unavailable(
                "haproxy.unreachable",
                _("The Runtime API at %(at)s gave no usable answer: %(why)s") % {"at": at, "why": error},
                remedy=_("See that HAProxy runs and that `stats socket` offers this address."),
            ) from error
        return observe(info, stat, str(at))


def observe(info: str, stat: str, at: str) -> Observation:
    """Return what the two answers say. Pure. Raises Unavailable when they are something else."""
    told = dict(line.split(": ", 1) for line in info.splitlines() if ": " in line)
    if "Version" not in told or not stat.startswith("# pxname,svname,"):
        raise Unavailable(
            "haproxy.unreadable",
            _("This is not what HAProxy answers."),
            value=(info or stat)[:100],
            remedy=_("See that the address is that of a Runtime API with level operator or user."),
        )
    rows = [row for row in csv.DictReader(io.StringIO(stat.removeprefix("# "))) if row.get("pxname")]
    servers = [row for row in rows if row["svname"] not in ("FRONTEND", "BACKEND") and row.get("addr")]
    backends = sorted({row["pxname"] for row in rows if row["svname"] == "BACKEND"})
    key = identity.key("haproxy", at)
    attributes = facts(engine="HAProxy", version=told["Version"], runtime_api=at, backends=backends[:MOST_BACKENDS])
    name = plain(told.get("node") or told.get("Node") or "") or at
    uses = tuple(
        SeenUse((key,), (f"{ADDRESS}{row['addr']}",))
        for row in servers
        if not str(row.get("status", "")).startswith("MAINT")
    )
    return Observation((ObservedResource("load_balancer", f"haproxy {name}", (key,), attributes),), uses=uses)


SOURCE = HaproxySource()
