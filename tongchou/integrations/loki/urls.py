"""URLs of Loki's API, below /loki/api/v1/."""

from django.urls import path

from tongchou.integrations.loki import push, query

urlpatterns = [
    path("push", push.push, name="loki-push"),
    path("labels", query.label_names, name="loki-labels"),
    path("label/<str:name>/values", query.label_values, name="loki-label-values"),
    path("series", query.series, name="loki-series"),
    path("query_range", query.query_range, name="loki-query-range"),
    path("status/buildinfo", query.build_info, name="loki-buildinfo"),
]
