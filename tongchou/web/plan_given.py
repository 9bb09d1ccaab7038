"""Plan: the inventory for other tools. Snippets to copy with the caller's own address, and files to take along."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core.access import allows
from tongchou.inventory.given import zones
from tongchou.inventory.given.subscriptions import MANAGE
from tongchou.web.gate import PageRequest, page

Text = str | Promise


@dataclass(frozen=True, slots=True)
class Use:
    """One tool: what is copied into it, and the address of a file when there is one to download."""

    name: str
    title: Text
    icon: str
    help: Text
    snippet: str
    download: str = ""


PROMETHEUS = """scrape_configs:
  - job_name: tongchou
    http_sd_configs:
      - url: {url}/prometheus/sd/targets?port=9100
        refresh_interval: 60s
        authorization: {{type: Bearer, credentials_file: /etc/prometheus/tongchou.token}}
    relabel_configs:
      - {{source_labels: [__meta_tongchou_owner], target_label: team}}
      - {{source_labels: [__meta_tongchou_site], target_label: site}}
"""
ANSIBLE = """#!/bin/sh
# tongchou.sh, executable; then: ansible-inventory -i tongchou.sh --list
exec curl -fsS -H "Authorization: Bearer $TONGCHOU_TOKEN" {url}/api/v1/inventory/ansible
"""
ANSIBLE_COMMAND = """#!/bin/sh
# the same with the command of the platform, which also knows --host
exec tongchou inventory ansible --url {url} "$@"
"""
HOSTS = 'curl -fsS -H "Authorization: Bearer $TONGCHOU_TOKEN" {url}/api/v1/inventory/hosts\n'
DNSMASQ = """curl -fsS -H "Authorization: Bearer $TONGCHOU_TOKEN" {url}/api/v1/inventory/dnsmasq \\
  -o /etc/dnsmasq.d/tongchou.conf && systemctl restart dnsmasq
"""
ZONE = """curl -fsS -H "Authorization: Bearer $TONGCHOU_TOKEN" {url}/api/v1/inventory/zones/{zone} -o {zone}.zone
curl -fsS -H "Authorization: Bearer $TONGCHOU_TOKEN" {url}/api/v1/inventory/zones/10.in-addr.arpa -o 10.zone
named-checkzone {zone} {zone}.zone && rndc reload {zone}
"""
NETBOX = 'curl -fsS -H "Authorization: Bearer $TONGCHOU_TOKEN" {url}/api/v1/inventory/netbox -o devices.csv\n'


def uses(url: str) -> list[Use]:
    """Every use, with the address people call the platform by."""
    zone = zones.domain() or "example.org"
    below = "/api/v1/inventory"
    return [
        Use(
            "prometheus",
            "Prometheus",
            "radar",
            _("Scrapes what the inventory says can be scraped; with a port, machines without such an address, too."),
            PROMETHEUS.format(url=url),
        ),
        Use(
            "ansible",
            "Ansible",
            "square-terminal",
            _("Groups by kind, label, site, owner and service. Attributes are data: none becomes a template."),
            ANSIBLE.format(url=url),
            f"{below}/ansible",
        ),
        Use(
            "ansible-command",
            _("Ansible, by command"),
            "terminal",
            _("Reads the token from TONGCHOU_TOKEN."),
            ANSIBLE_COMMAND.format(url=url),
        ),
        Use(
            "zone",
            _("DNS zone"),
            "globe",
            _("Forward and reverse zones; the serial grows when the content does. Domain and SOA are settings."),
            ZONE.format(url=url, zone=zone),
            f"{below}/zones/{zone}",
        ),
        Use("hosts", _("Hosts file"), "file-text", _("Lines for /etc/hosts."), HOSTS.format(url=url), f"{below}/hosts"),
        Use("dnsmasq", "dnsmasq", "network", _("One host-record a name."), DNSMASQ.format(url=url), f"{below}/dnsmasq"),
        Use(
            "netbox",
            "NetBox",
            "table",
            _("Import it there under Devices; roles, types and sites must exist before."),
            NETBOX.format(url=url),
            f"{below}/netbox",
        ),
    ]


@page("inventory.view")
def resource_uses(request: PageRequest) -> HttpResponse:
    """Use this inventory elsewhere."""
    url = request.build_absolute_uri("/").rstrip("/")
    return render(
        request,
        "plan/uses.html",
        {
            "uses": uses(url),
            "tokens": reverse("web:account"),
            "may_subscribe": allows(request.actor, MANAGE),
        },
    )
