"""The scrape loop: one asyncio thread, a task per target, so that a target that hangs holds up nobody else."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Container, Mapping
from concurrent.futures import Future
from dataclasses import replace
from typing import Protocol
from uuid import UUID

from tongchou.core.http import HttpError, Place, Response
from tongchou.core.problems import Problem
from tongchou.inventory.reads import EndpointRow
from tongchou.telemetry import target_health
from tongchou.telemetry.admit import SOURCE_RATE_LIMIT, SOURCE_SERIES_LIMIT, Refusals
from tongchou.telemetry.scrape import Batch, TargetSeries, first_due, next_due, stamp_ms
from tongchou.telemetry.sender_limits import current, target_name
from tongchou.telemetry.series import Float64s, Int64s, Labels
from tongchou.telemetry.target_health import TargetHealth
from tongchou.wire.exposition import ACCEPT, Exposition, ExpositionError, format_of, parse

MAX_BODY_BYTES = 10 * 1024 * 1024
LARGE_BODY_BYTES = 256 * 1024
REFRESH_SECONDS = 5.0
MIN_INTERVAL_SECONDS = 0.2
_WAKE_SECONDS = 0.25

log = logging.getLogger(__name__)


class Sink(Protocol):
    """Where samples go: the telemetry of this process."""

    def row(self, labels: Labels) -> int:
        """The row of a series, made when it is new."""
        ...

    def submit(self, rows: Int64s, ts: Int64s, v: Float64s, *, source: str = "") -> Future[None]:
        """Queue samples of a source."""
        ...

    def reject(self, source: str, refused: Refusals) -> None:
        """Remember what was refused of a source's samples."""
        ...


