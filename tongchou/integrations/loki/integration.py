"""Declares Loki's protocols."""

from tongchou.core.registry import Integration

INTEGRATION = Integration(name="loki", title="Loki", urls=("loki/api/v1/", "tongchou.integrations.loki.urls"))
