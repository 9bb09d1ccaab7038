"""Names the room for Django."""

from django.apps import AppConfig


class UsageConfig(AppConfig):
    """The application of the usage room."""

    name = "tongchou.usage"
    label = "usage"
    default_auto_field = "django.db.models.BigAutoField"
