"""/healthz, /readyz and /metrics of the platform itself."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable
from resource import RLIMIT_NOFILE, getrlimit

import psutil
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse, JsonResponse

from tongchou import __version__
from tongchou.core.access import check
from tongchou.core.meters import Family, Labels, by, counter, families, gauge, text
from tongchou.core.problems import NotSignedIn, Problem
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


def _process() -> Iterable[Family]:
    process = psutil.Process()
    with process.oneshot():
        cpu, memory, files = process.cpu_times(), process.memory_info(), process.num_fds()
    yield by("gauge", "tongchou_build_info", "The release that runs.", "version", {__version__: 1})
    yield gauge("process_start_time_seconds", "When this process started, in Unix time.", STARTED)
    yield counter("process_cpu_seconds_total", "CPU time of this process.", cpu.user + cpu.system)
    yield gauge("process_resident_memory_bytes", "Memory of this process.", memory.rss)
    yield gauge("process_open_fds", "Files this process has open.", files)
    yield gauge("process_max_fds", "Most files this process may have open.", getrlimit(RLIMIT_NOFILE)[0])
    yield gauge("tongchou_threads", "Threads of this process.", threading.active_count())


def _host() -> Iterable[Family]:
    """This host in node exporter's names, so that rules written for it work on the embedded default."""
    cpu = psutil.cpu_times()
    modes = [mode for mode in ("user", "system", "idle", "iowait") if hasattr(cpu, mode)]
    times: list[tuple[str, Labels, float]] = [
        ("", (("cpu", "all"), ("mode", each)), getattr(cpu, each)) for each in modes
    ]
    yield Family("node_cpu_seconds_total", "counter", "Seconds the CPUs of this host spent in each mode.", times)
    memory = psutil.virtual_memory()
    yield gauge("node_memory_MemTotal_bytes", "Memory of this host.", memory.total)
    yield gauge("node_memory_MemAvailable_bytes", "Memory of this host that is available.", memory.available)
    one, five, fifteen = os.getloadavg()
    for name, value in (("node_load1", one), ("node_load5", five), ("node_load15", fifteen)):
        yield gauge(name, "Load average of this host.", value)
    disk = psutil.disk_usage(str(settings.DATA if settings.DATA.exists() else "/"))
    data = "mountpoint"
    yield by("gauge", "node_filesystem_size_bytes", "Size of the disk of the data folder.", data, {"data": disk.total})
    yield by("gauge", "node_filesystem_avail_bytes", "Room on the disk of the data folder.", data, {"data": disk.free})
    network = psutil.net_io_counters()
    if network is not None:
        for way, number in (("receive", network.bytes_recv), ("transmit", network.bytes_sent)):
            name = f"node_network_{way}_bytes_total"
            yield by("counter", name, f"Bytes: {way}, all devices.", "device", {"all": number})


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
    body = text([*_process(), *families(), *_host()])
    return HttpResponse(body, content_type="text/plain; version=0.0.4; charset=utf-8")
