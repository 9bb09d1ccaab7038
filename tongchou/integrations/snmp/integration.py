"""Declares devices that speak SNMP as a source of the inventory."""

from tongchou.core.registry import Integration

INTEGRATION = Integration(name="snmp", title="SNMP", ports=("tongchou.integrations.snmp.source:SOURCE",))
