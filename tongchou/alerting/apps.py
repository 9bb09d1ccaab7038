"""Names the room for Django."""

from django.apps import AppConfig


class AlertingConfig(AppConfig):
    """The application of the alerting room."""

    name = "tongchou.alerting"
    label = "alerting"
    default_auto_field = "django.db.models.BigAutoField"
