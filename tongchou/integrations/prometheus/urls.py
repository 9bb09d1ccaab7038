"""URLs of the Prometheus API, below /prometheus/api/v1/."""

from django.urls import path

from tongchou.integrations.prometheus import query, remote_write, rules

urlpatterns = [
    path("write", remote_write.write, name="prometheus-write"),
    path("query", query.instant_query, name="prometheus-query"),
    path("query_range", query.range_query, name="prometheus-query-range"),
    path("query_exemplars", query.exemplars, name="prometheus-query-exemplars"),
    path("format_query", query.formatted_query, name="prometheus-format-query"),
    path("labels", query.label_names, name="prometheus-labels"),
    path("label/<str:name>/values", query.label_values, name="prometheus-label-values"),
    path("series", query.series, name="prometheus-series"),
    path("metadata", query.metadata, name="prometheus-metadata"),
    path("rules", rules.rules, name="prometheus-rules"),
    path("alerts", rules.alerts, name="prometheus-alerts"),
    path("targets", query.targets, name="prometheus-targets"),
    path("status/buildinfo", query.build_info, name="prometheus-buildinfo"),
]
