"""Ten times the demo's load on a served platform, and what the platform takes for it.

The demo shop (measured): about 1,900 series and 270 samples a second by scrape and remote_write, 5 log lines a second,
an alert now and then, one person looking. Here: HOSTS x SERIES series written every EVERY_SECONDS, LINES lines a
second, FLAPPING alerts that fire and resolve each minute, pages and API reads without pause, live streams opened and
broken off.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import cramjam
import httpx
import psutil

from tests.served import Served
from tongchou.wire.remote_write import encode_labels, encode_series

HOSTS, SERIES, EVERY_SECONDS = 70, 270, 7.0
SENDERS = 5
LINES = 50
FLAPPING, FLAP_SECONDS = 10, 60.0
STREAMS, STREAM_SECONDS = 5, 20.0
PAGES = ("/", "/alerts", "/incidents", "/resources", "/events", "/logs", "/jobs", "/map", "/runs", "/deployments",
         "/explore", "/storage", "/admin/platform")  # fmt: skip
READS = (
    "/api/v1/alerts", "/api/v1/incidents", "/api/v1/events", "/api/v1/resources", "/api/v1/jobs",
    "/prometheus/api/v1/query?query=sum by (host) (soak_value)", "/prometheus/api/v1/labels",
    "/api/v1/logs?query=service:soak level:error&limit=100",
)  # fmt: skip
RULES = """groups:
- name: soak
  interval: 5s
  rules:
  - alert: Flapping
    expr: soak_flap > 0
    labels: {severity: critical}
    annotations: {summary: "{{ $labels.host }} is at {{ $value }}"}
"""
PROTO = {"Content-Encoding": "snappy", "Content-Type": "application/x-protobuf"}


@dataclass
class Load:
    """What was sent and answered. Written by many threads, each key by one."""

    served: Served
    password: str
    over: threading.Event = field(default_factory=threading.Event)
    acknowledged: Counter[str] = field(default_factory=Counter)
    unknown: Counter[str] = field(default_factory=Counter)  # sent, and no answer came
    requests: Counter[str] = field(default_factory=Counter)
    busy: Counter[str] = field(default_factory=Counter)  # 429 and 503: told to come again
    refused: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    latencies: dict[str, list[float]] = field(default_factory=lambda: {"write": [], "page": [], "read": []})
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Begin all of it."""
        work: list[Callable[[], None]] = [self._lines, self._flaps, self._pages, self._reads, *[self._stream] * STREAMS]
        work += [partial(self._series, range(first, HOSTS, SENDERS)) for first in range(SENDERS)]
        for each in work:
            name = getattr(each, "__name__", "_series")
            thread = threading.Thread(target=each, name=name, daemon=True)
            thread.start()
            self.threads.append(thread)

    def stop(self) -> list[str]:
        """End all of it; the names of what had ended before it was told to."""
        early = [each.name for each in self.threads if not each.is_alive()]
        self.over.set()
        for thread in self.threads:
            thread.join(60)
        return early

    def _ask(self, kind: str, ask: Callable[[], httpx.Response], tally: str = "", count: int = 0) -> bool:
        """Send one request and note how it went; `count` of `tally` were in it."""
        begun = time.monotonic()
        self.requests[kind] += 1
        try:
            answer = ask()
        except httpx.HTTPError as error:
            self.broken.append(f"{kind}: {error!r}")
            self.unknown[tally] += count
            return False
        self.latencies[kind].append(time.monotonic() - begun)
        if answer.status_code in (429, 503):
            self.busy[kind] += 1
        elif answer.status_code >= 400:
            self.refused.append(f"{kind} {answer.request.url.path}: {answer.status_code} {answer.text[:300]}")
        else:
            self.acknowledged[tally] += count
            return True
        return False

    def _series(self, mine: range) -> None:
        labels = {
            host: [
                encode_labels([("__name__", "soak_value"), ("host", f"host-{host:02d}"), ("part", f"p{part}")])
                for part in range(SERIES)
            ]
            for host in mine
        }
        due = time.monotonic()
        with self.served.client() as client:
            while not self.over.is_set():
                for host in mine:
                    now = time.time_ns() // 1_000_000
                    body = b"".join(encode_series(each, [(now, float(at))]) for at, each in enumerate(labels[host]))
                    self._write(client, body, f"host-{host:02d}", SERIES)
                    due += EVERY_SECONDS / len(mine)  # by the clock: what a slow answer took is made up for
                    if self.over.wait(max(0.0, due - time.monotonic())):
                        return

    def _write(self, client: httpx.Client, body: bytes, tally: str, count: int) -> None:
        packed = bytes(cramjam.snappy.compress_raw(body))
        self._ask("write", lambda: client.post("/prometheus/api/v1/write", content=packed, headers=PROTO), tally, count)

    def _lines(self) -> None:
        due = time.monotonic()
        with self.served.client() as client:
            while not self.over.is_set():
                now = time.time_ns()
                values = [
                    [str(now + at), f'level={"error" if at % 17 == 0 else "info"} msg="order {now + at} placed"']
                    for at in range(LINES)
                ]
                body = {"streams": [{"stream": {"service": "soak"}, "values": values}]}
                self._ask("write", lambda body=body: client.post("/loki/api/v1/push", json=body), "lines", LINES)  # type: ignore[misc]  # a default binds the loop's value
                due += 1
                self.over.wait(max(0.0, due - time.monotonic()))

    def _flaps(self) -> None:
        with self.served.client() as client:
            while not self.over.is_set():
                now = time.time()
                body = b"".join(
                    encode_series(
                        encode_labels([("__name__", "soak_flap"), ("host", f"flap-{each}")]),
                        [(int(now * 1000), float((now / FLAP_SECONDS + each / FLAPPING) % 1 > 0.5))],
                    )
                    for each in range(FLAPPING)
                )
                self._write(client, body, "flaps", FLAPPING)
                self.over.wait(5)

    def signed_in(self) -> httpx.Client:
        """A browser's client, signed in."""
        client = httpx.Client(base_url=self.served.url, timeout=60)
        client.get("/accounts/login/")
        form = {"login": "admin", "password": self.password, "csrfmiddlewaretoken": client.cookies["csrftoken"]}
        answer = client.post("/accounts/login/", data=form, headers={"Referer": self.served.url})
        assert answer.status_code == 302, answer.text[:500]
        return client

    def _pages(self) -> None:
        with closing(self.signed_in()) as client:
            while not self.over.is_set():
                for page in PAGES:
                    self._ask("page", lambda page=page: client.get(page))  # type: ignore[misc]  # a default binds the loop's value
                    if self.over.wait(0.3):
                        return

    def _reads(self) -> None:
        with self.served.client() as client:
            while not self.over.is_set():
                for read in READS:
                    self._ask("read", lambda read=read: client.get(read))  # type: ignore[misc]  # a default binds the loop's value
                    if self.over.wait(0.15):
                        return

    def _stream(self) -> None:
        with closing(self.signed_in()) as client:
            while not self.over.is_set():
                with suppress(httpx.TimeoutException), client.stream("GET", "/live/events") as stream:
                    end = time.monotonic() + STREAM_SECONDS
                    for _line in stream.iter_lines():
                        if time.monotonic() > end or self.over.is_set():
                            break  # as a page that is closed


