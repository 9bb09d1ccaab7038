"""Declares checkov as a checker of plans."""

from tongchou.core.registry import Integration

INTEGRATION = Integration(name="checkov", title="Checkov", ports=("tongchou.integrations.checkov.checker:CHECKER",))
