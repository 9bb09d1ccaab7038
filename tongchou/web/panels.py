"""The cockpit's panels: PromQL with a title and a unit, kept as a run-time setting; suggested when nobody set any."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from tongchou.core import settings_store
from tongchou.web.links import localized

PANELS = "web.cockpit_panels"
UNITS = ("", "percent", "ratio", "bytes", "bytes_per_second", "seconds", "per_second")
MAX_PANELS = 24


@dataclass(frozen=True)
class Panel:
    """One chart: `title` {"en", "zh"}, PromQL, a unit of UNITS, a legend with `{{label}}` places, fixed axis ends."""

    title: dict[str, str]
    query: str
    unit: str = ""
    legend: str = ""
    min: float | None = None
    max: float | None = None
    stack: bool = False
    hint: dict[str, str] = field(default_factory=dict)

    def shown_title(self) -> str:
        """Return the title in the language spoken now."""
        return localized(self.title, self.query)


def problem_of(value: object) -> str | Promise | None:
    """Return what is wrong with a list of panels, None when it will do."""
    if not isinstance(value, list) or len(value) > MAX_PANELS:
        return _("A list of at most %(most)s panels is wanted.") % {"most": MAX_PANELS}
    for row in value:
        if not isinstance(row, dict) or not isinstance(row.get("query"), str) or not row["query"].strip():
            return _('Every panel is a mapping with a "query".')
        if not isinstance(row.get("title"), dict | str):
            return _('Every panel has a "title": a text, or {"en": ..., "zh": ...}.')
        if row.get("unit", "") not in UNITS:
            return _("The unit is one of: %(units)s.") % {"units": ", ".join(unit or '""' for unit in UNITS)}
        if set(row) - set(Panel.__dataclass_fields__):
            return _("A panel has the keys %(keys)s.") % {"keys": ", ".join(Panel.__dataclass_fields__)}
    return None


def configured() -> list[Panel]:
    """Return the panels somebody set; [] when nobody did."""
    rows: Any = settings_store.get(PANELS, [])
    panels = []
    for row in rows if problem_of(rows) is None else []:
        title = row["title"] if isinstance(row["title"], dict) else {"en": row["title"]}
        panels.append(Panel(**{**row, "title": title}))
    return panels


def as_rows(panels: Sequence[Panel]) -> list[dict[str, Any]]:
    """Return panels as the setting holds them."""
    return [asdict(panel) for panel in panels]


def _first(names: Sequence[str], *endings: str, avoid: Sequence[str] = ("tongchou_", "client_")) -> str | None:
    """Return the metric that fits the first ending, general names (http_) before particular ones."""
    for ending in endings:
        fits = [name for name in names if name.endswith(ending) and not any(part in name for part in avoid)]
        if fits:
            return min(fits, key=lambda name: (not name.startswith(("http_", "rpc_", "grpc_")), len(name), name))
    return None


def _one_of(labels: Sequence[str], *wanted: str) -> str | None:
    return next((name for name in wanted if name in labels), None)


def _of(metric: str, selector: str, more: str = "") -> str:
    inside = ",".join(part for part in (selector, more) if part)
    return f"{metric}{{{inside}}}" if inside else metric


def _requests(names: Sequence[str], labels_of: Callable[[str], Sequence[str]], selector: str) -> list[Panel]:
    panels = []
    counter = _first(names, "_requests_total", "_responses_total")
    if counter:
        labels = labels_of(counter)
        by = _one_of(labels, "service", "job", "handler", "instance") or "job"
        rate = f"sum by ({by}) (rate({_of(counter, selector)}[1m]))"
        panels.append(Panel({"en": "Request rate", "zh": "请求速率"}, rate, "per_second", f"{{{{{by}}}}}", min=0))
        code = _one_of(labels, "code", "status", "status_code", "http_status")
        if code:
            wrong = _of(counter, selector, code + '=~"5.."')
            ratio = f"(sum by ({by}) (rate({wrong}[1m])) or 0 * {rate}) / ({rate} > 0)"
            panels.append(
                Panel({"en": "Error ratio (5xx)", "zh": "错误率 (5xx)"}, ratio, "ratio", f"{{{{{by}}}}}", min=0)
            )
    buckets = _first(names, "_request_duration_seconds_bucket", "_latency_seconds_bucket", "_duration_seconds_bucket")
    if buckets:
        by = _one_of(labels_of(buckets), "service", "job", "handler", "instance") or "job"
        p95 = f"histogram_quantile(0.95, sum by (le, {by}) (rate({_of(buckets, selector)}[1m])))"
        panels.append(Panel({"en": "Latency p95", "zh": "P95 延迟"}, p95, "seconds", f"{{{{{by}}}}}", min=0))
    return panels


def _host(names: Sequence[str], selector: str) -> list[Panel]:
    panels = []
    if "node_cpu_seconds_total" in names:
        idle = _of("node_cpu_seconds_total", selector, 'mode="idle"')
        every = _of("node_cpu_seconds_total", selector)
        busy = f"1 - avg by (instance) (rate({idle}[1m])) / avg by (instance) (sum without (mode) (rate({every}[1m])))"
        panels.append(
            Panel({"en": "Host CPU in use", "zh": "主机 CPU 使用率"}, busy, "ratio", "{{instance}}", min=0, max=1)
        )
    if {"node_memory_MemAvailable_bytes", "node_memory_MemTotal_bytes"} <= set(names):
        free = _of("node_memory_MemAvailable_bytes", selector)
        used = f"1 - {free} / {_of('node_memory_MemTotal_bytes', selector)}"
        panels.append(
            Panel({"en": "Host memory in use", "zh": "主机内存使用率"}, used, "ratio", "{{instance}}", min=0, max=1)
        )
    if "process_cpu_seconds_total" in names:
        query = f"topk(8, rate({_of('process_cpu_seconds_total', selector)}[1m]))"
        panels.append(Panel({"en": "Process CPU", "zh": "进程 CPU"}, query, "ratio", "{{job}} {{instance}}", min=0))
    if "process_resident_memory_bytes" in names:
        query = f"topk(8, {_of('process_resident_memory_bytes', selector)})"
        panels.append(Panel({"en": "Process memory", "zh": "进程内存"}, query, "bytes", "{{job}} {{instance}}", min=0))
    return panels


def suggest(names: Sequence[str], labels_of: Callable[[str], Sequence[str]], *, selector: str = "") -> list[Panel]:
    """Return panels for the metrics there are: requests, errors, latency, hosts, targets. Pure but for `labels_of`.

    `selector` narrows every query to one thing (label matchers without braces).
    """
    panels = [*_requests(names, labels_of, selector), *_host(names, selector)]
    if "up" in names:
        up = _of("up", selector)
        by = "instance" if selector else "job"
        query = f"sum by ({by}) ({up}) / count by ({by}) ({up})"
        panels.append(
            Panel({"en": "Targets answering", "zh": "采集目标可达率"}, query, "ratio", f"{{{{{by}}}}}", min=0, max=1)
        )
    if "scrape_duration_seconds" in names:
        query = f"max by (job) ({_of('scrape_duration_seconds', selector)})"
        panels.append(Panel({"en": "Slowest scrape", "zh": "最慢采集耗时"}, query, "seconds", "{{job}}", min=0))
    return panels[:9]
