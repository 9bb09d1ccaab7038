"""Declares databases and brokers as a source of the inventory."""

from tongchou.core.registry import Integration

INTEGRATION = Integration(
    name="services",
    title="Databases and brokers",
    ports=("tongchou.integrations.services.source:SOURCE",),
)
