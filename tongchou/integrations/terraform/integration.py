"""Declares Terraform states as a source of the inventory."""

from tongchou.core.registry import Integration

INTEGRATION = Integration(
    name="terraform",
    title="Terraform",
    ports=("tongchou.integrations.terraform.source:SOURCE",),
)
