"""Declares the Runner of jenkins steps, and who asks Jenkins servers for their builds."""

from __future__ import annotations

from tongchou.core.registry import Integration

INTEGRATION = Integration(
    name="jenkins",
    title="Jenkins",
    app="tongchou.integrations.jenkins",
    ports=("tongchou.integrations.jenkins.step:JENKINS_STEP", "tongchou.integrations.jenkins.builds:BUILDS"),
)
