"""The inventory source "libvirt": a hypervisor of this host, or of another one that virsh reaches."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import urlsplit

from django.utils.translation import gettext_lazy as _

from tongchou.core import settings_store
from tongchou.core.problems import Invalid
from tongchou.integrations.libvirt import describe
from tongchou.integrations.libvirt.describe import Hypervisor
from tongchou.integrations.libvirt.run_time_settings import URIS
from tongchou.integrations.libvirt.virsh import Virsh
from tongchou.inventory import identity, source_settings
from tongchou.inventory.gather import Gathering
from tongchou.inventory.observation import Observation
from tongchou.wire.host.facts import machine_id


class LibvirtSource:
    """Looks at one hypervisor with the rights of a reader."""

    kind: str = "libvirt"
    title: Any = _("libvirt")
    precedence: int = 280
    interval_seconds: float = 120.0
    settings_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "required": ["uri"],
        "additionalProperties": False,
        "properties": {
            "uri": {
                "type": "string",
                "maxLength": 500,
                "description": _("one of the URIs that the setting libvirt.uris lists, such as qemu:///system"),
            },
            **source_settings.NODE,
        },
    }

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Fill in defaults; raises Invalid naming the field."""
        return source_settings.filled(self.settings_schema, settings)

    def of_node(self, settings: Mapping[str, Any]) -> bool:
        """Where the URI names no host: the hypervisor of this one."""
        return ":///" in str(settings.get("uri", ""))

    def fetch(self, settings: Mapping[str, Any], *, source: str) -> Observation:
        """Ask once. A thing that goes away between the list and its description makes the look a part."""
        uri = settings["uri"]
        allowed = settings_store.get(URIS) or []
        if uri not in allowed:
            raise Invalid(
                "libvirt.uri",
                _("This hypervisor may not be asked."),
                field="settings.uri",
                value=uri,
                remedy=_("An administrator lists it in the setting %(setting)s; now there: %(uris)s.")
                % {"setting": URIS, "uris": ", ".join(allowed) or "-"},
            )
        virsh = Virsh(uri)
        gathering = Gathering()
        hypervisor = _host(virsh, uri, source, gathering)
        for sort, root, add in (("net", "network", hypervisor.network), ("pool", "pool", hypervisor.pool)):
            names = describe.uuids(virsh.lines(f"{sort}-list --all --uuid"))
            for found in _described(virsh, f"{sort}-dumpxml", names, root, gathering):
                add(found)
        running = set(virsh.lines("list --state-running --uuid"))
        machines = describe.uuids(virsh.lines("list --all --uuid"))
        for found in _described(virsh, "dumpxml --inactive", machines, "domain", gathering):
            hypervisor.machine(found, (found.findtext("uuid") or "") in running)
        return gathering.observation()


SOURCE = LibvirtSource()


def _described(virsh: Virsh, command: str, names: list[str], root: str, gathering: Gathering) -> list[Any]:
    found = [describe.parsed(text) for text in virsh.documents(command, names, root)] if names else []
    things = [each for each in found if each is not None]
    if len(things) < len(names):
        gathering.partial(f"{root}: {len(things)} of {len(names)} were described")
    return things


def _host(virsh: Virsh, uri: str, source: str, gathering: Gathering) -> Hypervisor:
    """The hypervisor itself: of this host, it is the host that the source "host" sees."""
    parts = urlsplit(uri)
    capabilities = describe.parsed(virsh.ask("capabilities"))
    said = "" if capabilities is None else (capabilities.findtext("host/uuid") or "").strip()
    name = (virsh.lines("hostname") or [source])[0]
    own = machine_id() if not parts.hostname and not parts.scheme.startswith("test") else ""
    keys = identity.keys(
        identity.machine_id_key(own),
        identity.uuid_key(said),
        identity.fqdn_key(name),
        identity.key("libvirt", parts.netloc or source, name),
    )
    info = dict(line.partition(":")[::2] for line in virsh.lines("nodeinfo"))
    cpus, memory = info.get("CPU(s)", "").strip(), info.get("Memory size", "").split()
    attributes = {
        "architecture": "" if capabilities is None else (capabilities.findtext("host/cpu/arch") or ""),
        "cpu_model": "" if capabilities is None else (capabilities.findtext("host/cpu/model") or ""),
        "cpu_count": int(cpus) if cpus.isdecimal() else None,
        "memory_bytes": int(memory[0]) * 1024 if memory and memory[0].isdecimal() else None,
    }
    gathering.add("host", name, keys, attributes)
    return Hypervisor(gathering, name, keys)
