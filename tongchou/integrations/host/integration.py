"""Declares this host as a source of the inventory."""

from tongchou.core.registry import Integration

INTEGRATION = Integration(name="host", title="This host", ports=("tongchou.integrations.host.source:SOURCE",))
