"""Dashboards that come with the platform, offered until somebody adds them, in the language spoken then. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from tongchou.core.problems import Text
from tongchou.telemetry.dashboards.definition import Definition, Name, Panel, Query, Row, Threshold, Variable, placed

ORIGIN = "offered:"
_FULL = (Threshold(None, "ok"), Threshold(0.8, "warning"), Threshold(0.9, "critical"))


@dataclass(frozen=True)
class Offer:
    """One dashboard: `needs` is a metric that must arrive for it to show anything."""

    name: str
    title: Text
    about: Text
    needs: str
    make: Callable[[], Definition]


class _Row:
    """Panels of one row, numbered through the dashboard."""

    def __init__(self, title: str = "", *, after: _Row | None = None) -> None:
        self.title = title
        self.last: int = after.last if after else 0
        self.panels: list[Panel] = []

    def add(self, kind: str, title: str, at: tuple[int, int, int, int], *asked: str | Query, **more: Any) -> None:
        """A panel at (x, y, w, h); a text that is asked is a query without a legend."""
        self.last += 1
        queries = tuple(Query(each) if isinstance(each, str) else each for each in asked)
        x, y, w, h = at
        self.panels.append(Panel(self.last, kind, title, x=x, y=y, w=w, h=h, queries=queries, **more))

    def done(self) -> Row:
        """The row as the definition has it."""
        return placed(Row(self.title, panels=tuple(self.panels)))


def _variable(name: str, label: str, query: str) -> Variable:
    return Variable(name, "query", label, query, sort="name", multi=True, all=True)


# --- hosts ------------------------------------------------------------------------------------------------------------

_HOST = 'job=~"$job",instance=~"$instance"'
_DISK = f'{_HOST},fstype!~"tmpfs|overlay|squashfs|ramfs"'
_BUSY = f'1 - avg by (instance) (rate(node_cpu_seconds_total{{mode="idle",{_HOST}}}[$__rate_interval]))'
_MEMORY = f"1 - node_memory_MemAvailable_bytes{{{_HOST}}} / node_memory_MemTotal_bytes{{{_HOST}}}"
_FILLED = f"1 - node_filesystem_avail_bytes{{{_DISK}}} / node_filesystem_size_bytes{{{_DISK}}}"
_CORES = f'count by (instance) (node_cpu_seconds_total{{mode="idle",{_HOST}}})'
_BY_HOST = "{{instance}}"


def _moved(metric: str, more: str = "") -> Query:
    return Query(f"sum by (instance) (rate({metric}{{{_HOST}{more}}}[$__rate_interval]))", _BY_HOST)


def _hosts() -> Definition:
    share: dict[str, Any] = {"unit": "ratio", "min": 0.0, "max": 1.0}
    top = _Row()
    top.add("stat", _("Hosts answering"), (0, 0, 4, 5), f"sum(up{{{_HOST}}})", unit="plain")
    top.add("gauge", _("Busiest CPU"), (4, 0, 5, 5), f"max({_BUSY})", thresholds=_FULL, **share)
    top.add("gauge", _("Fullest memory"), (9, 0, 5, 5), f"max({_MEMORY})", thresholds=_FULL, **share)
    top.add("gauge", _("Fullest disk"), (14, 0, 5, 5), f"max({_FILLED})", thresholds=_FULL, **share)
    since = f"max(time() - node_boot_time_seconds{{{_HOST}}})"
    top.add("stat", _("Longest without restart"), (19, 0, 5, 5), since, unit="seconds")
    use = _Row(_("CPU, memory, disks"), after=top)
    use.add("graph", _("CPU in use"), (0, 0, 12, 8), Query(_BUSY, _BY_HOST), **share)
    use.add("graph", _("Memory in use"), (12, 0, 12, 8), Query(_MEMORY, _BY_HOST), **share)
    load = Query(f"max by (instance) (node_load5{{{_HOST}}}) / {_CORES}", _BY_HOST)
    use.add("graph", _("Load per core (5 minutes)"), (0, 8, 12, 8), load, thresholds=(Threshold(1.0, "warning"),))
    disks = Query(f"max by (instance, mountpoint) ({_FILLED})", _("In use"))
    use.add("table", _("Disks"), (12, 8, 12, 8), disks, unit="ratio", thresholds=_FULL)
    flow = _Row(_("Network and disk traffic"), after=use)
    wire = ',device!="lo"'
    for place, (title, query) in enumerate(
        (
            (_("Network received"), _moved("node_network_receive_bytes_total", wire)),
            (_("Network sent"), _moved("node_network_transmit_bytes_total", wire)),
            (_("Disk read"), _moved("node_disk_read_bytes_total")),
            (_("Disk written"), _moved("node_disk_written_bytes_total")),
        )
    ):
        flow.add("graph", title, (12 * (place % 2), 8 * (place // 2), 12, 8), query, unit="bytes_per_second")
    job = _variable("job", _("Job"), "label_values(node_filesystem_size_bytes, job)")
    host = _variable("instance", _("Host"), 'label_values(node_filesystem_size_bytes{job=~"$job"}, instance)')
    return Definition(rows=(top.done(), use.done(), flow.done()), variables=(job, host), range="4h")


# --- HTTP services ----------------------------------------------------------------------------------------------------

_JOB = 'job=~"$job"'
_RATE = f"sum by (job) (rate(http_requests_total{{{_JOB}}}[$__rate_interval]))"
_WRONG = f'sum by (job) (rate(http_requests_total{{{_JOB},code=~"5.."}}[$__rate_interval]))'
_RATIO = f"({_WRONG} or 0 * {_RATE}) / ({_RATE} > 0)"
_BUCKETS = f"rate(http_request_duration_seconds_bucket{{{_JOB}}}[$__rate_interval])"


def _quantile(q: float) -> Query:
    return Query(f"histogram_quantile({q}, sum by (le, job) ({_BUCKETS}))", f"p{round(q * 100)} {{{{job}}}}")


def _services() -> Definition:
    steps = (Threshold(None, "ok"), Threshold(0.01, "warning"), Threshold(0.05, "critical"))
    states = (Name(1.0, 1.0, _("up"), "ok"), Name(0.0, 0.0, _("down"), "critical"))
    top = _Row()
    top.add("stat", _("Targets"), (0, 0, 6, 4), Query(f"min by (job) (up{{{_JOB}}})", "{{job}}"), names=states)
    top.add("stat", _("Requests"), (6, 0, 6, 4), f"sum({_RATE})", unit="per_second")
    top.add("stat", _("Errors (5xx)"), (12, 0, 6, 4), f"max({_RATIO})", unit="ratio", thresholds=steps)
    top.add("stat", _("Slowest p95"), (18, 0, 6, 4), f"max({_quantile(0.95).expr})", unit="seconds")
    over = _Row(_("Over time"), after=top)
    over.add("graph", _("Requests"), (0, 0, 12, 8), Query(_RATE, "{{job}}"), unit="per_second", min=0.0)
    limit = (Threshold(0.05, "critical"),)
    wrong = Query(_RATIO, "{{job}}")
    over.add("graph", _("Errors (5xx)"), (12, 0, 12, 8), wrong, unit="ratio", min=0.0, thresholds=limit)
    times = [_quantile(q) for q in (0.5, 0.95, 0.99)]
    over.add("graph", _("Latency"), (0, 8, 12, 8), *times, unit="seconds", min=0.0)
    over.add("heatmap", _("Latency, all requests"), (12, 8, 12, 8), f"sum by (le) ({_BUCKETS})", unit="seconds")
    codes = Query(f"sum by (code) (rate(http_requests_total{{{_JOB}}}[$__rate_interval]))", "{{code}}")
    over.add("graph", _("Answers by code"), (0, 16, 12, 8), codes, unit="per_second", stack=True, draw="bars")
    over.add("log", _("Errors in the logs"), (12, 16, 12, 8), "level:error")
    job = _variable("job", _("Job"), "label_values(http_requests_total, job)")
    return Definition(rows=(top.done(), over.done()), variables=(job,))


# --- the platform itself ----------------------------------------------------------------------------------------------

_OWN = 'job="tongchou"'
_HTTP = "tongchou_http_request_duration_seconds"


def _p95(name: str, by: str) -> Query:
    rate = f"rate({name}_bucket{{{_OWN}}}[$__rate_interval])"
    return Query(f"histogram_quantile(0.95, sum by (le, {by}) ({rate}))", f"{{{{{by}}}}}")


def _platform() -> Definition:
    late = (Threshold(None, "ok"), Threshold(60.0, "warning"), Threshold(600.0, "critical"))
    requests = f"rate({_HTTP}_count{{{_OWN}}}[$__rate_interval])"
    samples = f"sum(rate(tongchou_telemetry_ingested_samples_total{{{_OWN}}}[$__rate_interval]))"
    due = f"max(tongchou_jobs_oldest_due_seconds{{{_OWN}}})"
    top = _Row()
    top.add("stat", _("Requests"), (0, 0, 6, 4), f"sum({requests})", unit="per_second")
    top.add("stat", _("Samples taken"), (6, 0, 6, 4), samples, unit="per_second")
    top.add("stat", _("Oldest due job"), (12, 0, 6, 4), due, unit="seconds", thresholds=late)
    top.add("stat", _("Memory"), (18, 0, 6, 4), f"sum(process_resident_memory_bytes{{{_OWN}}})", unit="bytes")
    over = _Row(_("Over time"), after=top)
    by_part = Query(f"sum by (part) ({requests})", "{{part}}")
    over.add("graph", _("Requests"), (0, 0, 12, 8), by_part, unit="per_second", min=0.0)
    over.add("graph", _("Answer time p95"), (12, 0, 12, 8), _p95(_HTTP, "part"), unit="seconds", min=0.0)
    asked = _p95("tongchou_promql_duration_seconds", "kind")
    over.add("graph", _("Query time p95"), (0, 8, 12, 8), asked, unit="seconds", min=0.0)
    jobs = Query(f'tongchou_jobs{{{_OWN},state!="done"}}', "{{state}}")
    over.add("graph", _("Jobs"), (12, 8, 12, 8), jobs, min=0.0)
    cpu = Query(f"rate(process_cpu_seconds_total{{{_OWN}}}[$__rate_interval])", _("process"))
    over.add("graph", _("CPU"), (0, 16, 12, 8), cpu, unit="ratio", min=0.0)
    stores = (
        Query(f"tongchou_telemetry_bytes_on_disk{{{_OWN}}}", _("telemetry")),
        Query(f"tongchou_database_size_bytes{{{_OWN}}}", _("database")),
    )
    over.add("graph", _("Stores on disk"), (12, 16, 12, 8), *stores, unit="bytes", min=0.0)
    return Definition(rows=(top.done(), over.done()))


OFFERS: tuple[Offer, ...] = (
    Offer(
        "hosts",
        gettext_lazy("Hosts"),
        gettext_lazy("CPU, memory, disks and traffic, as node exporter measures them."),
        "node_filesystem_size_bytes",
        _hosts,
    ),
    Offer(
        "services",
        gettext_lazy("HTTP services"),
        gettext_lazy("Requests, errors and latency of http_requests_total and its histogram."),
        "http_requests_total",
        _services,
    ),
    Offer(
        "platform",
        gettext_lazy("This platform"),
        gettext_lazy("What this platform measures of itself."),
        "tongchou_jobs",
        _platform,
    ),
)


def offer(name: str) -> Offer | None:
    """The offer of a name."""
    return next((each for each in OFFERS if each.name == name), None)
