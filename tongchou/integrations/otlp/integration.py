"""Declares OTLP."""

from tongchou.core.registry import Integration

INTEGRATION = Integration(name="otlp", title="OpenTelemetry", urls=("otlp/v1/", "tongchou.integrations.otlp.urls"))