COLUMNS = ("minutes", "rss_mb", "pss_mb", "anon_mb", "window_mb", "cache_mb", "threads", "fds", "database_mb", "store_mb",
           "jobs_queued", "jobs_dead", "streams", "write_p50_ms", "write_p95_ms", "page_p50_ms", "page_p95_ms", "read_p50_ms", "read_p95_ms",
           "samples", "lines", "host_load")  # fmt: skip


def memory(processes: list[psutil.Process]) -> dict[str, float]:
    """Resident memory three ways, in MB.

    RSS counts a page of SQLite's file once for every connection that maps it (forty times). PSS counts it once, and less
    of a library while another process has it too. Anon is what the process itself asked for, and what is judged.
    """
    kilobytes: Counter[str] = Counter()
    for each in processes:
        told = Path(f"/proc/{each.pid}/smaps_rollup").read_text()
        kilobytes.update(
            {name: int(size) for name, size in re.findall(r"^(Rss|Pss|Pss_Anon): +(\d+) kB$", told, re.MULTILINE)}
        )
    return {
        "rss_mb": kilobytes["Rss"] / 1e3,
        "pss_mb": kilobytes["Pss"] / 1e3,
        "anon_mb": kilobytes["Pss_Anon"] / 1e3,
    }


def sample(load: Load, since: float, client: httpx.Client) -> dict[str, float]:
    """One line of the table: the process from outside, and what it says of itself."""
    assert load.served.process is not None
    top = psutil.Process(load.served.process.pid)
    processes = [top, *top.children(recursive=True)]
    said = client.get("/metrics").text

    def metric(name: str) -> float:
        found = re.search(rf"^{re.escape(name)} (\S+)$", said, re.MULTILINE)
        assert found is not None, f"/metrics has no {name}"
        return float(found[1])

    row: dict[str, Any] = {
        "minutes": (time.monotonic() - since) / 60,
        **memory(processes),
        "window_mb": metric("tongchou_telemetry_window_bytes") / 1e6,
        "cache_mb": metric("tongchou_telemetry_cache_bytes") / 1e6,
        "threads": sum(each.num_threads() for each in processes),
        "fds": sum(each.num_fds() for each in processes),
        "database_mb": metric("tongchou_database_size_bytes") / 1e6,
        "store_mb": metric("tongchou_telemetry_bytes_on_disk") / 1e6,
        "jobs_queued": metric('tongchou_jobs{state="queued"}'),
        "jobs_dead": metric('tongchou_jobs{state="dead"}'),
        "streams": metric("tongchou_http_streams"),
        "samples": sum(load.acknowledged[f"host-{host:02d}"] for host in range(HOSTS)),
        "lines": load.acknowledged["lines"],
        "host_load": psutil.getloadavg()[0],
    }
    for kind, times in load.latencies.items():
        taken = sorted(times[:])
        del times[: len(taken)]
        for share in (50, 95):
            row[f"{kind}_p{share}_ms"] = taken[len(taken) * share // 100] * 1000 if taken else 0.0
    return {name: float(row[name]) for name in COLUMNS}
