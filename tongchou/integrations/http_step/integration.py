"""Declares the Runner of http steps."""

from __future__ import annotations

from tongchou.core.registry import Integration

INTEGRATION = Integration(
    name="http_step", title="HTTP steps", ports=("tongchou.integrations.http_step.runner:HTTP_STEP",)
)
