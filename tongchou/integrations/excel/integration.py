"""Declares spreadsheets as a source of the inventory."""

from tongchou.core.registry import Integration

INTEGRATION = Integration(
    name="excel",
    title="Excel, CSV",
    ports=("tongchou.integrations.excel.source:SOURCE",),
)
