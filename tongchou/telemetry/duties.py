"""The long loops of this room, each held by one process."""

from __future__ import annotations

import logging
import threading
import time

from django.db import DatabaseError, close_old_connections

from tongchou.core import settings_store
from tongchou.core.jobs import duty
from tongchou.inventory.reads import EndpointRow, metric_endpoints
from tongchou.telemetry import sender_limits, target_health, target_snapshot
from tongchou.telemetry.backend import backend
from tongchou.telemetry.saved_searches import count_new
from tongchou.telemetry.scrape_loop import ScrapeLoop

log = logging.getLogger(__name__)


class _Endpoints:
    """What to scrape; while the database does not answer, what was to be scraped before."""

    def __init__(self) -> None:
        self._last: list[EndpointRow] | None = None
        self._told_at = 0.0

    def __call__(self) -> list[EndpointRow]:
        close_old_connections()
        try:
            self._last = metric_endpoints()
            sender_limits.refreshed()
            if time.monotonic() - self._told_at >= target_snapshot.EVERY_SECONDS:
                target_snapshot.save()
                self._told_at = time.monotonic()
        except DatabaseError as error:
            if self._last is None:
                raise
            log.warning("the list of endpoints could not be read, the last one is used: %s", error)
        finally:
            close_old_connections()
        return self._last


@duty("telemetry.scrape")
def run(stop: threading.Event) -> None:
    """Scrape every metrics endpoint of the inventory."""
    try:
        ScrapeLoop(_Endpoints(), backend()).run(stop)
    finally:  # from now on another process knows better
        target_health.forget([each.endpoint_id for each in target_health.target_health()])


@duty("telemetry.saved_searches")
def count_searches(stop: threading.Event) -> None:
    """Count the new lines of saved searches into series."""
    while not stop.wait(settings_store.get("logs.search_interval_seconds")):
        close_old_connections()
        count_new()
        close_old_connections()
