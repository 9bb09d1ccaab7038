"""Metrics of a Prometheus-compatible server as a backend that PromQL here reads: raw samples come over, once a query.

Three ways to get them, the first one the server knows: remote_read (Prometheus, Mimir, Thanos sidecars: everything,
staleness markers included), export (VictoriaMetrics: the same), a range vector (every server: without the markers, so a
series that ended is seen until the lookback is over).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

import numpy as np
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from tongchou.core.problems import Invalid, Problem
from tongchou.integrations.prometheus_backend import export, remote_read
from tongchou.integrations.prometheus_backend.client import Client, NotSpoken, TooLarge, data_of, unavailable
from tongchou.telemetry.ports import Limits
from tongchou.telemetry.series import Float64s, Int64s, Labels, Matcher, SeriesBlock, labels_of
from tongchou.telemetry.window import in_order
from tongchou.wire.protobuf import MalformedError

log = logging.getLogger(__name__)

SHORTEST_SLICE_MS = 1000
ASK_AGAIN_SECONDS = 600.0  # how long it is remembered what the server speaks
Row = tuple[Labels, Int64s, Float64s]
Read = Callable[[Sequence[Matcher], int, int, float], list[Row]]
MatcherSets = Sequence[Sequence[Matcher]]


class PrometheusBackend:
    """Satisfies `telemetry.ports.RemoteBackend`. Thread-safe."""

    def __init__(self, client: Client | None = None) -> None:
        self.client = client or Client()
        self._lock = threading.Lock()
        self._way: tuple[str, str, float] | None = None  # (server, way, when it was found)
        self._ways: dict[str, Read] = {
            "remote_read": self._remote_read,
            "export": self._export,
            "query": self._query,
        }

    @property
    def configured(self) -> bool:
        """Whether the settings name a server."""
        return bool(settings.PROMETHEUS_URL)

    def select(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, *, limits: Limits) -> SeriesBlock:
        """Samples of the closed interval, read in as many parts as the server and the caps want."""
        deadline = time.monotonic() + limits.timeout_seconds
        waiting, rows, samples = [(start_ms, end_ms)], list[Row](), 0
        while waiting:
            first, last = waiting.pop()
            try:
                found = self._read(matchers, first, last, max(0.001, deadline - time.monotonic()))
            except TooLarge:
                if last - first < SHORTEST_SLICE_MS:
                    raise _over(_("The query reads more than %(limit)d samples."), limits.max_samples) from None
                waiting.extend(reversed(list(remote_read.slices(first, last))))
                continue
            samples += sum(len(ts) for _labels, ts, _v in found)
            if samples > limits.max_samples:
                raise _over(_("The query reads more than %(limit)d samples."), limits.max_samples)
            rows += found
        return _block(rows, limits)

    def _read(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, timeout_seconds: float) -> list[Row]:
        """One part, by the way that the server speaks; the ways are tried in turn when that is not known."""
        with self._lock:
            known = self._way
        if (
            known is not None
            and known[0] == settings.PROMETHEUS_URL
            and time.monotonic() - known[2] < ASK_AGAIN_SECONDS
        ):
            try:
                return self._ways[known[1]](matchers, start_ms, end_ms, timeout_seconds)
            except NotSpoken as refusal:  # another server is there now
                log.info("%s does not speak %s any more: %s", settings.PROMETHEUS_URL, known[1], refusal)
        refusals = []
        for way, read in self._ways.items():
            try:
                found = read(matchers, start_ms, end_ms, timeout_seconds)
            except NotSpoken as refusal:
                refusals.append(f"{way}: {refusal}")
                continue
            log.info("metrics of %s are read by %s", settings.PROMETHEUS_URL, way)
            with self._lock:
                self._way = settings.PROMETHEUS_URL, way, time.monotonic()
            return found
        raise unavailable("; ".join(refusals))

    def _remote_read(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, timeout: float) -> list[Row]:
        body = remote_read.encode_query(matchers, start_ms, end_ms)
        packed = self.client.post_bytes("/api/v1/read", remote_read.HEADERS, body, timeout_seconds=timeout)
        try:
            return remote_read.decode_answer(packed)
        except MalformedError as error:
            raise unavailable(f"remote_read: {error}") from error

    def _export(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, timeout: float) -> list[Row]:
        form = [("match[]", export.selector(matchers)), *_span(start_ms, end_ms)]
        body = self.client.post("/api/v1/export", form, timeout_seconds=timeout)
        try:
            return export.export_rows(body)
        except (ValueError, TypeError, KeyError) as error:
            raise unavailable(f"export: {error}") from error

    def _query(self, matchers: Sequence[Matcher], start_ms: int, end_ms: int, timeout: float) -> list[Row]:
        length = max(1, end_ms - start_ms + 1)
        form = [("query", f"{export.selector(matchers)}[{length}ms]"), ("time", f"{end_ms / 1000:.3f}")]
        data = data_of(self.client.post("/api/v1/query", form, timeout_seconds=timeout))
        try:
            return export.matrix_rows(data, start_ms)
        except (ValueError, TypeError, KeyError) as error:
            raise unavailable(f"query: {error}") from error

    def series(self, matcher_sets: MatcherSets, start_ms: int, end_ms: int, *, limits: Limits) -> list[Labels]:
        """Labels of the series that satisfy any of the sets."""
        found = self._listed("/api/v1/series", matcher_sets or [()], start_ms, end_ms, limits)
        return sorted({labels_of(each) for each in found})

    def label_names(self, matcher_sets: MatcherSets, start_ms: int, end_ms: int, *, limits: Limits) -> list[str]:
        """Sorted label names of those series."""
        return sorted(self._listed("/api/v1/labels", matcher_sets, start_ms, end_ms, limits))

    def label_values(
        self, name: str, matcher_sets: MatcherSets, start_ms: int, end_ms: int, *, limits: Limits
    ) -> list[str]:
        """Sorted values of one label on those series."""
        path = f"/api/v1/label/{quote(name, safe='')}/values"
        return sorted(self._listed(path, matcher_sets, start_ms, end_ms, limits, form=False))

    def _listed(
        self, path: str, sets: MatcherSets, start_ms: int, end_ms: int, limits: Limits, *, form: bool = True
    ) -> list[Any]:
        parameters = [*(("match[]", export.selector(each)) for each in sets), *_span(start_ms, end_ms)]
        send = self.client.post if form else self.client.get
        try:
            found = data_of(send(path, parameters, timeout_seconds=limits.timeout_seconds))
        except TooLarge:
            raise _over(_("The query touches too many series (the limit is %(limit)d)."), limits.max_series) from None
        except NotSpoken as refusal:
            raise unavailable(str(refusal)) from refusal
        if not isinstance(found, list):
            raise unavailable("a list was expected")
        if len(found) > limits.max_series:
            raise _over(_("The query touches too many series (the limit is %(limit)d)."), limits.max_series)
        return found

    def build(self) -> str:
        """What the server says it is, e.g. "2.42.0"; "" when it answers without saying. Raises Unavailable."""
        try:
            data = data_of(self.client.get("/api/v1/status/buildinfo", [], timeout_seconds=5.0))
        except (NotSpoken, TooLarge):
            return ""
        return str(data.get("version", "")) if isinstance(data, dict) else ""

    def way(self) -> str:
        """How samples come over: remote_read, export or query. Raises Unavailable. Asks the server."""
        now = time.time_ns() // 1_000_000
        self.select([Matcher("__name__", "=", "up")], now - 1, now, limits=Limits(timeout_seconds=5.0))
        return self._way[1] if self._way is not None else ""


def _span(start_ms: int, end_ms: int) -> list[tuple[str, str]]:
    return [("start", f"{max(0, start_ms) / 1000:.3f}"), ("end", f"{max(0, end_ms) / 1000:.3f}")]


def _over(text: Any, limit: int) -> Problem:
    return Invalid(
        "telemetry.limit_exceeded", str(text) % {"limit": limit}, remedy=_("Ask for a shorter range or fewer series.")
    )


def _block(rows: Sequence[Row], limits: Limits) -> SeriesBlock:
    """Rows of any parts in any order as a block: a series once, its samples ascending and each time once."""
    # In the order of their labels: which of equals topk takes must not depend on the server.
    place = {labels: at for at, labels in enumerate(sorted({labels for labels, ts, _v in rows if len(ts)}))}
    if len(place) > limits.max_series:
        raise _over(_("The query touches too many series (the limit is %(limit)d)."), limits.max_series)
    if not place:
        return SeriesBlock.empty()
    filled = [row for row in rows if len(row[1])]
    series = np.repeat([place[labels] for labels, _ts, _v in filled], [len(ts) for _labels, ts, _v in filled])
    ts, v = np.concatenate([ts for _l, ts, _v in filled]), np.concatenate([v for _l, _ts, v in filled])
    return SeriesBlock(list(place), *in_order(series.astype(np.int64), ts, v, len(place)))


BACKEND = PrometheusBackend()
