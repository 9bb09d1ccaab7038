"""Declares Kubernetes as a source of the inventory."""

from tongchou.core.registry import Integration

INTEGRATION = Integration(
    name="kubernetes", title="Kubernetes", ports=("tongchou.integrations.kubernetes.source:SOURCE",)
)
