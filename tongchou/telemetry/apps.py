"""The Django app of this room."""

from django.apps import AppConfig


class TelemetryConfig(AppConfig):
    """Names the room for Django."""

    name = "tongchou.telemetry"
    label = "telemetry"
    default_auto_field = "django.db.models.BigAutoField"