class ScrapeLoop:
    """Scrapes what `endpoints()` lists until stopped. `endpoints` may block; it runs in a thread every few seconds."""

    def __init__(self, endpoints: Callable[[], list[EndpointRow]], sink: Sink) -> None:
        self._endpoints = endpoints
        self._sink = sink
        self._tasks: dict[UUID, tuple[EndpointRow, asyncio.Task[None]]] = {}

    def run(self, stop: threading.Event) -> None:
        """Scrape until `stop` is set. Raises what `endpoints` raises at the first call."""
        asyncio.run(self._run(stop))

    async def _run(self, stop: threading.Event) -> None:
        try:
            await self._refresh()
            refreshed = time.monotonic()
            while not stop.is_set():
                await asyncio.sleep(_WAKE_SECONDS)
                if time.monotonic() - refreshed >= REFRESH_SECONDS:
                    await self._refresh()
                    refreshed = time.monotonic()
        finally:
            for _endpoint, task in self._tasks.values():
                task.cancel()
            await asyncio.gather(*(task for _endpoint, task in self._tasks.values()), return_exceptions=True)
            self._tasks.clear()

    async def _refresh(self) -> None:
        """Start tasks for new or changed endpoints, end those of gone ones (their series end with a marker)."""
        wanted = {each.id: each for each in await asyncio.to_thread(self._endpoints)}
        for endpoint_id, (endpoint, task) in list(self._tasks.items()):
            if task.done():
                del self._tasks[endpoint_id]
                if not task.cancelled() and task.exception() is not None:
                    log.error("scraping %s ended", endpoint.url, exc_info=task.exception())
            elif wanted.get(endpoint_id) != endpoint:
                del self._tasks[endpoint_id]
                task.cancel("gone")
        target_health.forget(
            [each.endpoint_id for each in target_health.target_health() if each.endpoint_id not in wanted]
        )
        for endpoint_id, endpoint in wanted.items():
            if endpoint_id not in self._tasks:
                self._tasks[endpoint_id] = (endpoint, asyncio.create_task(self._scrape_target(endpoint)))

    async def _scrape_target(self, endpoint: EndpointRow) -> None:
        """Scrape one endpoint at its turns until cancelled."""
        interval = max(MIN_INTERVAL_SECONDS, endpoint.interval_seconds)
        timeout = min(max(0.1, endpoint.timeout_seconds), interval)
        series = TargetSeries(endpoint.labels, self._sink.row)
        health = TargetHealth(endpoint.id, endpoint.resource_id, endpoint.url, series.target_labels, interval, timeout)
        target_health.note(health)
        due = first_due(endpoint.url, interval, time.time())
        place = Place()
        try:
            while True:
                await asyncio.sleep(max(0.0, due - time.time()))
                health = await self._scrape_once(place, series, health, due)
                target_health.note(health)
                due = next_due(due, interval, time.time())
        except asyncio.CancelledError as cancelled:
            if cancelled.args == ("gone",):
                self._write(series.ended(round(time.time() * 1000)), target_name(series.target_labels))
            raise
        finally:
            await place.close()

    async def _scrape_once(self, place: Place, series: TargetSeries, health: TargetHealth, due: float) -> TargetHealth:
        started = time.time()
        at_ms = stamp_ms(due, started, health.interval_seconds)
        clock = time.perf_counter()
        found, error = None, ""
        try:
            answer = await place.fetch(
                "GET",
                health.url,
                purpose="scrape",
                headers={"Accept": ACCEPT, "X-Prometheus-Scrape-Timeout-Seconds": f"{health.timeout_seconds:g}"},
                timeout_seconds=health.timeout_seconds,
                max_bytes=MAX_BODY_BYTES,
            )
            found = await _read(answer, series.known)
            self._check_limits(found, health)
        except (HttpError, ExpositionError) as failure:
            found, error = None, str(failure)
        duration = time.perf_counter() - clock
        if found is not None:
            try:
                batch = series.scraped(found, at_ms, duration)
                target_health.note_metadata(found.metadata)
            except ExpositionError as failure:
                error = str(failure)
        if error:
            batch = series.failed(at_ms, duration)
        elif batch.refused:
            error = "; ".join(f"{count} samples refused: {reason}" for reason, count in batch.refused.items())
            self._sink.reject(
                target_name(health.labels), Refusals(dict(batch.refused), dict.fromkeys(batch.refused, ""))
            )
        write_error = self._write(batch, target_name(health.labels))
        return replace(
            health,
            state="up" if found is not None and (not error or batch.refused) else "down",
            last_scrape_ms=at_ms,
            last_duration_seconds=duration,
            last_samples=batch.scraped,
            last_error=error or write_error,
        )

    def _check_limits(self, found: Exposition, health: TargetHealth) -> None:
        """Raises ExpositionError when the target shows more than one source may send: nothing of it is taken."""
        limits, count = current(), len(found.samples)
        reason = ""
        if limits.series and count > limits.series:
            reason, limit = SOURCE_SERIES_LIMIT, limits.series
        elif limits.samples_per_second and count > limits.samples_per_second * health.interval_seconds:
            reason, limit = SOURCE_RATE_LIMIT, limits.samples_per_second
        if reason:
            self._sink.reject(target_name(health.labels), Refusals({reason: count}, {reason: health.url}))
            raise ExpositionError(0, f"{count} samples: {reason}: {limit}")

    def _write(self, batch: Batch, source: str) -> str:
        """Hand the samples over without waiting; the text says why they were not taken."""
        try:
            self._sink.submit(batch.rows, batch.ts, batch.v, source=source)
        except Problem as problem:
            return str(problem)
        return ""


async def _read(answer: Response, known: Container[str]) -> Exposition:
    """The exposition in an answer; a large one is read in a thread, so that other targets keep their turns."""
    if answer.status != 200:
        raise ExpositionError(0, f"the target answered with status {answer.status}")
    form = format_of(_content_type(answer.headers))
    if len(answer.body) < LARGE_BODY_BYTES:
        return parse(answer.body, form, known=known)
    return await asyncio.to_thread(parse, answer.body, form, known=known)


def _content_type(headers: Mapping[str, str]) -> str:
    return next((value for name, value in headers.items() if name.lower() == "content-type"), "")
