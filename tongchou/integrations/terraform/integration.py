"""Declares Terraform states as a source of the inventory, and the Tool that plans and applies workspaces."""

from tongchou.core.registry import Integration

INTEGRATION = Integration(
    name="terraform",
    title="Terraform",
    ports=(
        "tongchou.integrations.terraform.source:SOURCE",
        "tongchou.integrations.terraform.tool:TOOL",
    ),
)
