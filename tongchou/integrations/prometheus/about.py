"""What the Prometheus API tells of the server itself, and the checks a load balancer asks."""

from __future__ import annotations

import os
import socket
import threading
from datetime import UTC, datetime

import msgspec
import psutil
from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from tongchou import __version__
from tongchou.alerting.run_time_settings import INTERVAL
from tongchou.core import settings_store
from tongchou.core.problems import Problem
from tongchou.integrations.prometheus import answer
from tongchou.integrations.prometheus.request import api
from tongchou.telemetry.backend import default_limits
from tongchou.telemetry.promql.grid import DEFAULT_LOOKBACK_MS
from tongchou.telemetry.reads import store_stats
from tongchou.wire.go_time import rfc3339

API_VERSION = "3.0.0"
_encode = msgspec.json.encode


@api
def build_info(request: HttpRequest) -> bytes:
    """Say what answers here; clients choose features by the version, which is that of the API spoken."""
    return answer.success(
        _encode(
            {
                "version": API_VERSION,
                "revision": f"tongchou {__version__}",
                "branch": "",
                "buildUser": "",
                "buildDate": "",
                "goVersion": "",
            }
        )
    )


@api
def runtime_info(request: HttpRequest) -> bytes:
    """Say how this process runs, in Prometheus's names: goroutines are threads. Folders are not told."""
    started = datetime.fromtimestamp(psutil.Process().create_time(), UTC)
    return answer.success(
        _encode(
            {
                "startTime": rfc3339(started),
                "CWD": "",
                "hostname": socket.gethostname(),
                "serverTime": rfc3339(datetime.now(UTC)),
                "reloadConfigSuccess": True,
                "lastConfigTime": rfc3339(started),
                "corruptionCount": 0,
                "goroutineCount": threading.active_count(),
                "GOMAXPROCS": os.cpu_count() or 1,
                "GOMEMLIMIT": psutil.virtual_memory().total,
                "GOGC": "",
                "GODEBUG": "",
                "storageRetention": f"{_retention_days()}d",
            }
        )
    )


def _retention_days() -> int:
    found: int = settings_store.get("metrics.retention_days")
    return found


@api
def config(request: HttpRequest) -> bytes:
    """Give what of a Prometheus configuration holds here: the intervals. Targets come from the inventory."""
    interval: float = settings_store.get(INTERVAL)
    text = f"global:\n  scrape_interval: {settings.SCRAPE_INTERVAL_SECONDS:g}s\n  evaluation_interval: {interval:g}s\n"
    return answer.success(_encode({"yaml": text}))


@api
def flags(request: HttpRequest) -> bytes:
    """Give the limits of queries and the retention under the names of Prometheus's flags, all as text."""
    limits = default_limits()
    return answer.success(
        _encode(
            {
                "query.lookback-delta": f"{DEFAULT_LOOKBACK_MS // 60_000}m",
                "query.max-concurrency": str(settings.TELEMETRY_MAX_QUERIES),
                "query.max-samples": str(limits.max_samples),
                "query.timeout": f"{limits.timeout_seconds:g}s",
                "storage.tsdb.retention.time": f"{_retention_days()}d",
                "web.enable-remote-write-receiver": "true",
            }
        )
    )


@require_safe
def healthy(request: HttpRequest) -> HttpResponse:
    """Alive: the process answers; nothing is asked of it."""
    return HttpResponse("Prometheus Server is Healthy.\n", content_type="text/plain; charset=utf-8")


@require_safe
def ready(request: HttpRequest) -> HttpResponse:
    """Ready: both stores answer."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        store_stats()
    except (DatabaseError, Problem):
        return HttpResponse("Service Unavailable\n", status=503, content_type="text/plain; charset=utf-8")
    return HttpResponse("Prometheus Server is Ready.\n", content_type="text/plain; charset=utf-8")
