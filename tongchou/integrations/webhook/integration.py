"""Declares the webhook channel."""

from tongchou.core.registry import Integration

INTEGRATION = Integration(
    name="webhook",
    title="Webhook (Alertmanager format, signed)",
    ports=("tongchou.integrations.webhook.channel:CHANNEL",),
)
