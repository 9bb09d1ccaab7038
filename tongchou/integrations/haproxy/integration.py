"""Declares the Runner of haproxy steps."""

from __future__ import annotations

from tongchou.core.registry import Integration

INTEGRATION = Integration(
    name="haproxy",
    title="HAProxy",
    app="tongchou.integrations.haproxy",
    ports=("tongchou.integrations.haproxy.runner:HAPROXY_STEP",),
)
