"""Declares this host as a source of the inventory, and its checks."""

from tongchou.core.registry import Integration

INTEGRATION = Integration(
    name="host",
    title="This host",
    app="tongchou.integrations.host",
    ports=(
        "tongchou.integrations.host.source:SOURCE",
        "tongchou.integrations.host.storage:SOURCE",
        "tongchou.integrations.host.agent_source:SOURCE",
    ),
)
