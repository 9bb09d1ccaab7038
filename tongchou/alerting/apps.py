"""The Django app of this room."""

from django.apps import AppConfig


class AlertingConfig(AppConfig):
    """Names the room for Django."""

    name = "tongchou.alerting"
    label = "alerting"
    default_auto_field = "django.db.models.BigAutoField"
