"""The inventory for other tools: Ansible, hosts files, DNS, NetBox. Prometheus reads /prometheus/sd/targets."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema
from pydantic import Field

from tongchou.api.core import actor_of
from tongchou.api.document import bytes_of
from tongchou.inventory.given import ansible, dns, netbox, zones
from tongchou.inventory.given.gathered import Given, Wanted, gather

router = Router(tags=["inventory"])
TEXT = "text/plain; charset=utf-8"


class Which(Schema):
    """Which resources: kinds (a,b or "all"), labels "name" or "name=value", the owning team ("": none), a state."""

    kind: str = ansible.DEFAULT_KINDS
    label: list[str] = Field(default_factory=list, max_length=20)
    team: str | None = None
    state: str = "active"


def _given(request: HttpRequest, which: Which) -> list[Given]:
    kind = None if which.kind == "all" else which.kind
    return gather(actor_of(request), Wanted(kind, tuple(which.label), which.team, which.state))


def _file(text: str, name: str, content_type: str = TEXT) -> HttpResponse:
    response = HttpResponse(text, content_type=content_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


@router.get("/inventory/ansible", response=dict[str, Any])
def ansible_inventory(request: HttpRequest, which: Query[Which]) -> dict[str, Any]:
    """Return what `ansible-inventory --list` reads: groups and, under `_meta`, the variables of every host.

    Groups: kind_, label_NAME_, site_, owner_, service_. Text with Jinja braces is marked as unsafe; no secrets.
    """
    return ansible.document(_given(request, which))


@router.get("/inventory/hosts", openapi_extra=bytes_of("text/plain"))
def hosts_file(request: HttpRequest, which: Query[Which]) -> HttpResponse:
    """Return lines for /etc/hosts: address, full name, short name."""
    home = zones.domain()
    return _file(dns.hosts_file(dns.names(_given(request, which), home), home), "hosts")


@router.get("/inventory/dnsmasq", openapi_extra=bytes_of("text/plain"))
def dnsmasq_hosts(request: HttpRequest, which: Query[Which]) -> HttpResponse:
    """Return `host-record` lines for dnsmasq."""
    home = zones.domain()
    known = dns.names(_given(request, which), home)
    return _file(dns.dnsmasq(known, home, zones.ttl_seconds()), "tongchou.conf")


@router.get("/inventory/zones/{zone}", openapi_extra=bytes_of("text/plain"))
def zone_file(request: HttpRequest, zone: str, which: Query[Which]) -> HttpResponse:
    """Return a zone file (RFC 1035): a forward zone like example.org, a reverse one like 10.in-addr.arpa.

    The serial grows when the content changes.
    """
    name = zones.zone_name(zone)
    return _file(zones.zone_file(_given(request, which), name), f"{name}.zone")


@router.get("/inventory/netbox", openapi_extra=bytes_of("text/csv"))
def netbox_devices(request: HttpRequest, which: Query[Which]) -> HttpResponse:
    """Return CSV for NetBox's import of devices; roles, types and sites must be there before."""
    return _file(netbox.devices(_given(request, which)), "netbox-devices.csv", "text/csv; charset=utf-8")
