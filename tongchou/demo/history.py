"""Three shop days that never happened, as remote_write: so that baselines and "same time yesterday" exist at once.

The series carry the names and labels of the live ones. Rates follow the same curve as the live load, with noise;
counters only grow. Samples are old, in order, and end where live scraping begins.
"""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import cramjam
import httpx

from tongchou.demo.shop.curve import phase_at, shape
from tongchou.demo.shop.goods import PRICES_FEN
from tongchou.demo.shop.load import CHECKOUT_SHARE
from tongchou.demo.shop.metrics import LATENCY_BUCKETS
from tongchou.demo.shop.stateless import RENDER_SECONDS
from tongchou.demo.topology import ENVIRONMENT, SHOP
from tongchou.wire.remote_write import encode_labels, encode_series

BATCH_SAMPLES = 40_000
AVERAGE_ORDER_CNY = sum(PRICES_FEN.values()) / len(PRICES_FEN) / 100 * 1.6 * 1.33 * 0.98
_SERVICE_OF = {spec.name: spec.service for spec in SHOP}


@dataclass(frozen=True, slots=True)
class Flow:
    """One route of one process: `share` of visits that reach it, its usual latency, how often it fails."""

    instance: str
    method: str
    route: str
    share: float
    median_seconds: float
    error_code: str = "503"


@dataclass(frozen=True, slots=True)
class Plan:
    """Which time to fill. Unix seconds; `noon` as in the load generator.

    The last `dense_seconds` have a sample every `dense_step_seconds`, as live scraping goes on: where the distance of
    samples changes inside a window, a rate extrapolates by the shorter one and loses sales that were made.
    """

    end: float
    day_seconds: float
    noon: float
    visits_per_second: float
    days: int = 3  # what an outage costs is told from at least two whole earlier days
    step_seconds: float = 15.0
    dense_seconds: float = 0.0
    dense_step_seconds: float = 1.0
    seed: int = 1


Labels = tuple[tuple[str, str], ...]
Line = tuple[Labels, Sequence[tuple[int, float]]]

_CHECKOUT = CHECKOUT_SHARE
PAGE_SECONDS = sum(RENDER_SECONDS) / 2
FLOWS: tuple[Flow, ...] = (
    *(Flow(f"storefront-{n}", "GET", "/", 0.5, PAGE_SECONDS, "502") for n in (1, 2)),
    *(Flow(f"storefront-{n}", "POST", "/checkout", _CHECKOUT / 2, 0.013, "502") for n in (1, 2)),
    Flow("catalogue-1", "GET", "/goods", 1.0, 0.002),
    *(Flow(f"orders-{n}", "POST", "/orders", _CHECKOUT / 2, 0.011) for n in (1, 2)),
    *(Flow(f"payments-{n}", "POST", "/charges", _CHECKOUT / 2, 0.008) for n in (1, 2)),
    Flow("cache-1", "GET", "/values/*", 1.0, 0.0004),
    Flow("database-primary", "POST", "/orders", _CHECKOUT * 0.98, 0.002),
    Flow("database-standby", "GET", "/goods", 0.01, 0.001),
)


def _labels(instance: str, name: str, *extra: tuple[str, str]) -> Labels:
    service = _SERVICE_OF[instance]
    fixed = (("job", service), ("service", service), ("env", ENVIRONMENT), ("instance", instance))
    return (("__name__", name), *fixed, *extra)


def _below(bound: float, median: float) -> float:
    """Share of log-normally distributed answers (sigma 0.5) that take at most `bound` seconds."""
    return 0.5 * (1 + math.erf(math.log(bound / median) / (0.5 * math.sqrt(2))))


