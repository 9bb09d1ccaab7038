"""What a metric measures and in which unit, read from its name as Prometheus's naming conventions have it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Kind = Literal["errors", "latency", "cpu", "memory", "disk", "queue", "traffic", "other"]
Unit = Literal["bytes", "bytes_per_second", "seconds", "ratio", "per_second", "cores", "count"]
Form = Literal["gauge", "counter", "histogram", "skip"]

# By how much a quantity of a kind must at least move to be worth a word, in its unit: less is true but tells nothing.
FLOORS: dict[Kind, float] = {
    "errors": 0.002, "latency": 0.005, "cpu": 0.05, "memory": 2_000_000.0, "disk": 0.01, "queue": 1.0, "traffic": 0.2,
    "other": 0.0,
}  # fmt: skip
ERROR_LABELS = ("code", "status", "status_code", "http_status", "response_code", "outcome", "result", "grpc_code")
_SKIP = re.compile(
    r"^(up|ALERTS.*|scrape_.*|.*_info|.*_created|.*start_time.*|.*_limit|.*_max|.*_max_.*|.*virtual_memory.*|go_.*"
    r"|promhttp_.*|.*_build.*|.*last_gc.*|python_gc.*|process_max_fds)$"
)
_CLIENT = re.compile(r"client|upstream|outgoing|egress")
_ERRORS = re.compile(r"error|fail|drop|reject|refus|timeout|exception|retr(y|ies)|abort|panic|oom|throttl")
_REQUESTS = re.compile(r"(request|response|quer(y|ie)|rpc|message|call|transaction|order|visit|handled)s?(_|$)")
_CPU = re.compile(r"cpu")
_MEMORY = re.compile(r"resident|working_set|memory|mem_|_mem|heap|rss", re.IGNORECASE)
_FREE = re.compile(r"avail|free|unused|remaining|headroom", re.IGNORECASE)
_DISK = re.compile(r"filesystem|disk|volume|inode")
_QUEUE = re.compile(r"in_flight|queue|pending|backlog|waiting|lag|connection|session|thread|open_fds|pool|active_req")
_LATENCY = re.compile(r"latency|duration|response_time|_lat(_|$)|elapsed")
_BAD = re.compile(r"5\d\d|5xx|error|fail.*|timeout|none|unavailable|internal|unknown|deadline_exceeded", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Meaning:
    """`bad` is the direction that hurts: 1 up, -1 down, 0 either may tell something."""

    form: Form
    kind: Kind
    unit: Unit
    bad: int


def meaning(name: str) -> Meaning:
    """Return what a metric name says of its samples; a histogram is known by its `_bucket` series."""
    if _SKIP.match(name):
        return Meaning("skip", "other", "count", 0)
    client = bool(_CLIENT.search(name))
    if name.endswith("_bucket"):
        base = name.removesuffix("_bucket")
        if client or not (base.endswith("_seconds") or _LATENCY.search(base)):
            return Meaning("histogram", "other", "seconds" if base.endswith("_seconds") else "count", 1)
        return Meaning("histogram", "latency", "seconds", 1)
    if name.endswith(("_total", "_count")):
        return _counter(name, client=client)
    if name.endswith("_sum"):
        return Meaning("skip", "other", "count", 0)
    return _gauge(name)


def _counter(name: str, *, client: bool) -> Meaning:
    if _CPU.search(name) and "seconds" in name:
        return Meaning("counter", "cpu", "cores", 1)
    if client:
        return Meaning("counter", "other", "per_second", 0)
    if _ERRORS.search(name):
        return Meaning("counter", "errors", "per_second", 1)
    if "bytes" in name:
        return Meaning("counter", "other", "bytes_per_second", 0)
    if _REQUESTS.search(name.removesuffix("_total").removesuffix("_count")):
        return Meaning("counter", "traffic", "per_second", 0)
    return Meaning("counter", "other", "per_second", 0)


def _gauge(name: str) -> Meaning:
    unit: Unit = "bytes" if "bytes" in name else "seconds" if name.endswith("_seconds") else "count"
    if "ratio" in name or "percent" in name:
        unit = "ratio"
    falling = -1 if _FREE.search(name) else 1
    if _DISK.search(name):
        return Meaning("gauge", "disk" if falling < 0 or "used" in name else "other", unit, falling)
    if _MEMORY.search(name):
        return Meaning("gauge", "memory", unit, falling)
    if _CPU.search(name):
        return Meaning("gauge", "cpu", unit, 1)
    if _QUEUE.search(name):
        return Meaning("gauge", "queue", unit, 1)
    if _LATENCY.search(name):
        return Meaning("gauge", "latency", unit, 1)
    if _ERRORS.search(name):
        return Meaning("gauge", "errors", unit, 1)
    return Meaning("gauge", "other", unit, 0)


def outcome_label(labels: Mapping[str, str]) -> str | None:
    """Return the label that tells good from bad requests, None where there is none."""
    return next((name for name in ERROR_LABELS if name in labels), None)


def is_bad(value: str) -> bool:
    """Tell whether a value of an outcome label means that the request failed through no fault of its sender."""
    return _BAD.fullmatch(value) is not None


def counts_cpu_work(labels: Mapping[str, str]) -> bool:
    """Tell whether a CPU counter's mode is work (node_exporter counts idle and waiting time too)."""
    return labels.get("mode", "user") not in ("idle", "iowait", "steal")
