"""Declares the deployment webhook."""

from tongchou.core.registry import Integration

INTEGRATION = Integration(
    name="deployments",
    title="Deployment webhook",
    urls=("hooks/deployments/", "tongchou.integrations.deployments.urls"),
)
