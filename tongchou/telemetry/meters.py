"""What telemetry counts while it works."""

from tongchou.core.meters import Histogram

QUERIES = Histogram("tongchou_promql_duration_seconds", "Time of PromQL queries (pages, API, rules).", "kind")
