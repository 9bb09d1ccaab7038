"""Declares the platform's own people and teams as a source of the inventory."""

from tongchou.core.registry import Integration

INTEGRATION = Integration(
    name="people",
    title="People and teams",
    ports=("tongchou.integrations.people.source:SOURCE",),
)
