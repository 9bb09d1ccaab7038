"""What telemetry tells of itself: series, samples, the newest window, ingest, the store on disk."""

from __future__ import annotations

from collections.abc import Iterable

from django.conf import settings

from tongchou.core.meters import Family, collector, counter, gauge
from tongchou.telemetry import reads
from tongchou.telemetry.backend import backend

GAUGES = {
    "series": "Series in the label index.",
    "samples": "Samples kept; one sent twice counts twice.",
    "bytes_on_disk": "Bytes of the samples on disk.",
    "parts": "Parts of the table of samples.",
    "days": "Days that have samples (partitions).",
    "window_samples": "Samples of the newest window, in memory.",
    "window_bytes": "Memory of the newest window.",
    "cache_bytes": "Memory of half hours kept as they were read from the store.",
    "window_seconds": "How far back the newest window reaches.",
    "lag_seconds": "How far the store is behind what this process has seen.",
    "pending_samples": "Samples that are journalled and not in the tables yet.",
}
RENAMED = {"days": "partitions"}  # a unit is not a count
COUNTERS = {
    "ingested_samples": "Samples taken.",
    "refused_samples": "Samples refused.",
    "inserts": "Batches moved into the tables.",
    "failed_inserts": "Batches that could not be moved (they stay in the journal).",
    "insert_seconds": "Time spent moving batches.",
}


@collector("telemetry")
def tell() -> Iterable[Family]:
    """One small query of the store."""
    stats = reads.store_stats()
    for name, told in GAUGES.items():
        yield gauge(f"tongchou_telemetry_{RENAMED.get(name, name)}", told, float(stats[name]))
    for name, told in COUNTERS.items():
        yield counter(f"tongchou_telemetry_{name}_total", told, float(stats[name]))
    yield gauge("tongchou_telemetry_series_limit", "Most series the store accepts.", settings.TELEMETRY_MAX_SERIES)
    logs = backend().logs.ingest.counts
    yield counter("tongchou_logs_ingested_lines_total", "Lines of logs taken.", float(logs.lines))
    yield counter("tongchou_logs_ingested_bytes_total", "Bytes of logs taken.", float(logs.bytes))
    yield counter("tongchou_logs_failed_inserts_total", "Batches of lines that could not be kept.", logs.failed_inserts)
