"""Declares NetBox as a source of the inventory."""

from tongchou.core.registry import Integration

INTEGRATION = Integration(name="netbox", title="NetBox", ports=("tongchou.integrations.netbox.source:SOURCE",))
