"""Declares the mail channel."""

from tongchou.core.registry import Integration

INTEGRATION = Integration(
    name="smtp",
    title="Mail (SMTP)",
    ports=("tongchou.integrations.smtp.channel:CHANNEL",),
)
