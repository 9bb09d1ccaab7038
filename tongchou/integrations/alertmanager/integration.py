"""Declares Alertmanager's API."""

from tongchou.core.registry import Integration

INTEGRATION = Integration(
    name="alertmanager",
    title="Alertmanager API (alerts, silences)",
    urls=("alertmanager/api/v2/", "tongchou.integrations.alertmanager.urls"),
)
