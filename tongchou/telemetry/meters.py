"""What telemetry counts while it works."""

from tongchou.core.meters import Counter, Histogram

QUERIES = Histogram("tongchou_promql_duration_seconds", "Time of PromQL queries (pages, API, rules).", "kind")
DOWNGRADED = Counter(
    "tongchou_telemetry_downgraded_histograms_total",
    "Points of exponential histograms that were written as classic buckets.",
)
REJECTED = Counter(
    "tongchou_telemetry_rejected_samples_total",
    "Samples refused, by source (token, scraped target) and reason.",
    "source",
    "reason",
)
API_QUERIES = Counter(
    "tongchou_promql_api_queries_total",
    "PromQL queries of the Prometheus API by how they ended: done, refused, canceled, timeout, queue.",
    "ended",
)
RUNNING_QUERIES = Counter(
    "tongchou_promql_api_queries_running", "PromQL queries of the Prometheus API that run now.", kind="gauge"
)
