"""Declares the Runner of haproxy steps, and a load balancer as a source of the inventory."""

from __future__ import annotations

from tongchou.core.registry import Integration

INTEGRATION = Integration(
    name="haproxy",
    title="HAProxy",
    app="tongchou.integrations.haproxy",
    ports=("tongchou.integrations.haproxy.runner:HAPROXY_STEP", "tongchou.integrations.haproxy.source:SOURCE"),
)
