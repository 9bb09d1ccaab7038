"""Declares the Prometheus protocols."""

from tongchou.core.registry import Integration

INTEGRATION = Integration(
    name="prometheus",
    title="Prometheus",
    urls=("prometheus/", "tongchou.integrations.prometheus.urls"),
    ports=("tongchou.integrations.prometheus.http_sd:SOURCE", "tongchou.integrations.prometheus.targets:SOURCE"),
)
