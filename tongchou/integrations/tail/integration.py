"""Declares the file tailer."""

from tongchou.core.registry import Integration

INTEGRATION = Integration(name="tail", title="Log files", app="tongchou.integrations.tail")
