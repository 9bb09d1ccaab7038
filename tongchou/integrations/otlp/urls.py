"""URLs of OTLP, below /otlp/v1/."""

from django.urls import path

from tongchou.integrations.otlp import logs, metrics, traces

urlpatterns = [
    path("logs", logs.export, name="otlp-logs"),
    path("metrics", metrics.export, name="otlp-metrics"),
    path("traces", traces.export, name="otlp-traces"),
]
