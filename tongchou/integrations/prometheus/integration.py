"""Declares the Prometheus protocols."""

from tongchou.core.registry import Integration

INTEGRATION = Integration(
    name="prometheus",
    title="Prometheus",
    urls=("prometheus/api/v1/", "tongchou.integrations.prometheus.urls"),
    ports=("tongchou.integrations.prometheus.http_sd:SOURCE",),
)