class Generator:
    """Lines of one plan. The same plan gives the same lines."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._random = random.Random(plan.seed)
        sparse = int((plan.days * plan.day_seconds - plan.dense_seconds) / plan.step_seconds)
        dense = int(plan.dense_seconds / plan.dense_step_seconds)
        self._steps = [plan.step_seconds] * sparse + [plan.dense_step_seconds] * dense
        first = plan.end - sum(self._steps[1:])
        self.times_ms = [int((first + after) * 1000) for after in itertools.accumulate(self._steps[1:], initial=0.0)]
        self._visits = self._rates()

    def _rates(self) -> list[float]:
        """Visits in each step: the curve with slow noise (half-life 75 s) and the scatter of arrivals."""
        plan, drift, out = self._plan, 0.0, []
        for at_ms, step in zip(self.times_ms, self._steps, strict=True):
            kept = 0.87 ** (step / 15.0)
            drift = kept * drift + self._random.gauss(0, 0.02 * math.sqrt((1 - kept**2) / (1 - 0.87**2)))
            phase = phase_at(at_ms / 1000, plan.day_seconds, plan.noon)
            expected = plan.visits_per_second * shape(phase) * (1 + drift) * step
            out.append(max(0.0, self._random.gauss(expected, math.sqrt(expected))))
        return out

    def _counter(self, labels: Labels, per_visit: float, *, whole: bool = True, noise: float = 0.0) -> Line:
        """A counter that grows by `per_visit` for each visit."""
        total, samples = 0.0, []
        for at_ms, visits in zip(self.times_ms, self._visits, strict=True):
            total += visits * per_visit * (max(0.0, self._random.gauss(1, noise)) if noise else 1.0)
            samples.append((at_ms, math.floor(total) if whole else round(total, 2)))
        return labels, samples

    def _gauge(self, labels: Labels, value: Callable[[float], float]) -> Line:
        """A gauge that is a function of the visits per second, give or take 3 %."""
        return labels, [
            (at_ms, value(visits / step) * self._random.gauss(1, 0.03))
            for at_ms, visits, step in zip(self.times_ms, self._visits, self._steps, strict=True)
        ]

    def _constant(self, labels: Labels, value: float) -> Line:
        return labels, [(at_ms, value) for at_ms in self.times_ms]

    def lines(self) -> Iterator[Line]:
        """Every series of the shop."""
        for flow in FLOWS:
            yield from self._flow(flow)
        for instance in _SERVICE_OF:
            yield from self._process(instance)
        yield from self._business()
        yield from self._stores()

    def _histogram(
        self, instance: str, name: str, share: float, median: float, *extra: tuple[str, str]
    ) -> Iterator[Line]:
        for bound in LATENCY_BUCKETS:
            labels = _labels(instance, f"{name}_bucket", *extra, ("le", str(bound)))
            yield self._counter(labels, share * _below(bound, median))
        yield self._counter(_labels(instance, f"{name}_bucket", *extra, ("le", "+Inf")), share)
        yield self._counter(_labels(instance, f"{name}_count", *extra), share)
        yield self._counter(_labels(instance, f"{name}_sum", *extra), share * median * 1.13, whole=False)

    def _flow(self, flow: Flow) -> Iterator[Line]:
        route = (("method", flow.method), ("route", flow.route))
        stored = flow.route == "/checkout" or flow.instance.startswith("orders")
        code = "201" if stored else "200"
        yield self._counter(_labels(flow.instance, "http_requests_total", *route, ("code", code)), flow.share * 0.999)
        failed = _labels(flow.instance, "http_requests_total", *route, ("code", flow.error_code))
        yield self._counter(failed, flow.share * 0.001)
        name = "http_request_duration_seconds"
        yield from self._histogram(flow.instance, name, flow.share, flow.median_seconds, *route)

    def _process(self, instance: str) -> Iterator[Line]:
        yield self._constant(_labels(instance, "up"), 1.0)
        if _SERVICE_OF[instance] == "load-balancer":
            return  # HAProxy has its own names for the rest
        yield self._counter(_labels(instance, "process_cpu_seconds_total"), 0.0012, whole=False, noise=0.1)
        memory = self._random.uniform(24e6, 27e6)
        yield self._gauge(_labels(instance, "process_resident_memory_bytes"), lambda rate: memory + 5e4 * rate)
        busy = sum(flow.share * flow.median_seconds for flow in FLOWS if flow.instance == instance)
        yield self._gauge(_labels(instance, "http_requests_in_flight"), lambda rate: rate * busy)

    def _business(self) -> Iterator[Line]:
        for instance in ("orders-1", "orders-2"):
            share = _CHECKOUT / 2
            revenue = _labels(instance, "shop_revenue_cny_total")
            yield self._counter(revenue, share * 0.98 * AVERAGE_ORDER_CNY, whole=False, noise=0.08)
            for outcome, part in (("accepted", 0.979), ("declined", 0.02), ("failed", 0.001)):
                yield self._counter(_labels(instance, "shop_orders_total", ("outcome", outcome)), share * part)
        name = "shop_customer_request_duration_seconds"
        for action, share, median in (("browse", 1.0, PAGE_SECONDS + 0.001), ("checkout", _CHECKOUT, 0.015)):
            for outcome, part in (("ok", 0.999), ("error", 0.001)):
                labels = _labels(
                    "customers-1", "shop_customer_requests_total", ("action", action), ("outcome", outcome)
                )
                yield self._counter(labels, share * part)
            yield from self._histogram("customers-1", name, share, median, ("action", action))
        yield self._gauge(_labels("customers-1", "shop_load_target_visits_per_second"), lambda rate: rate)

    def _stores(self) -> Iterator[Line]:
        yield self._counter(_labels("cache-1", "cache_hits_total"), 0.985)
        yield self._counter(_labels("cache-1", "cache_misses_total"), 0.015)
        for proxy, share in (("storefront", 1.0 + _CHECKOUT), ("payments", _CHECKOUT)):
            for code, part in (("2xx", 0.994), ("4xx", 0.005), ("5xx", 0.001)):
                labels = _labels(
                    "load-balancer-1", "haproxy_backend_http_responses_total", ("proxy", proxy), ("code", code)
                )
                yield self._counter(labels, share * part)
        for instance, role in (("database-primary", "primary"), ("database-standby", "standby")):
            for name in ("primary", "standby"):
                yield self._constant(_labels(instance, "database_role", ("role", name)), float(name == role))
            yield self._counter(_labels(instance, "database_log_position"), _CHECKOUT * 0.98)
        yield self._constant(_labels("database-primary", "database_degraded"), 0.0)
        yield self._constant(_labels("database-primary", "database_replication_lag_entries"), 0.0)


def requests(lines: Iterable[Line]) -> Iterator[tuple[bytes, int]]:
    """(body of a remote_write request, samples in it), of whole series, about BATCH_SAMPLES each."""
    parts: list[bytes] = []
    samples = 0
    for labels, values in lines:
        parts.append(encode_series(encode_labels(labels), values))
        samples += len(values)
        if samples >= BATCH_SAMPLES:
            yield bytes(cramjam.snappy.compress_raw(b"".join(parts))), samples
            parts, samples = [], 0
    if parts:
        yield bytes(cramjam.snappy.compress_raw(b"".join(parts))), samples


def push(plan: Plan, url: str, token: str, progress: Callable[[int], None] | None = None) -> int:
    """Send the plan's history to a remote_write URL; returns the samples sent. Raises httpx.HTTPError."""
    headers = {
        **({"Authorization": f"Bearer {token}"} if token else {}),
        "Content-Encoding": "snappy",
        "Content-Type": "application/x-protobuf",
        "X-Prometheus-Remote-Write-Version": "0.1.0",
    }
    total = 0
    with httpx.Client(timeout=60.0, trust_env=False) as client:
        for body, samples in requests(Generator(plan).lines()):
            client.post(url, content=body, headers=headers).raise_for_status()
            total += samples
            if progress is not None:
                progress(total)
    return total
