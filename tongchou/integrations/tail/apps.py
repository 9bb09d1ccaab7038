"""The Django app of the file tailer: it has a setting and a duty."""

from django.apps import AppConfig


class TailConfig(AppConfig):
    """Names the integration for Django."""

    name = "tongchou.integrations.tail"
    label = "tail"
    default_auto_field = "django.db.models.BigAutoField"
