"""Declares the sweep of listed ranges as a source of the inventory."""

from tongchou.core.registry import Integration

INTEGRATION = Integration(name="sweep", title="Sweep", ports=("tongchou.integrations.sweep.source:SOURCE",))
