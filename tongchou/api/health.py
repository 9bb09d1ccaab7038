"""/healthz, /readyz and /metrics of the platform itself."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable

import psutil
from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Count
from django.http import HttpRequest, HttpResponse, JsonResponse

from tongchou import __version__
from tongchou.core.access import check
from tongchou.core.models import Event, Job
from tongchou.core.problems import NotSignedIn, Problem
from tongchou.core.seal import unsealed_count
from tongchou.middleware import problem_json
from tongchou.telemetry.reads import store_stats

STARTED = time.time()
PROXY_HEADERS = ("forwarded", "x-forwarded-", "x-real-ip", "via")  # how the headers a reverse proxy adds begin


def healthz(request: HttpRequest) -> HttpResponse:
    """Alive: the process answers. No database is asked, so a slow one does not get the process killed."""
    return JsonResponse({"status": "ok", "version": __version__})


def readyz(request: HttpRequest) -> HttpResponse:
    """Ready: both stores answer. 503 names the one that does not."""
    failing: dict[str, str] = {}
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        failing["database"] = type(error).__name__
    try:
        store_stats()
    except Problem as error:
        failing["telemetry"] = error.code
    return JsonResponse(
        {"status": "unavailable" if failing else "ok", "failing": failing}, status=503 if failing else 200
    )


def _line(name: str, value: float, **labels: str) -> str:
    inside = ",".join(f'{key}="{text}"' for key, text in labels.items())
    return f"{name}{{{inside}}} {value:g}" if inside else f"{name} {value!r}"


def _metrics() -> Iterable[str]:
    process = psutil.Process()
    with process.oneshot():
        cpu, memory, files = process.cpu_times(), process.memory_info(), process.num_fds()
    yield "# TYPE tongchou_build_info gauge"
    yield _line("tongchou_build_info", 1, version=__version__)
    yield "# TYPE process_start_time_seconds gauge"
    yield _line("process_start_time_seconds", STARTED)
    yield "# TYPE process_cpu_seconds_total counter"
    yield _line("process_cpu_seconds_total", cpu.user + cpu.system)
    yield "# TYPE process_resident_memory_bytes gauge"
    yield _line("process_resident_memory_bytes", memory.rss)
    yield "# TYPE process_open_fds gauge"
    yield _line("process_open_fds", files)
    yield "# TYPE tongchou_threads gauge"
    yield _line("tongchou_threads", threading.active_count())
    yield "# TYPE tongchou_jobs gauge"
    for state, count in Job.objects.values_list("state").annotate(n=Count("pk")):
        yield _line("tongchou_jobs", count, state=state)
    yield "# TYPE tongchou_ledger_events gauge"
    newest = Event.objects.order_by("-pk").values_list("pk", flat=True).first()
    yield _line("tongchou_ledger_events", newest or 0)
    yield "# TYPE tongchou_ledger_unsealed gauge"
    yield _line("tongchou_ledger_unsealed", unsealed_count())
    for name, value in store_stats().items():
        yield f"# TYPE tongchou_telemetry_{name} gauge"
        yield _line(f"tongchou_telemetry_{name}", float(value))
    yield from _host()


def _host() -> Iterable[str]:
    """This host in node exporter's names, so that rules written for it work on the embedded default."""
    cpu = psutil.cpu_times()
    yield "# TYPE node_cpu_seconds_total counter"
    for mode in ("user", "system", "idle", "iowait"):
        if hasattr(cpu, mode):
            yield _line("node_cpu_seconds_total", getattr(cpu, mode), cpu="all", mode=mode)
    memory = psutil.virtual_memory()
    yield "# TYPE node_memory_MemTotal_bytes gauge"
    yield _line("node_memory_MemTotal_bytes", memory.total)
    yield "# TYPE node_memory_MemAvailable_bytes gauge"
    yield _line("node_memory_MemAvailable_bytes", memory.available)
    one, five, fifteen = os.getloadavg()
    for name, value in (("node_load1", one), ("node_load5", five), ("node_load15", fifteen)):
        yield f"# TYPE {name} gauge"
        yield _line(name, value)
    disk = psutil.disk_usage(str(settings.DATA if settings.DATA.exists() else "/"))
    yield "# TYPE node_filesystem_size_bytes gauge"
    yield _line("node_filesystem_size_bytes", disk.total, mountpoint="data")
    yield "# TYPE node_filesystem_avail_bytes gauge"
    yield _line("node_filesystem_avail_bytes", disk.free, mountpoint="data")
    network = psutil.net_io_counters()
    if network is not None:
        yield "# TYPE node_network_receive_bytes_total counter"
        yield _line("node_network_receive_bytes_total", network.bytes_recv, device="all")
        yield "# TYPE node_network_transmit_bytes_total counter"
        yield _line("node_network_transmit_bytes_total", network.bytes_sent, device="all")


def _from_this_host(request: HttpRequest) -> bool:
    """Whether the caller sits on this host: loopback, and no reverse proxy that speaks for somebody else."""
    passed_on = any(name.lower().startswith(PROXY_HEADERS) for name in request.headers)
    return request.META.get("REMOTE_ADDR") in ("127.0.0.1", "::1") and not passed_on


def metrics(request: HttpRequest) -> HttpResponse:
    """The platform's own metrics, as Prometheus text. Open on this host; elsewhere it needs a token that may read."""
    try:
        if not _from_this_host(request):
            actor = request.actor  # type: ignore[attr-defined]  # set by actor_middleware
            if actor.kind == "nobody":
                raise NotSignedIn("metrics.not_signed_in", "Send Authorization: Bearer tc_...")
            check(actor, "telemetry.view")
    except Problem as problem:
        return problem_json(problem)
    return HttpResponse("\n".join(_metrics()) + "\n", content_type="text/plain; version=0.0.4; charset=utf-8")
