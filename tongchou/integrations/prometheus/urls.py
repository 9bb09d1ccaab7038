"""URLs of the Prometheus API, below /prometheus/."""

from django.urls import path

from tongchou.integrations.prometheus import about, query, remote_write, rules, sd_targets, status

urlpatterns = [
    path("api/v1/write", remote_write.write, name="prometheus-write"),
    path("api/v1/query", query.instant_query, name="prometheus-query"),
    path("api/v1/query_range", query.range_query, name="prometheus-query-range"),
    path("api/v1/query_exemplars", query.exemplars, name="prometheus-query-exemplars"),
    path("api/v1/format_query", query.formatted_query, name="prometheus-format-query"),
    path("api/v1/labels", query.label_names, name="prometheus-labels"),
    path("api/v1/label/<str:name>/values", query.label_values, name="prometheus-label-values"),
    path("api/v1/series", query.series, name="prometheus-series"),
    path("api/v1/metadata", query.metadata, name="prometheus-metadata"),
    path("api/v1/rules", rules.rules, name="prometheus-rules"),
    path("api/v1/alerts", rules.alerts, name="prometheus-alerts"),
    path("api/v1/targets", query.targets, name="prometheus-targets"),
    path("api/v1/status/buildinfo", about.build_info, name="prometheus-buildinfo"),
    path("api/v1/status/runtimeinfo", about.runtime_info, name="prometheus-runtimeinfo"),
    path("api/v1/status/config", about.config, name="prometheus-config"),
    path("api/v1/status/flags", about.flags, name="prometheus-flags"),
    path("api/v1/status/tsdb", status.tsdb, name="prometheus-tsdb"),
    path("api/v1/<path:rest>", query.unknown, name="prometheus-unknown"),
    path("sd/targets", sd_targets.targets, name="prometheus-sd-targets"),
    path("-/healthy", about.healthy, name="prometheus-healthy"),
    path("-/ready", about.ready, name="prometheus-ready"),
]
