"""Declares a Prometheus-compatible server as a place that metrics are read from."""

from tongchou.core.registry import Integration

INTEGRATION = Integration(
    name="prometheus_backend",
    title="Metrics of a Prometheus-compatible server",
    app="tongchou.integrations.prometheus_backend",
    ports=("tongchou.integrations.prometheus_backend.backend:BACKEND",),
)
