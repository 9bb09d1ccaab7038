"""Makes one observation of what devices told. Pure; the order of the answers does not matter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from tongchou.integrations.snmp.device import Device, Neighbour
from tongchou.inventory import identity, ip_plan
from tongchou.inventory.gather import Gathering
from tongchou.inventory.observation import ObservedRelation

SURE, LIKELY = 0.9, 0.6  # the neighbour told of itself in the same look; it is known by what was heard of it alone


def observe(devices: Iterable[Device], gathering: Gathering) -> None:
    """Add devices with their interfaces and links. A device that answered at several addresses is added once."""
    found = once(devices)
    times = Counter(key for device in found for key in device.keys)
    shared = {key for key, count in times.items() if count > 1}
    for key in sorted(shared):
        gathering.warn(f"{key}: several devices say so of themselves; it identifies none of them")
    for device in found:
        _add(device, shared, set(times), gathering)


def once(devices: Iterable[Device]) -> list[Device]:
    """Return each device once, in the order of addresses: one that says all the same of itself is the same."""
    kept: dict[tuple[str, ...], Device] = {}
    for device in sorted(devices, key=lambda each: ip_plan.parse(each.address) or ()):
        kept.setdefault(device.keys, device)
    return list(kept.values())


def _add(device: Device, shared: set[str], told: set[str], gathering: Gathering) -> None:
    keys = tuple(key for key in device.keys if key not in shared) or (device.address_key,)
    gathering.add(device.kind, device.name, keys, device.attributes)
    names: dict[str | None, str] = {}
    for port in device.ports:
        own = [identity.key(f"{key}/interface", port.name) for key in keys]
        heard_as = None if device.chassis in shared else port.heard_as
        gathering.add("interface", f"{device.name} {port.name}", identity.keys(*own, heard_as), port.attributes)
        gathering.relate("part_of", own[0], keys[0])
        names[port.name] = own[0]
    for heard in device.neighbours:
        if heard.chassis not in shared:
            sure = SURE if heard.chassis in told else LIKELY
            gathering.relation(
                ObservedRelation("connected_to", _ends(names.get(heard.port, keys[0]), heard), "observed", sure)
            )


def _ends(mine: str, heard: Neighbour) -> tuple[tuple[str, str], ...]:
    """The link between two ports. Both ends tell of it, so its direction is that of their names, not of who told."""
    turned = heard.chassis is not None and heard.near > heard.far
    return tuple((other, mine) if turned else (mine, other) for other in heard.ends)
