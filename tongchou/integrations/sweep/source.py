"""The inventory source "sweep": which of the listed addresses are in use, what answers there, and its certificates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid, Unavailable
from tongchou.integrations.sweep import describe, names, scan
from tongchou.integrations.sweep.scan import Found, Pace
from tongchou.inventory import ip_reads, ranges, source_settings
from tongchou.inventory.gather import Gathering
from tongchou.inventory.models import SourceConfig
from tongchou.inventory.observation import Observation

MAX_ADDRESSES = 4096
MAX_PORTS = 32
SWEEP_SECONDS = 180.0  # that all connections may take at worst; names and certificates come on top
_PORTS: dict[str, Any] = {"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 65_535}}


class SweepSource:
    """Connects to each port of each listed address once, and never to any other."""

    kind: str = "sweep"
    title: Any = _("Sweep of address ranges")
    precedence: int = 60  # whoever else knows a machine knows it better
    interval_seconds: float = 3600.0
    settings_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "required": ["ranges"],
        "additionalProperties": False,
        "properties": {
            "ranges": ranges.setting(_("addresses and prefixes, e.g. 10.0.4.0/24; at most 4,096 addresses")),
            "ports": {
                **_PORTS,
                "default": [22, 80, 443],
                "description": _("TCP ports that are tried, at most 32"),
            },
            "tls_ports": {
                **_PORTS,
                "default": [443, 636, 853, 993, 6443, 8443],
                "description": _("those of them whose certificate is read; empty: none"),
            },
            "names": {"type": "boolean", "default": True, "description": _("also ask DNS what addresses are called")},
            "closed_counts": {
                "type": "boolean",
                "default": True,
                "description": _(
                    "an address that refuses every port is in use; choose no where a firewall refuses for all"
                ),
            },
            "timeout_seconds": {
                "type": "number",
                "minimum": 0.1,
                "maximum": 10,
                "default": 1,
                "description": _("how long one connection may take"),
            },
            "rate": {
                "type": "integer",
                "minimum": 1,
                "maximum": 1000,
                "default": 100,
                "description": _("connections begun in a second, at most"),
            },
            "concurrency": {
                "type": "integer",
                "minimum": 1,
                "maximum": 256,
                "default": 128,
                "description": _("how many addresses are tried at once"),
            },
        },
    }

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Fill in defaults; raises Invalid naming the field, also for a sweep that would take too long."""
        found = source_settings.filled(self.settings_schema, settings)
        addresses = ranges.addresses(found["ranges"], most=MAX_ADDRESSES)
        ports = set(found["ports"])
        if not 1 <= len(ports) <= MAX_PORTS:
            raise Invalid(
                "sweep.ports",
                _("1 to %(most)s ports are tried.") % {"most": MAX_PORTS},
                field="settings.ports",
                value=len(ports),
                remedy=_("List those that most machines have open, e.g. 22, 80 and 443."),
            )
        pace = _pace(found)
        tries = len(addresses) * len(ports)
        seconds = tries / min(pace.rate, pace.concurrency / pace.timeout_seconds)
        if seconds > SWEEP_SECONDS:
            raise Invalid(
                "sweep.too_long",
                _("%(tries)s connections would take up to %(seconds)s s; at most %(most)s s are given.")
                % {"tries": f"{tries:,}", "seconds": f"{seconds:,.0f}", "most": f"{SWEEP_SECONDS:g}"},
                field="settings.rate",
                value=found["rate"],
                remedy=_("Raise the rate or the concurrency, or list fewer addresses or ports."),
            )
        return found

    def fetch(self, settings: Mapping[str, Any], *, source: str) -> Observation:
        """Sweep once. An address that could not be asked from here makes the look a part."""
        addresses = ranges.addresses(settings["ranges"], most=MAX_ADDRESSES)
        tls_ports = frozenset(settings["tls_ports"])
        tried = scan.sweep(addresses, sorted(set(settings["ports"])), tls_ports, _pace(settings))
        gathering = Gathering()
        for each in tried:
            if each.failed:
                gathering.partial(f"{each.address}: {each.failed}")
        used = [each for each in tried if each.open or (each.refused and settings["closed_counts"])]
        called = _called(used) if settings["names"] else {}
        mine = SourceConfig.objects.filter(kind=self.kind).values_list("name", flat=True)
        recorded = ip_reads.stated_by_others([each.address for each in used], {source, *mine})
        return describe.observe(used, called, recorded, gathering)


SOURCE = SweepSource()


def _pace(settings: Mapping[str, Any]) -> Pace:
    return Pace(float(settings["timeout_seconds"]), float(settings["rate"]), int(settings["concurrency"]))


def _called(used: Sequence[Found]) -> Mapping[str, str | None]:
    """The names of addresses. Raises Unavailable when the resolver answered for none of them."""
    found = names.names_of([each.address for each in used])
    if found and all(name is None for name in found.values()):
        raise Unavailable(
            "sweep.resolver",
            _("The resolver of this host did not answer what the addresses are called."),
            field="settings.names",
            remedy=_("Mend the resolver, or set names to false; nothing known was changed."),
        )
    return found
