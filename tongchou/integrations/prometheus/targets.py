"""The inventory source "prometheus": what an existing Prometheus scrapes, from its /api/v1/targets.

Its word on what exists is weak: it knows addresses, not machines. The state of a target is a metric there, not a fact.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid
from tongchou.integrations.prometheus.http_sd import duration_seconds
from tongchou.inventory import identity, remote, source_settings
from tongchou.inventory.gather import Gathering, at, facts, text, words
from tongchou.inventory.observation import Observation, ObservedEndpoint, service_key

MAX_TARGETS = 20_000
MAX_URL = 2000
PROBED = "target"  # parameter of blackbox and SNMP exporters: the address is the exporter's, the instance is not on it
# labels of service discovery that say which machine of which cloud an address is
MACHINES = {"__meta_ec2_instance_id": "aws", "__meta_azure_machine_id": "azure"}
_SECRET = re.compile(r"pass|token|secret|key|auth|sig", re.IGNORECASE)


class TargetsSource:
    """Asks an existing Prometheus what it scrapes: instances, the hosts they are on, the services they are part of."""

    kind: str = "prometheus"
    title: Any = _("Targets of a Prometheus")
    precedence: int = 120
    interval_seconds: float = 60.0
    settings_schema: ClassVar[dict[str, Any]] = {
        "type": "object",
        "required": ["url"],
        "additionalProperties": False,
        "properties": {
            **remote.REMOTE_SETTINGS,
            "service_label": {
                "type": "string",
                "default": "service",
                "maxLength": 120,
                "description": _("the label whose value is the service an instance is part of, e.g. job"),
            },
            "scrape": {
                "type": "boolean",
                "default": False,
                "description": _("also scrape the targets from here: each is then scraped twice"),
            },
        },
    }

    def validate(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Fill in defaults; raises Invalid naming the field."""
        found = source_settings.filled(self.settings_schema, settings)
        remote.tls(found)
        return found

    def fetch(self, settings: Mapping[str, Any], *, source: str) -> Observation:
        """Ask once; raises Problem, and then nothing known is touched."""
        server = remote.Remote(settings, purpose="prometheus_targets")
        answer = server.get("/api/v1/targets", {"state": "active"})
        return observed(
            answer, source=source, service_label=settings["service_label"], scrape=settings.get("scrape", False)
        )


SOURCE = TargetsSource()


def observed(answer: Any, *, source: str, service_label: str = "service", scrape: bool = False) -> Observation:
    """Return what an answer of /api/v1/targets says exists. Pure. Raises Invalid naming the place."""
    targets = at(answer, "data", "activeTargets")
    if not isinstance(targets, list) or not all(isinstance(each, dict) for each in targets):
        raise _invalid(_("This is no answer of Prometheus's /api/v1/targets."), "data.activeTargets")
    if len(targets) > MAX_TARGETS:
        raise _invalid(_("More than %(most)s targets.") % {"most": f"{MAX_TARGETS:,}"}, "data.activeTargets")
    gathering = Gathering()
    for each in targets:
        try:
            target = _Target(each, source)
        except ValueError:  # brackets in the address that do not close
            gathering.partial("a target whose address cannot be read was left out")
            continue
        _gather(target, gathering, service_label, scrape)
    return gathering.observation()


def _invalid(detail: Any, field: str) -> Invalid:
    remedy = _("See that the address is that of a Prometheus, without a path of the API.")
    return Invalid("prometheus_targets.shape", detail, field=field, remedy=remedy)


class _Target:
    """One active target."""

    def __init__(self, told: Mapping[str, Any], source: str) -> None:
        self.labels = _texts(told.get("labels"))
        self.found = _texts(told.get("discoveredLabels"))
        self.pool = text(told, "scrapePool")
        self.url = text(told, "scrapeUrl")
        self.interval = text(told, "scrapeInterval")
        self.timeout = text(told, "scrapeTimeout")
        self.source = source
        self.parts = urlsplit(self.url)  # where it is scraped, after relabelling; discoveredLabels are from before
        self.parameters = parse_qsl(self.parts.query)
        self.address = self.parts.netloc.rpartition("@")[2]
        self.name = self.labels.get("instance") or self.address or self.url.partition("?")[0]
        self.job = self.labels.get("job", "")
        self.key = identity.key("prometheus", source, self.job, self.name)

    def host(self) -> tuple[str, tuple[str, ...]] | None:
        """(name, keys) of the machine that the address leads to; None where it says nothing about one."""
        host = None if any(name == PROBED for name, _value in self.parameters) else self.parts.hostname
        if not host or host == "localhost":
            return None  # localhost is wherever that Prometheus runs
        try:
            if ipaddress.ip_address(host).is_loopback:
                return None
        except ValueError:
            pass
        cloud = [identity.cloud_key(by, self.found[label]) for label, by in MACHINES.items() if self.found.get(label)]
        keys = identity.keys(*cloud, identity.fqdn_key(host), identity.key("prometheus", self.source, "host", host))
        return host, keys


def _texts(found: Any) -> dict[str, str]:
    return {name: value for name, value in words(found).items() if value}


def _gather(target: _Target, gathering: Gathering, service_label: str, scrape: bool) -> None:
    host = target.host()
    place = f"{target.parts.scheme}://{target.address}{target.parts.path}"
    attributes = facts(
        address=target.address,
        job=target.job,
        scrape_pool=target.pool,
        scrape_interval=target.interval,
        scrape_url=place if target.address else "",  # without what may follow ?, and without a password
    )
    labels = {name: value for name, value in target.labels.items() if name not in ("job", "instance")}
    gathering.add("instance", target.name, (target.key,), attributes, labels)
    if host is not None:
        gathering.add("host", host[0], host[1], facts(address=host[0]))
        gathering.relate("runs_on", target.key, host[1][0])
    if service := target.labels.get(service_label, ""):
        gathering.add("service", service, (service_key(service),))
        gathering.relate("part_of", target.key, service_key(service))
    if scrape:
        _endpoint(target, gathering)


def _endpoint(target: _Target, gathering: Gathering) -> None:
    parts = target.parts
    secret = parts.username or any(_SECRET.search(name) for name, _value in target.parameters)
    if parts.scheme not in ("http", "https") or not parts.hostname or secret or len(target.url) > MAX_URL:
        gathering.warn(f"{target.name}: not scraped from here, its address holds a secret or is no URL")
        return
    try:
        interval_seconds = duration_seconds(target.interval or "15s", "scrapeInterval")
        timeout_seconds = min(duration_seconds(target.timeout or "10s", "scrapeTimeout"), interval_seconds)
    except Invalid:
        interval_seconds, timeout_seconds = 15.0, 10.0
    gathering.endpoint(
        ObservedEndpoint(target.key, target.url, target.labels, "metrics", interval_seconds, timeout_seconds)
    )
